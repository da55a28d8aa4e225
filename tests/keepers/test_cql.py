"""The keeper of Cassandra keeps what the Protocol asks for: rows, notes, changes."""

import os
import random
from contextlib import closing

import pytest
from keepers.cql_stores import NUMBERS, added, fill, head, key

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.keeper import Change, Outdated, Record
from cgcython.store.keepers import cql as keepers
from cgcython.store.keepers.cql import journal, notes, scans
from cgcython.store.keepers.cql.connection import Connection

pytestmark = pytest.mark.keepers


@pytest.fixture
def keeper(open_cql):
    return open_cql()


@pytest.fixture
def requests(monkeypatch):
    """Return the statements that are sent from now on."""
    found, attempt = [], Connection._attempt

    def noted(self, statement, all_values, places, rows):
        found.extend([statement] * len(places))
        return attempt(self, statement, all_values, places, rows)

    monkeypatch.setattr(Connection, "_attempt", noted)
    return found


def test_a_store_is_made_once_with_its_notes(cql_place, open_cql):
    url = cql_place(buckets=3)
    assert not keepers.exists(url)
    keepers.create(url, {b"b": b"2", b"a": b"1" * 5000}, NUMBERS)
    keepers.create(url.replace("buckets=3", "buckets=5"), {b"c": b"3"}, ())
    assert keepers.exists(url)
    assert list(open_cql(url).notes(b"")) == [(b"a", b"1" * 5000), (b"b", b"2")]
    assert open_cql(url).stripes() == 3


def test_tenants_know_nothing_of_each_other(keeper, cql_place, open_cql):
    fill(keeper, range(5))
    url = cql_place()
    keepers.create(url, {b"profile": b"another"}, NUMBERS)
    other = open_cql(url)
    assert list(other.scan_records()) == [] == other.changes_since(0)
    assert other.heads([key(1)]) == [None]
    assert other.folder != keeper.folder
    assert dict(other.notes(b"")) == {b"profile": b"another"}


def test_records_come_back_with_the_sections_that_are_asked_for(keeper):
    fill(keeper, [1, 2])
    one, missing = keeper.records([key(1), b"none"])
    assert one == Record(head(1), {0: b"zero 1", 12: b"\1" * 3000})
    assert missing is None
    assert keeper.records([key(2), key(2)], [0, 1, 200]) == [Record(head(2), {0: b"zero 2"})] * 2
    assert keeper.heads([b"none", key(2)]) == [None, head(2)]


def test_many_records_take_a_request_per_bucket(keeper, requests):
    keys = fill(keeper, range(256))
    del requests[:]
    assert len(keeper.records(keys)) == 256
    assert len(requests) == keeper.stripes() == 16


def test_a_change_in_part_leaves_the_other_sections(keeper):
    fill(keeper, [1])
    part = Change(key(1), head(5), {0: None, 1: b"new"}, head(1), (0, 1), partial=True)
    keeper.write([part])
    assert keeper.records([key(1)]) == [Record(head(5), {1: b"new", 12: b"\1" * 3000})]
    keeper.write([part._replace(head=head(6), sections={0: b"all"}, before=head(5), partial=False)])
    assert keeper.records([key(1)]) == [Record(head(6), {0: b"all"})]


def test_a_change_in_part_of_another_record_is_refused_before_anything_is_written(keeper):
    fill(keeper, [1, 2])
    part = Change(key(1), head(5), {0: b"new"}, head(4), (0,), partial=True)
    with pytest.raises(Outdated, match="another one by now"):
        keeper.write([added(3), part])
    assert keeper.heads([key(1), key(3)]) == [head(1), None]


def test_what_is_gone_stays_beside_its_record_and_without_it(keeper):
    fill(keeper, [1])
    removed = Change(key(1), None, {}, head(1), (0, 12), gone=b"trash")
    keeper.write([removed])
    assert keeper.records([key(1)]) == [None]
    keeper.write([added(1)])
    assert keeper.gone([key(1), key(2)]) == [b"trash", None]
    assert list(keeper.scan_gone()) == [(key(1), b"trash")]
    keeper.write([removed._replace(gone=None)])
    assert keeper.gone([key(1)]) == keeper.records([key(1)]) == [None]
    fill(keeper, [1])
    assert keeper.heads([key(1)]) == [head(1)]


