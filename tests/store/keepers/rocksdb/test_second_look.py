"""What cannot be read is looked at again while files move, and damage is what stayed the same."""

import pytest

from cgcython.errors import StorageCorruption, StoreUnavailable, UnsupportedVersion
from cgcython.store.keepers.rocksdb import second_look
from cgcython.store.keepers.rocksdb.second_look import patiently

DAMAGE = StorageCorruption(where="it", reason="cut off")


class Looks:
    """A reader that fails, and has files move meanwhile, so many times."""

    def __init__(self, path, failures, moves, error=DAMAGE):
        self.path, self.failures, self.moves, self.error, self.count = (
            path,
            failures,
            moves,
            error,
            0,
        )

    def __call__(self):
        self.count += 1
        if self.count <= self.moves:
            (self.path / str(self.count)).touch()
        if self.count <= self.failures:
            raise self.error
        return "read"


@pytest.mark.parametrize("failures", range(4))
def test_it_looks_again_while_files_move(tmp_path, failures):
    looks = Looks(tmp_path, failures, failures)
    assert patiently(tmp_path, looks) == "read"
    assert looks.count == failures + 1


@pytest.mark.parametrize("moves", range(3))
def test_what_fails_twice_while_nothing_moved_is_damage(tmp_path, moves):
    looks = Looks(tmp_path, 99, moves)
    with pytest.raises(StorageCorruption, match="cut off"):
        patiently(tmp_path, looks)
    assert looks.count == moves + 2


def test_files_that_never_stand_still_are_told_as_that(tmp_path, monkeypatch):
    monkeypatch.setattr(second_look, "PATIENCE_S", 0.02)
    with pytest.raises(StoreUnavailable, match=r"changed its files all the time.*\(cut off\)"):
        patiently(tmp_path, Looks(tmp_path, 10**6, 10**6))


def test_a_later_version_is_told_at_once(tmp_path):
    looks = Looks(tmp_path, 9, 9, UnsupportedVersion(where="it", reason="version 9"))
    with pytest.raises(UnsupportedVersion):
        patiently(tmp_path, looks)
    assert looks.count == 1
