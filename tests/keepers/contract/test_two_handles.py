"""A store against a dict, written through two handles by turns, or written by one and followed."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from cgcython.search import FingerprintStore

actor = pytest.importorskip("machines.actor")
from machines.records_machine import RecordsMachine  # noqa: E402


class Handles:
    """Handles of one store; each call is that of the next one."""

    def __init__(self, stores):
        self._stores = stores

    def tell(self, name, *arguments):
        """Return what a function of `actor` returns for the next store."""
        self._stores.append(self._stores.pop(0))
        return actor.DOING[name](self._stores[0], *arguments)

    def close(self):
        """Close all of them."""
        for store in self._stores:
            store.close()


class ContractMachine(RecordsMachine):
    """`new_place` and `promises` are those of a keeper."""

    new_place = promises = codebooks = profile = None

    def open_new(self, durability):
        self.place = type(self).new_place()
        self.open_again(durability)

    def open_again(self, durability="wal"):
        count = 1 if self.promises.one_writer else 2
        self.writer = Handles(
            [
                FingerprintStore.open(
                    self.place, self.codebooks, self.profile, durability=durability
                )
                for _ in range(count)
            ]
        )
        how = {"follow": True} if self.promises.one_writer else {"read_only": True}
        self.reader = FingerprintStore.open(self.place, **how)

    @property
    def is_ordered(self):
        return self.promises.ordered

    def close(self):
        self.writer.close()
        self.reader.close()

    def teardown(self):
        if self.writer is not None:
            self.close()

    @rule()
    def a_reader_catches_up(self):
        self.reader.catch_up()
        assert actor.content(self.reader, self.is_ordered) == self._expected()

    @rule(seed=st.integers(0, 5))
    def a_reader_finds_what_the_writer_finds(self, seed):
        self.reader.catch_up()
        parts = {"E9": seed, "E2": seed}
        found = actor.nearest(self.reader, parts, 20)
        assert found == self.writer.tell("nearest", parts, 20)


@pytest.mark.parametrize(
    "steps", [pytest.param((4, 15)), pytest.param((40, 25), marks=pytest.mark.keepers)]
)
def test_a_store_is_a_dict_whichever_handle_writes(steps, keeper, new_place, promises, memories):
    if keeper == "cql" and steps != (4, 15):
        steps = 12, 15  # opening takes longer: the others have had the long ones
    of_keeper = {
        "new_place": staticmethod(new_place),
        "promises": promises,
        "codebooks": memories.codebooks,
        "profile": memories.profile,
    }
    examples, step_count = steps
    chosen = settings(
        max_examples=examples, stateful_step_count=step_count, deadline=None, derandomize=True
    )
    run_state_machine_as_test(type("Machine", (ContractMachine,), of_keeper), settings=chosen)
