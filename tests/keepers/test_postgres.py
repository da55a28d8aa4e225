"""The keeper of PostgreSQL keeps what the Protocol asks for: rows, notes, moments."""

import random

import pytest
from keepers.postgres_stores import NUMBERS, added, fill, head, key

from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.ids import as_key
from cgcython.store.keeper import Change, Outdated, Record
from cgcython.store.keepers import postgres as keepers
from cgcython.store.keepers.postgres import scans
from cgcython.store.keepers.postgres.connections import Link

pytestmark = pytest.mark.keepers
DAMAGE = StorageCorruption(where="a test", reason="it was asked for")


@pytest.fixture
def keeper(open_postgres):
    return open_postgres()


def test_a_store_is_made_once_with_its_notes(postgres_place, open_postgres):
    url = postgres_place()
    assert not keepers.Schema(url).exists()
    keepers.Schema(url).create({b"b": b"2", b"a": b"1"}, NUMBERS)
    keepers.Schema(url).create({b"c": b"3"}, ())
    assert keepers.Schema(url).exists()
    assert list(open_postgres(url).notes(b"")) == [(b"a", b"1"), (b"b", b"2")]


def test_a_store_is_made_whole_or_not_at_all(postgres_place):
    url = postgres_place()
    with pytest.raises(StoreUnavailable):
        keepers.Schema(url).create({b"a": None}, NUMBERS)
    assert not keepers.Schema(url).exists()
    keepers.Schema(url).create({}, NUMBERS)
    assert keepers.Schema(url).exists()


def test_records_come_back_with_the_sections_that_are_asked_for(keeper):
    fill(keeper, [1, 2])
    one, missing = keeper.records([key(1), b"none"])
    assert one == Record(head(1), {0: b"zero 1", 12: b"\1" * 3000})
    assert missing is None
    assert keeper.records([key(2), key(2)], [0, 1, 200]) == [Record(head(2), {0: b"zero 2"})] * 2
    assert keeper.heads([b"none", key(2)]) == [None, head(2)]


def test_many_records_take_one_query(keeper, monkeypatch):
    keys, queries, rows = fill(keeper, range(256)), [], Link.rows
    monkeypatch.setattr(Link, "rows", lambda *given: queries.append(given) or rows(*given))
    assert len(keeper.records(keys)) == len(keeper.heads(keys)) == 256
    assert len(queries) == 2


def test_a_change_in_part_leaves_the_other_sections(keeper):
    fill(keeper, [1])
    part = Change(key(1), head(5), {0: None, 1: b"new"}, head(1), (0, 1), partial=True)
    keeper.write([part])
    assert keeper.records([key(1)]) == [Record(head(5), {1: b"new", 12: b"\1" * 3000})]
    keeper.write([part._replace(head=head(6), sections={0: b"all"}, before=head(5), partial=False)])
    assert keeper.records([key(1)]) == [Record(head(6), {0: b"all"})]


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


def test_emptying_the_trash_leaves_records(keeper):
    fill(keeper, [1])
    keeper.write([added(1, before=head(1), gone=b"1"), added(2, head=None, sections={}, gone=b"2")])
    assert keeper.sizes()[:2] == (1, 2)
    keeper.purge([key(2), key(1), key(3)])
    assert keeper.sizes()[:2] == (1, 0)
    assert keeper.heads([key(1)]) == [head(1)]


def test_emptying_the_trash_is_tried_again_after_a_deadlock(keeper, monkeypatch):
    keeper.write([added(1, head=None, sections={}, gone=b"1")])
    purge, calls = keeper._writer.purge, []

    def deadlocked_once(link, keys):
        calls.append(keys)
        if len(calls) == 1:
            link.run("DO $$ BEGIN RAISE 'deadlock' USING ERRCODE = '40P01'; END $$")
        purge(link, keys)

    monkeypatch.setattr(keeper._writer, "purge", deadlocked_once)
    keeper.purge([key(1)])
    assert len(calls) == 2
    assert keeper.gone([key(1)]) == [None]


