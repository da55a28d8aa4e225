"""What systems do differently is asked in one place, and nothing else needs POSIX."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cgcython
from cgcython import system

PACKAGE = Path(cgcython.__file__).parent
# What Windows, or macOS, lacks of the modules that the package uses.
ABSENT_OF_OS = (
    "fork register_at_fork O_DIRECTORY sched_getaffinity pwrite pread fchmod fchown geteuid getuid "
    "statvfs getpgid setsid killpg mkfifo nice posix_fallocate O_NONBLOCK O_CLOEXEC chown"
).split()
ABSENT_OF_SIGNAL = "SIGHUP SIGKILL SIGUSR1 SIGALRM alarm pthread_kill pthread_sigmask".split()
ABSENT_OF_MMAP = "MADV_DONTNEED MADV_RANDOM MADV_NORMAL MADV_WILLNEED MADV_SEQUENTIAL".split()
ABSENT_MODULES = "fcntl resource pwd grp termios tty pty".split()
WITHOUT_POSIX = f"""
import mmap, os, signal, sys
import multiprocessing.resource_tracker, random, subprocess, tempfile  # which ask on their own
for name in {ABSENT_OF_OS!r}:
    if hasattr(os, name): delattr(os, name)
for name in {ABSENT_OF_SIGNAL!r}:
    if hasattr(signal, name): delattr(signal, name)
for name in {ABSENT_OF_MMAP!r}:
    delattr(mmap, name)
for name in {ABSENT_MODULES!r}:
    sys.modules[name] = None
"""
IMPORT_ALL = """
import importlib, pkgutil, cgcython
OPTIONAL = {"dask", "distributed", "fsspec", "psycopg", "cassandra", "torch", "numcodecs", "zarr",
            "tornado", "sentence_transformers"}
for module in pkgutil.walk_packages(cgcython.__path__, "cgcython."):
    if module.name != "cgcython.__main__" and ".kernels." not in module.name:
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            if (error.name or "").partition(".")[0] not in OPTIONAL: raise
"""
MAIN_JOB = """
import numpy as np
from uuid import UUID
from cgcython import Fingerprint, FingerprintStore
folder, rows = sys.argv[1], np.random.default_rng(0).standard_normal((20, 1024))
with FingerprintStore.open(folder) as store:
    for number, row in enumerate(rows):
        store.store(UUID(int=number), Fingerprint({"E9": row.tolist()}))
with FingerprintStore.open(folder) as store:
    hits = store.search(Fingerprint({"E9": rows[3].tolist()}), k=3)
    assert hits[0].id == UUID(int=3), hits
print("found")
"""


def run(code, *arguments):
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_module_is_imported_where_posix_is_absent():
    run(WITHOUT_POSIX + IMPORT_ALL)


def test_a_store_is_written_and_searched_where_posix_is_absent(tmp_path):
    assert run(WITHOUT_POSIX + MAIN_JOB, tmp_path / "store") == "found\n"


SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "system.py"]
ABSENT = {"os": ABSENT_OF_OS, "signal": ABSENT_OF_SIGNAL, "mmap": ABSENT_OF_MMAP}


def posix_names(tree):
    """Return what a module uses that only POSIX has, with its lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            known = ABSENT.get(node.value.id, ())
            if node.attr in known:
                yield f"{node.value.id}.{node.attr}, line {node.lineno}"
        elif isinstance(node, ast.Import):
            yield from (f"{a.name}, line {node.lineno}" for a in node.names if is_posix(a.name))
        elif isinstance(node, ast.ImportFrom) and is_posix(node.module or ""):
            yield f"{node.module}, line {node.lineno}"


def is_posix(module):
    return module in ABSENT_MODULES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_system_asks_for_what_posix_alone_has(path):
    assert not list(posix_names(ast.parse(path.read_text(encoding="utf-8"))))


ENCODE = """
import numpy as np
from pathlib import Path
from cgcython.cli import main
folder = Path(sys.argv[1])
np.save(folder / "docs.npy", np.random.default_rng(0).standard_normal((300, 1024)).astype("f4"))
assert main(["encode", f"E9={folder / 'docs.npy'}", "--out", str(folder / "shards")]) == 0
assert main(["search", f"E9={folder / 'docs.npy'}:0", "--shards", str(folder / "shards")]) in (0, 2)
"""


def test_a_mapped_file_is_encoded_where_posix_is_absent(tmp_path):
    run(WITHOUT_POSIX + ENCODE, tmp_path)
    assert (tmp_path / "shards" / "manifest.json").is_file()


def text_files_without_encoding(tree):
    """Return the lines at which a file is opened as text without an encoding."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and named(node.func) in TEXT:
            words = {word.arg for word in node.keywords}
            modes = [one.value for one in node.args if isinstance(one, ast.Constant)]
            told = "encoding" in words or "utf-8" in modes
            if not told and not any("b" in str(mode) for mode in modes[-1:]):
                yield node.lineno


TEXT = {"open", "read_text", "write_text"}


def named(function):
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if getattr(function, "attr", "") in ("read_text", "write_text") else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_text_file_names_its_encoding(path):
    assert not list(text_files_without_encoding(ast.parse(path.read_text(encoding="utf-8"))))


def test_posix_names_are_recognized():
    used = "import fcntl\nos.fork()\nsignal.SIGHUP\nfrom resource import getrlimit"
    assert len(list(posix_names(ast.parse(used)))) == 4


def test_a_folder_and_a_file_are_waited_for(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x")
    waited = []
    monkeypatch.setattr(os, "fsync", waited.append)
    system.sync(tmp_path / "file")
    system.sync(tmp_path)
    assert len(waited) == 2
    monkeypatch.setattr(system, "_FOLDERS_OPEN", False)
    system.sync(tmp_path)
    assert len(waited) == 2
    system.sync(tmp_path / "file")
    assert len(waited) == 3


def test_macos_is_asked_to_empty_the_drive(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(system.fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(system.fcntl, "fcntl", lambda *call: asked.append(call[1]))
    monkeypatch.setattr(os, "fsync", lambda _: asked.append("fsync"))
    system.sync(tmp_path)
    assert asked == [51]

    def refuses(*_):
        raise OSError("not supported by a network's file system")

    monkeypatch.setattr(system.fcntl, "fcntl", refuses)
    system.sync(tmp_path)
    assert asked == [51, "fsync"]


def test_what_windows_lacks_is_done_by_what_it_has(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    for name in ("pwrite", "fchmod", "sched_getaffinity", "register_at_fork"):
        monkeypatch.delattr(os, name)
    for name in ("pthread_sigmask", "pthread_kill"):
        monkeypatch.delattr(signal, name)
    handle = os.open(path, os.O_RDWR)
    system.write_at_start(handle, b"ab")
    system.write_at_start(handle, b"c")
    system.set_mode(handle, path, 0o600)
    os.close(handle)
    assert path.read_bytes() == b"cb34"
    assert path.stat().st_mode & 0o777 == 0o600
    assert system.usable_cores() >= 1
    system.at_fork(print)
    system.unblock(system.blocked({signal.SIGINT}))
    with pytest.raises(KeyboardInterrupt):
        system.press_ctrl_c(0)
