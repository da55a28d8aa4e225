"""A store against a dict, whatever happens to the processes around it.

hypothesis chooses what is done: writes of every kind, kills, reopenings, forks, second handles,
readers, a follower, backups. After each step that looks, what the store holds must be what the dict
holds. `pytest -q tests/machines --hypothesis-profile=long` does it for longer.
"""

import os
import random
import tempfile
import time
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

pytest.importorskip("rocksdict")
actor = pytest.importorskip("machines.actor")
MEMORY = next((one for one in (Path("/dev/shm"),) if os.access(one, os.W_OK)), None)
EMBEDDERS = ("E1", "E2", "E6", "E9", "E12")
SEEDS = st.integers(0, 5)
UUIDS = [UUID(int=n * 0x0101_0101_0101_0101) for n in range(1, 5)]
OTHERS = [5, "5", -(2**63), 2**64 - 1, "a", "a\0", "fifteen bytes..", "ä" * 200]
IDS = st.sampled_from(UUIDS) | st.sampled_from([*UUIDS[:2], *OTHERS])
PARTS = st.dictionaries(st.sampled_from(EMBEDDERS), SEEDS, min_size=1, max_size=3)
CHANGES = st.dictionaries(st.sampled_from(EMBEDDERS), st.none() | SEEDS, min_size=1, max_size=3)
METADATA = st.none() | st.fixed_dictionaries({"source": st.sampled_from(["a", "b"])})
DURABILITIES = st.sampled_from(["wal", "sync"])


class StoreMachine(RuleBasedStateMachine):
    """`records` maps ids to (parts, metadata), a part being an embedder's seed; so does `trash`."""

    @initialize(durability=DURABILITIES)
    def open(self, durability):
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.path, self.records, self.trash = Path(self.folder.name, "store"), {}, {}
        self.writer = self.follower = None
        self.backups = 0
        self._open(durability)

    def _open(self, durability="wal"):
        self.writer = actor.Actor(self.path, durability=durability)
        assert self.writer.refused is None

    def teardown(self):
        for one in (self.follower, self.writer):
            if one is not None:
                one.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()

    # What is written

    @rule(one=IDS, parts=PARTS, metadata=METADATA)
    def store(self, one, parts, metadata):
        self.writer.tell("store", one, parts, metadata)
        self._stored(one, parts, metadata)

    @rule(items=st.lists(st.tuples(IDS, PARTS), max_size=6))
    def store_many(self, items):
        assert self.writer.tell("store_many", items) == len(items)
        for one, parts in items:
            self._stored(one, parts, None)

    @rule(one=IDS, parts=CHANGES)
    def update(self, one, parts):
        assert self.writer.tell("update", one, parts) == (one in self.records)
        if one in self.records:
            before, metadata = self.records[one]
            after = {key: seed for key, seed in {**before, **parts}.items() if seed is not None}
            self.records[one] = after, metadata

    @rule(some=st.lists(IDS, max_size=3), soft=st.booleans())
    def delete_many(self, some, soft):
        known = self.records if soft else self.records | self.trash
        assert self.writer.tell("delete_many", some, soft) == len(set(some) & known.keys())
        for one in some:
            found = self.records.pop(one, None)
            if not soft:
                self.trash.pop(one, None)
            elif found is not None:
                self.trash[one] = found

    @rule(one=IDS)
    def restore(self, one):
        comes = one in self.trash and one not in self.records
        assert self.writer.tell("restore", one) == comes
        if comes:
            self.records[one] = self.trash.pop(one)

    @rule()
    def purge(self):
        assert self.writer.tell("purge") == len(self.trash)
        self.trash.clear()

    @rule()
    def compact(self):
        self.writer.tell("compact")

    @rule()
    def save_columns(self):
        self.writer.tell("save_columns")

    # What happens to processes

    @rule(durability=DURABILITIES)
    def reopen(self, durability):
        self.writer.close()
        self._open(durability)

    @rule(durability=DURABILITIES)
    def kill(self, durability):
        self.writer.kill()
        self._open(durability)
        self.look()

    @rule(items=st.lists(st.tuples(IDS, PARTS), min_size=1, max_size=6), when=st.randoms())
    def kill_while_it_writes(self, items, when):
        """A batch that nobody acknowledged is there whole or not at all."""
        self.writer.begin("store_many", items)
        time.sleep(when.uniform(0, 0.004))
        self.writer.kill()
        self._open()
        before = dict(self.records)
        for one, parts in items:
            self._stored(one, parts, None)
        found = self.writer.tell("content")
        if found != self._expected():
            self.records = before
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

    # What is found

    @rule()
    def look(self):
        assert self.writer.tell("content") == self._expected()

    @rule()
    def verify(self):
        assert self.writer.tell("verified") == len(self.records)

    @precondition(lambda self: any(parts for parts, _ in self.records.values()))
    @rule(seed=st.integers(0, 1000))
    def a_stored_embedding_finds_itself(self, seed):
        rng = random.Random(seed)
        parts, _ = rng.choice([one for one in self.records.values() if one[0]])
        for embedder, hits in self.writer.tell("nearest", parts, len(self.records)).items():
            having = {one for one, (other, _) in self.records.items() if embedder in other}
            assert {one for one, _ in hits} == having
            best = {one for one, similarity in hits if similarity == hits[0][1]}
            same = {one for one in having if self.records[one][0][embedder] == parts[embedder]}
            assert same <= best

    def _stored(self, one, parts, metadata):
        if metadata is None and one in self.records:
            metadata = self.records[one][1]
        self.records[one] = parts, metadata or {}

    def _expected(self):
        records = {
            one: (actor.encoded(parts), metadata) for one, (parts, metadata) in self.records.items()
        }
        return records, set(self.trash)


def test_a_store_is_a_dict_whatever_happens_to_processes():
    chosen = settings()
    if settings.get_current_profile_name() != "long":
        chosen = settings(max_examples=10, stateful_step_count=20, deadline=None, derandomize=True)
    run_state_machine_as_test(StoreMachine, settings=chosen)
