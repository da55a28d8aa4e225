"""A file is whole or not there, and as private as its place or the umask says."""

import os
import stat

import pytest

from cgcython.files import write_whole, written_whole


@pytest.fixture
def umask():
    """Set the umask of this process, and set it back afterwards."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_parts_are_written_one_after_the_other(tmp_path):
    write_whole(tmp_path / "new" / "file", [b"one", memoryview(b"two")])
    assert (tmp_path / "new" / "file").read_bytes() == b"onetwo"


def interrupted_write(path):
    with written_whole(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    write_whole(tmp_path / "file", b"before")
    with pytest.raises(KeyboardInterrupt):
        interrupted_write(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_the_temporary_file_keeps_the_suffix_that_tells_its_format(tmp_path):
    with written_whole(tmp_path / "figure.svg") as temporary:
        assert temporary.suffix == ".svg"
        assert temporary.parent == tmp_path


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_the_umask_allows(umask, tmp_path, mask, mode):
    umask(mask)
    write_whole(tmp_path / "file", b"")
    assert mode_of(tmp_path / "file") == mode


def test_a_file_that_is_replaced_keeps_its_mode(umask, tmp_path):
    (tmp_path / "file").touch(mode=0o600)
    write_whole(tmp_path / "file", b"")
    assert mode_of(tmp_path / "file") == 0o600


def test_two_writers_of_one_file_do_not_share_a_temporary(tmp_path):
    with written_whole(tmp_path / "file") as one, written_whole(tmp_path / "file") as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert (tmp_path / "file").read_bytes() == b"one"
