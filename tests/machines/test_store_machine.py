"""A store against a dict, whatever happens to the processes around it.

hypothesis chooses what is done: writes of every kind, kills, reopenings, forks, second handles,
readers, a follower, backups. After each step that looks, what the store holds must be what the dict
holds. `pytest -q tests/machines --hypothesis-profile=long` does it for longer.
"""

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

pytest.importorskip("rocksdict")
actor = pytest.importorskip("machines.actor")
from machines.records_machine import DURABILITIES, IDS, PARTS, RecordsMachine  # noqa: E402

MEMORY = next((one for one in (Path("/dev/shm"),) if os.access(one, os.W_OK)), None)


class StoreMachine(RecordsMachine):
    """The store is open in another process, which may be killed at any moment."""

    follower, backups = None, 0

    def open_new(self, durability):
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.path = Path(self.folder.name, "store")
        self.open_again(durability)

    def open_again(self, durability="wal"):
        self.writer = actor.Actor(self.path, durability=durability)
        assert self.writer.refused is None

    def teardown(self):
        for one in (self.follower, self.writer):
            if one is not None:
                one.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(durability=DURABILITIES)
    def kill(self, durability):
        self.writer.kill()
        self.open_again(durability)
        self.look()

    @rule(items=st.lists(st.tuples(IDS, PARTS), min_size=1, max_size=6), when=st.randoms())
    def kill_while_it_writes(self, items, when):
        """A batch that nobody acknowledged is there whole or not at all."""
        self.writer.begin("store_many", items)
        time.sleep(when.uniform(0, 0.004))
        self.writer.kill()
        self.open_again()
        before = dict(self.records), dict(self.changed)
        for one, parts in dict(items).items():
            self._stored(one, parts, None)
        found = self.writer.tell("content")
        if found != self._expected():
            self.records, self.changed = before
        assert found == self._expected()

    @rule(spelling=st.sampled_from(["store", "../{}/store", "link"]))
    def a_second_handle_is_refused(self, spelling):
        path = self.path.parent / spelling.format(self.path.parent.name)
        if spelling == "link" and not path.exists():
            path.symlink_to(self.path)
        assert "this process" in self.writer.tell("opened_again", str(path))
        other = actor.Actor(path)
        assert other.refused.startswith("StoreUnavailable")

    @rule(closes=st.booleans())
    def a_forked_child_is_refused(self, closes):
        told, left = self.writer.tell("forked", closes)
        assert "before a fork" in told
        assert left

    @rule()
    def a_reader_beside_the_writer_sees_all(self):
        reader = actor.Actor(self.path, read_only=True)
        assert reader.refused is None
        assert reader.tell("content") == self._expected()
        reader.close()

    @rule()
    def a_follower_catches_up(self):
        if self.follower is None:
            self.follower = actor.Actor(self.path, follow=True)
        assert self.follower.refused is None
        assert self.follower.tell("caught_up") == self._expected()

    @precondition(lambda self: self.backups < 2)
    @rule()
    def a_backup_is_a_store(self):
        self.backups += 1
        path = self.path.with_name(f"backup-{self.backups}")
        self.writer.tell("backup", path)
        copy = actor.Actor(path)
        assert copy.tell("verified") == len(self.records)
        assert copy.tell("content") == self._expected()
        copy.close()


def test_a_store_is_a_dict_whatever_happens_to_processes():
    chosen = settings()
    if settings.get_current_profile_name() != "long":
        chosen = settings(max_examples=10, stateful_step_count=20, deadline=None, derandomize=True)
    run_state_machine_as_test(StoreMachine, settings=chosen)