def test_sections_without_a_record_are_reported(keeper):
    left = Change(key(1), None, {}, head(1), (), partial=True)
    fill(keeper, [1])
    keeper.write([left])
    assert [one.head for one in keeper.records([key(1)])] == [None]
    assert [one.head for _, one in keeper.scan_records()] == [None]
    assert list(keeper.scan_heads()) == []
    keeper.write([left._replace(before=None, sections={0: None, 12: None})])
    assert keeper.records([key(1)]) == [None]
    assert list(keeper.scan_records()) == []


@pytest.mark.parametrize(
    ("number", "before"), [(1, None), (1, head(9)), (1, b""), (2, head(9)), (2, b"")]
)
def test_a_record_that_is_another_by_now_is_not_overwritten(keeper, number, before):
    fill(keeper, [1])
    position = keeper.position()
    with pytest.raises(Outdated):
        keeper.write([added(3), added(number, head=head(4), before=before)])
    assert keeper.heads([key(1), key(2), key(3)]) == [head(1), None, None]
    assert keeper.changes_since(position) == []


def test_a_record_that_could_not_be_read_is_overwritten(keeper):
    fill(keeper, [1])
    keeper.write([added(1, head=head(2), before=DAMAGE), added(3, before=DAMAGE)])
    assert keeper.heads([key(1), key(3)]) == [head(2), head(3)]


def test_scans_are_in_order_whatever_the_pages(keeper, monkeypatch):
    keys = fill(keeper, range(40))
    for name in ("_HEADS", "_SECTIONS", "_RECORDS"):
        monkeypatch.setattr(scans, name, 7)
    assert [one for one, _ in keeper.scan_heads()] == keys
    assert [one for stretch in keeper.scan_sections(12) for one in stretch.keys] == keys
    assert [one for one, _ in keeper.scan_records()] == keys
    assert dict(keeper.scan_records()) == dict(zip(keys, keeper.records(keys)))
    assert list(keeper.scan_sections(1)) == list(keeper.scan_sections(99)) == []


def test_parts_divide_integers_that_are_all_in_one_stripe(keeper, monkeypatch):
    keys = [as_key(number) for number in range(400)]
    keeper.write([added(0, key=one) for one in keys])
    assert [len(list(keeper.scan_sections(0, part))) for part in keeper.parts()] == [1]
    monkeypatch.setattr(scans, "_LEAST_RECORDS", 20)
    found = [
        [key for stretch in keeper.scan_sections(0, part) for key in stretch.keys]
        for part in keeper.parts()
    ]
    assert [key for part in found for key in part] == keys
    assert len(found) == 16
    assert max(map(len, found)) < 30


def test_stripes_divide_the_keys_in_order(keeper):
    keys = [*fill(keeper, range(100)), b"\xff" * 513]
    keeper.write([added(200, key=keys[-1])])
    stripes = range(keeper.stripes())
    assert [one for stripe in stripes for one, _ in keeper.scan_heads(stripe=stripe)] == keys
    assert all(len(list(keeper.scan_records(stripe))) for stripe in stripes)
    for prefix in (keys[3][:1], keys[3], b"\xff", b"\xff" * 513, b"\xff" * 514, b"\x10\xff"):
        found = [one for one, _ in keeper.scan_heads(prefix)]
        assert found == [one for one in keys if one.startswith(prefix)]


def test_the_last_key_is_a_records(keeper):
    keys = fill(keeper, range(9))
    keeper.write([Change(b"\xfe", None, {}, None, (), gone=b"trash")])
    assert keeper.last_key(b"\xff") == keys[-1]
    assert keeper.last_key(keys[3]) == keys[3]
    assert keeper.last_key(keys[3][:-1]) == keys[2]
    assert keeper.last_key(b"") is None


