"""The keepers that keep what docs/STORE.md promises, what each does not, and what is kept."""

from uuid import UUID

import pytest

from cgcython.store.ids import as_key
from cgcython.store.keeper import Promises

# Whether what was written survives the loss of power is `durable` after `durability="wal"`.
KEEPERS = {
    "folder": Promises(whole_calls=True, ordered=True, frozen=True, one_writer=True, durable=False),
    "postgres": Promises(
        whole_calls=True, ordered=True, frozen=True, one_writer=False, durable=True
    ),
    "cql": Promises(whole_calls=False, ordered=False, frozen=False, one_writer=False, durable=True),
}
SERVERS = KEEPERS.keys() - {"folder"}
PARAMS = [pytest.param(one, marks=[pytest.mark.keepers] * (one in SERVERS)) for one in KEEPERS]
IDS = [UUID(int=number << 100 | number) for number in range(1, 31)]
# Of every kind and length, in the order of their keys.
FREE_IDS = [-(2**63), -1, 0, 5, 2**64 - 1, "5", "a", "a\0", "ä" * 256, "fifteen bytes.."]
ALL_IDS = sorted([UUID(int=5), *FREE_IDS, UUID(int=2**128 - 1)], key=as_key)


def about(number):
    """Return the metadata of a record of `filled`."""
    return {"n": number, "lang": "en" if number % 3 else "de", "tags": ["all", f"t{number % 5}"]}
