"""Exact search over three embedders at once, fused, where the columns are in memory."""

from functools import cache

from cgcython import ModelId

from .columns import RandomColumns
from .gates import target_us

RECORDS = 1 << 19  # 276 MB of codes, more than any cache
EMBEDDERS = ("E1", "E8", "E9")
PER_MILLION = RECORDS / 1e6


@cache
def columns():
    return RandomColumns(RECORDS, EMBEDDERS)


class Fused:
    timeout = 300

    def setup(self):
        self.query = columns().queries([ModelId.parse(one) for one in EMBEDDERS], 1)[0]

    @target_us(25_000 * PER_MILLION, bound="reads")
    def time_three_embedders(self):
        columns().search(self.query)

    @target_us(14_000 * PER_MILLION, bound="reads by two")
    def time_three_embedders_on_two_threads(self):
        columns().search(self.query, num_threads=2)
