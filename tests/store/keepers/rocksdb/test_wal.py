"""A log cut off by a kill is told from one that was damaged, at every byte of its last writes."""

import pytest

from cgcython.store.keepers.rocksdb import Database, wal
from cgcython.store.keepers.rocksdb.creation import create


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Return the log of some writes, the last one larger than a block, as a kill leaves it."""
    path = tmp_path_factory.mktemp("wal") / "db"
    create(path, {b"format": b"test"})
    files = Database(path)
    for size in (10, 50, 200, 40_000, 100):
        files.write([("records", b"k%d" % size, bytes(range(256)) * (size // 256 + 1))])
    (found,) = [one.read_bytes() for one in path.glob("*.log") if one.stat().st_size]
    files.close()
    return found


def test_a_whole_log_has_nothing_unfinished(log):
    assert wal.unfinished_bytes(log) == 0
    assert wal.unfinished_bytes(b"") == 0


def test_a_log_cut_anywhere_is_unfinished_or_whole(log):
    for end in [*range(len(log) - 2000, len(log), 17), *range(len(log) - 20, len(log))]:
        unfinished = wal.unfinished_bytes(log[:end])
        assert unfinished is not None
        assert wal.unfinished_bytes(log[: end - unfinished]) == 0


def test_a_log_cut_between_the_fragments_of_a_batch_is_unfinished(log):
    (first,) = [one for one in wal.fragments(log) if one.kind == 2]
    assert wal.unfinished_bytes(log[: first.end]) == first.end - first.at
    damaged = bytearray(log[: first.end])
    damaged[first.end - 100] ^= 1
    assert wal.unfinished_bytes(bytes(damaged)) is None


def test_batches_follow_each_other_in_a_log_and_from_one_to_the_next(log):
    cut = _last_head(log)
    assert wal.gap([("a", log)]) is None
    assert wal.gap([("a", log[:cut]), ("b", log[cut:])]) is None


def test_batches_that_begin_at_the_end_of_a_block_are_found(tmp_path):
    create(tmp_path / "db", {b"format": b"test"})
    files = Database(tmp_path / "db")
    for number in range(12_000):
        files.write([("records", b"key", bytes(number % 211))])
    (log,) = [one.read_bytes() for one in tmp_path.glob("db/*.log") if one.stat().st_size]
    files.close()
    beginnings = [one for one in wal.fragments(log) if one.kind in (1, 2)]
    assert any(one.end - one.start < 12 for one in beginnings)  # a head in two fragments
    assert wal.gap([("a", log)]) is None
    assert wal.last_sequence(log) >= 12_000


def test_a_batch_that_is_missing_is_a_gap(log):
    assert wal.gap([("a", log), ("b", log[_last_head(log) :])]) == ("a", "b", -1)
    second = 7 + int.from_bytes(log[4:6], "little")
    third = second + 7 + int.from_bytes(log[second + 4 : second + 6], "little")
    assert wal.gap([("a", log[:second]), ("b", log[third:])]) == ("a", "b", 1)


def test_zeros_that_pass_for_padding_are_a_gap(log):
    second = 7 + int.from_bytes(log[4:6], "little")
    zeroed = log[:second] + bytes(wal.BLOCK_BYTES - second) + log[wal.BLOCK_BYTES :]
    assert wal.gap([("a", zeroed)])[2] > 0


def test_a_damaged_length_does_not_pass_for_a_cut(log):
    head = _last_head(log)
    for bit in range(16):
        damaged = bytearray(log)
        damaged[head + 4 + bit // 8] ^= 1 << bit % 8
        # A shorter length is a checksum error, which RocksDB raises itself.
        length = int.from_bytes(damaged[head + 4 : head + 6], "little")
        if head + 7 + length > len(log):
            assert wal.unfinished_bytes(bytes(damaged)) is None


def _last_head(log):
    """Return where the last fragment begins: the cut there leaves a whole log."""
    return max(at for at in range(len(log) - 400, len(log)) if wal.unfinished_bytes(log[:at]) == 0)


def test_whole_and_unfinished_logs_are_not_damaged(log):
    for end in [*range(len(log) - 2000, len(log) + 1, 17), len(log)]:
        assert wal.damaged_at(log[:end]) is None


@pytest.mark.parametrize("size", [1, 2, 28, 4096])
@pytest.mark.parametrize("at", [3, 100, 3000, 33_000, -300, -30])
def test_bytes_put_in_or_taken_out_are_damage_before_the_rest_is_found(log, size, at):
    at, put_in = at % len(log), (bytes(range(1, 256)) * 17)[:size]
    for damaged in (log[:at] + put_in + log[at:], log[:at] + log[at + size :]):
        assert wal.damaged_at(damaged) is not None or wal.unfinished_bytes(damaged) != 0
        kept = wal.without_damage(damaged)
        assert wal.damaged_at(kept) is None
        assert wal.unfinished_bytes(kept) == 0


def test_what_is_whole_of_a_damaged_log_is_kept_batch_by_batch(log):
    assert wal.without_damage(log) == log
    second = 7 + int.from_bytes(log[4:6], "little")
    damaged = log[: second + 20] + b"!" + log[second + 20 :]
    assert list(wal.changes(wal.without_damage(damaged))) == [
        one for i, one in enumerate(wal.changes(log)) if i != 1
    ]


def test_a_number_of_any_length_ends():
    assert list(wal.changes(wal.without_damage(b""))) == []
    with pytest.raises(IndexError):
        wal._varint(b"\xff" * 100, 0)