def test_emptying_the_trash_leaves_records(keeper):
    fill(keeper, [1])
    keeper.write([added(1, before=head(1), gone=b"1"), added(2, head=None, sections={}, gone=b"2")])
    assert keeper.sizes() == (1, 2, None)
    keeper.purge([key(2), key(1), key(3)])
    assert keeper.sizes() == (1, 0, None)
    assert keeper.heads([key(1), key(2)]) == [head(1), None]
    fill(keeper, [2])
    assert keeper.heads([key(2)]) == [head(2)]


def test_sections_without_a_record_are_reported(keeper):
    left = Change(key(1), None, {}, head(1), (), partial=True)
    fill(keeper, [1])
    keeper.write([left])
    assert [one.head for one in keeper.records([key(1)])] == [None]
    assert [one.head for _, one in keeper.scan_records()] == [None]
    assert list(keeper.scan_heads()) == []
    keeper.write([left._replace(before=None, sections={0: None, 12: None})])
    assert list(keeper.scan_records()) == []


def test_scans_ascend_in_each_bucket_and_take_pages(keeper, monkeypatch):
    monkeypatch.setattr(scans, "_FIRST", 3)
    monkeypatch.setattr(scans, "_next_limit", lambda page, limit: 3)
    keys = fill(keeper, range(200))
    keeper.write([Change(one, None, {}, None, (0, 12), gone=None) for one in keys[::4]])
    left = [one for one in keys if one not in keys[::4]]
    found = [[one for one, _ in keeper.scan_heads(stripe=stripe)] for stripe in range(16)]
    assert all(one == sorted(one) for one in found)
    assert sorted(one for some in found for one in some) == left
    assert sorted(one for one, _ in keeper.scan_records()) == left
    assert sorted(one for some in keeper.scan_sections(12) for one in some.keys) == left
    assert list(keeper.scan_sections(1)) == []
    assert [one for one, _ in keeper.scan_heads(key(5)[:3])] == [key(5)]


def test_the_last_key_is_of_a_record(keeper):
    keys = fill(keeper, range(60))
    keeper.write([Change(one, None, {}, None, (), gone=None) for one in keys[5:]])
    assert keeper.last_key(b"\xff" * 16) == keeper.last_key(keys[4]) == keys[4]
    assert keeper.last_key(keys[4][:-1]) == keys[3]
    assert keeper.last_key(b"\0") is None


def test_sizes_are_estimated_from_some_buckets(keeper, monkeypatch):
    monkeypatch.setattr(scans, "_SAMPLE", 100)
    fill(keeper, range(400))
    assert keeper.sizes().records == pytest.approx(400, rel=0.4)
    monkeypatch.setattr(scans, "_SAMPLE", 1000)
    assert keeper.sizes().records == 400


def test_notes_are_kept_together_or_not_at_all(keeper):
    long = os.urandom(3 * notes.PART_BYTES)
    keeper.put_notes({b"long": long, b"short": b"1"}, {b"profile": b"p", b"long": None})
    assert dict(keeper.notes(b"")) == {b"long": long, b"profile": b"p", b"short": b"1"}
    assert list(keeper.notes(b"sh")) == [(b"short", b"1")]
    with pytest.raises(Outdated, match="another one"):
        keeper.put_notes({b"long": b"", b"short": b"2"}, {b"profile": b"q"})
    assert keeper.note(b"long", bytes, "x") == long
    keeper.put_notes({b"long": None, b"short": b""})
    assert dict(keeper.notes(b"")) == {b"profile": b"p", b"short": b""}
    assert keeper._connection.run("SELECT place FROM @.cgcython_note_parts WHERE tenant = ? "
                                  "ALLOW FILTERING", [keeper._tenant]) == []  # fmt: skip


def test_a_damaged_note_is_told(keeper):
    keeper.put_notes({b"long": bytes(3000)})
    keeper._connection.run(
        "UPDATE @.cgcython_notes SET digest = ? WHERE tenant = ? AND name = ?",
        [b"1", keeper._tenant, b"long"],
    )
    with pytest.raises(StorageCorruption, match=r"the long one.*SHA-256"):
        keeper.note(b"long", bytes, "the long one")


