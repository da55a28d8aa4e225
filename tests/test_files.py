"""A file is whole or not there, and as private as its place or the umask says."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from cgcython.errors import FileUnavailable, InvalidInput
from cgcython.files import as_path, write_whole, written_whole


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


@pytest.mark.parametrize(
    "path", ["", None, 7, b"x", "a\0b", "\ud800", ["a"], np.zeros(2)], ids=ascii
)
def test_what_can_be_no_path_is_refused(path):
    for call in (lambda: as_path(path), lambda: write_whole(path, b"")):
        with pytest.raises(InvalidInput, match="path: expected a path"):
            call()


def test_a_folder_and_a_device_are_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path(".")):
        with pytest.raises(FileUnavailable, match="no regular file"):
            write_whole(path, b"bytes")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