def test_notes_are_compared_before_they_are_replaced(keeper):
    keeper.put_notes({b"a": b"1", b"profile": None}, {b"a": None, b"profile": b"p"})
    assert list(keeper.notes(b"")) == [(b"a", b"1")]
    for expected in ({b"a": None}, {b"a": b"2"}, {b"b": b""}, {b"a": b"1", b"profile": b"p"}):
        with pytest.raises(Outdated):
            keeper.put_notes({b"a": b"3"}, expected)
    keeper.put_notes({b"a": b"4"})
    assert keeper.note(b"a", bytes, "a") == b"4"
    assert keeper.note(b"b", bytes, "b") is None


def test_a_damaged_note_is_named(keeper):
    def parse(_):
        raise StorageCorruption(where="somewhere", reason="asked for")

    with pytest.raises(StorageCorruption, match="the profile is damaged: asked for"):
        keeper.note(b"profile", parse, "the profile")


def test_a_moment_stays_as_it_was(keeper):
    keys = fill(keeper, range(5))
    with keeper.moment() as then:
        keeper.write([added(0, head=None, sections={}, before=head(0)), added(9)])
        assert [one for one, _ in then.scan_heads()] == keys
        assert then.heads([key(0), key(9)]) == [head(0), None]
        assert set(keeper.changes_since(then.position())) == {key(0), key(9)}
    with pytest.raises(StoreUnavailable, match="closed"):
        then.heads([key(0)])


def test_a_moment_is_over_once_its_store_is_closed(keeper):
    with keeper.moment() as then:
        keeper.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            then.heads([key(0)])


def test_columns_of_another_process_are_seen(keeper, open_postgres):
    other = open_postgres()
    other.add_embedders([0, 200])
    other.write([added(1, sections={200: b"new"})])
    keeper.write([added(1, head=head(2), before=head(1))])
    assert other.records([key(1)]) == [Record(head(2), {0: b"zero 1", 12: b"\1" * 3000})]
    assert keeper.records([key(1)], [200]) == [Record(head(2), {})]


def test_it_says_how_it_was_opened(keeper, open_postgres):
    reader = open_postgres(read_only=True)
    assert (keeper.how, reader.how) == ("durability='wal'", "read_only=True")
    assert open_postgres(sync=True).how == "durability='sync'"
    with pytest.raises(StoreUnavailable, match="read_only=True"):
        reader.write([added(1)])
    assert keeper.folder == reader.folder


def test_no_two_stores_share_a_folder(keeper, postgres_place, open_postgres):
    keepers.Schema(url := postgres_place()).create({}, NUMBERS)
    assert keeper.folder.name != open_postgres(url).folder.name


def test_room_is_given_back_and_sizes_are_told(keeper):
    keys = fill(keeper, range(100))
    keeper.compact()
    assert keeper.sizes()[:2] == (100, 0)
    assert keeper.sizes().disk_bytes > 100 * 3000
    keeper.write([Change(one, None, {}, keeper.heads([one])[0], ()) for one in keys])
    keeper.compact()
    assert keeper.sizes()[:2] == (0, 0)


def test_it_keeps_what_a_dict_keeps(keeper):
    rng, kept = random.Random(5), {}
    for step in range(200):
        number = rng.randrange(8)
        before = kept.get(key(number))
        sections = {one: rng.choice([None, rng.randbytes(4000)]) for one in rng.sample(NUMBERS, 2)}
        partial = rng.random() < 0.5
        new = head(step) if before is None or rng.random() < 0.8 else None
        if new is None:
            partial, sections = False, {}
        old = before.head if before else None
        keeper.write([Change(key(number), new, sections, old, NUMBERS, partial)])
        stays = {**before.sections} if partial and before else {}
        left = {n: one for n, one in {**stays, **sections}.items() if one is not None}
        kept[key(number)] = None if new is None else Record(new, left)
    assert keeper.records(sorted(kept)) == [kept[one] for one in sorted(kept)]