def test_a_request_of_unknown_outcome_is_looked_at(keeper, monkeypatch):
    together = Connection.run_together

    def lost(self, *given):
        together(self, *given)
        monkeypatch.setattr(Connection, "run_together", together)
        raise StoreUnavailable(path="x", reason="it did not answer")

    monkeypatch.setattr(Connection, "run_together", lost)
    keeper.put_notes({b"a": b"1"}, {b"a": None})
    assert keeper.note(b"a", bytes, "x") == b"1"


def test_changes_are_told_by_embedder(keeper):
    start = keeper.position()
    keys = fill(keeper, range(300))
    assert keeper.changes_since(start) == keeper.changes_since(0, 12) == keys
    assert keeper.changes_since(0, 1) == []
    assert keeper.position() > start


def test_changes_of_long_ago_are_not_known(keeper, monkeypatch):
    position = keeper.position()
    monkeypatch.setattr(journal, "CHANGES_KEPT_S", -10)
    assert keeper.changes_since(position) is None


def test_a_write_that_took_long_is_told_again(open_cql, cql_url):
    keeper = open_cql(cql_url + "&overlap=1&timeout=0.5")
    attempt = keeper._connection.attempt_all

    def slow(*given):
        import time

        time.sleep(1.1)
        return attempt(*given)

    keeper._connection.attempt_all = slow
    keeper.write([added(1)])
    assert keeper.changes_since(keeper.position() + 500_000) == [key(1)]


def test_two_keepers_have_other_stamps_and_the_later_write_stays(keeper, open_cql):
    other = open_cql()
    assert keeper._writer != other._writer
    fill(keeper, [1])
    ahead = keeper._stamps.next(above=keeper._stamps.last + 3_000_000)  # a clock three seconds on
    keeper.write([added(1, head=b"ahead")])
    assert other.heads([key(1)]) == [b"ahead"]
    other.write([added(1, head=b"later", before=b"ahead")])
    assert keeper.heads([key(1)]) == [b"later"]
    assert other._stamps.last > ahead
    fresh = open_cql()
    fresh.write([added(1, head=b"unread", before=b"later")])
    assert keeper.heads([key(1)]) == [b"unread"]


def test_embedders_come_later(keeper, open_cql):
    keeper.add_embedders([*NUMBERS, 40, 41])
    keeper.write([added(1, sections={40: b"forty"})])
    assert open_cql().records([key(1)]) == [Record(head(1), {40: b"forty"})]
    keeper.write([added(2, sections={50: b"fifty"})])
    assert open_cql().records([key(2)], [50]) == [Record(head(2), {50: b"fifty"})]


def test_random_changes_leave_what_a_dict_has(keeper):
    rng, known = random.Random(5), {}
    for _ in range(60):
        one = rng.randrange(8)
        before = known.get(one)
        sections = {n: rng.randbytes(20) for n in NUMBERS if rng.random() < 0.6}
        partial, new = rng.random() < 0.5 and before is not None, rng.randbytes(6)
        if rng.random() < 0.2:
            new, sections, partial = None, {}, False
        keeper.write([Change(key(one), new, sections, before and before[0], NUMBERS, partial)])
        known[one] = (new, {**(before[1] if partial else {}), **sections}) if new else None
    want = {key(one): Record(*record) for one, record in known.items() if record}
    assert dict(keeper.scan_records()) == want
    assert dict(zip(sorted(want), keeper.records(sorted(want)))) == want


def test_the_child_of_a_fork_and_a_closed_keeper_are_refused(keeper):
    fill(keeper, [1])
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            keeper.heads([key(1)])
        except StoreUnavailable as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as told:
        assert b"before a fork" in told.read()
    assert keeper.heads([key(1)]) == [head(1)]
    scan = keeper.scan_heads()
    keeper.close()
    keeper.close()
    for call in (lambda: keeper.heads([key(1)]), lambda: fill(keeper, [2]), lambda: list(scan)):
        with pytest.raises(StoreUnavailable, match="closed"):
            call()


def test_a_reader_writes_nothing(cql_url, open_cql):
    with closing(keepers.CqlKeeper(cql_url + "&consistency=ONE", read_only=True)) as reader:
        assert reader.how == "read_only=True"
        for call in (lambda: fill(reader, [1]), lambda: reader.put_notes({b"a": b""})):
            with pytest.raises(StoreUnavailable, match="read_only=True"):
                call()
    assert open_cql().sizes().records == 0
