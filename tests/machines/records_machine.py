"""A store against a dict: what is written, as hypothesis chooses, is what the store then holds.

Subclasses say what opens the store, and what else happens to it.
"""

import random
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from machines import actor

from cgcython.store.ids import as_key

EMBEDDERS = ("E1", "E2", "E6", "E9", "E12")
SEEDS = st.integers(0, 5)
UUIDS = [UUID(int=n * 0x0101_0101_0101_0101) for n in range(1, 5)]
OTHERS = [5, "5", -(2**63), 2**64 - 1, "a", "a\0", "fifteen bytes..", "ä" * 200]
IDS = st.sampled_from(UUIDS) | st.sampled_from([*UUIDS[:2], *OTHERS])
PARTS = st.dictionaries(st.sampled_from(EMBEDDERS), SEEDS, min_size=1, max_size=3)
CHANGES = st.dictionaries(st.sampled_from(EMBEDDERS), st.none() | SEEDS, min_size=1, max_size=3)
METADATA = st.none() | st.fixed_dictionaries({"source": st.sampled_from(["a", "b"])})
DURABILITIES = st.sampled_from(["wal", "sync"])


class RecordsMachine(RuleBasedStateMachine):
    """`records` maps ids to (parts, metadata), a part being an embedder's seed; so does `trash`.

    `changed` maps ids to the embedders of theirs that changed since `position`.
    `writer` has functions of the module `actor` called with the store, and closes it.
    """

    @initialize(durability=DURABILITIES)
    def begin(self, durability):
        self.records, self.trash, self.writer = {}, {}, None
        self.open_new(durability)
        self.note_position()

    def open_new(self, durability):
        """Make the store and open it."""
        raise NotImplementedError

    def open_again(self, durability="wal"):
        """Open the store that is there."""
        raise NotImplementedError

    def close(self):
        """Close it."""
        self.writer.close()

    @property
    def is_ordered(self):
        """Whether ids are listed in the order of their keys."""
        return True

    # What is written

    @rule(one=IDS, parts=PARTS, metadata=METADATA)
    def store(self, one, parts, metadata):
        self.writer.tell("store", one, parts, metadata)
        self._stored(one, parts, metadata)

    @rule(items=st.lists(st.tuples(IDS, PARTS), max_size=6))
    def store_many(self, items):
        assert self.writer.tell("store_many", items) == len(items)
        for one, parts in dict(items).items():
            self._stored(one, parts, None)

    @rule(one=IDS, parts=CHANGES)
    def update(self, one, parts):
        assert self.writer.tell("update", one, parts) == (one in self.records)
        if one in self.records:
            before, metadata = self.records[one]
            after = {key: seed for key, seed in {**before, **parts}.items() if seed is not None}
            self.records[one] = after, metadata
            self._note_change(one, parts.keys() & (before.keys() | after.keys()))

    @rule(some=st.lists(IDS, max_size=3), soft=st.booleans())
    def delete_many(self, some, soft):
        known = self.records if soft else self.records | self.trash
        assert self.writer.tell("delete_many", some, soft) == len(set(some) & known.keys())
        for one in some:
            if one in self.records:
                self._note_change(one, self.records[one][0])
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
            self._note_change(one, self.records[one][0])

    @rule()
    def purge(self):
        assert self.writer.tell("purge") == len(self.trash)
        self.trash.clear()

    @rule()
    def note_position(self):
        self.position, self.changed = self.writer.tell("position"), {}

    @rule(embedder=st.none() | st.sampled_from(EMBEDDERS))
    def the_journal_leaves_out_no_change(self, embedder):
        named = self.writer.tell("changes_since", self.position, embedder)
        changed = [one for one, some in self.changed.items() if embedder in {None, *some}]
        assert set(named) >= set(map(as_key, changed))

    @rule()
    def compact(self):
        self.writer.tell("compact")

    @rule()
    def save_columns(self):
        self.writer.tell("save_columns")

    @rule(durability=DURABILITIES)
    def reopen(self, durability):
        self.close()
        self.open_again(durability)

    # What is found

    @rule()
    def look(self):
        assert self.writer.tell("content", self.is_ordered) == self._expected()

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

    def _note_change(self, one, embedders):
        self.changed[one] = self.changed.get(one, frozenset()) | set(embedders)

    def _stored(self, one, parts, metadata):
        before, _ = self.records.get(one, ({}, None))
        self._note_change(one, {*parts, *before})
        if metadata is None and one in self.records:
            metadata = self.records[one][1]
        self.records[one] = parts, metadata or {}

    def _expected(self):
        records = {
            one: (actor.encoded(parts), metadata) for one, (parts, metadata) in self.records.items()
        }
        return records, set(self.trash)
