"""What the fuzzed readers read from: small memories, their codebook, and files of bytes."""

import os
import tempfile
import zipfile
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from memories import make_memories

from cgcython import RQ8Codebook

MEMORY = next((one for one in (Path("/dev/shm"),) if os.access(one, os.W_OK)), None)


@cache
def memories():
    """Return the profile, codebooks and router of the tests, and `make(seed)`."""
    return make_memories()


@cache
def records(count=3):
    """Return some encoded memories: all embedders, fewer, and with metadata."""
    made = memories()
    every = [made.make(seed, tokens=2).encode(made.router) for seed in range(count)]
    few = made.make(9, ("E2", "E9")).encode(made.router, metadata={"source": "notes.md"})
    return [*every, few]


@cache
def codebook():
    """Return the codebook of E1."""
    return next(iter(memories().codebooks.values()))


def residual_codebook():
    """Return a small codebook of sums of three centroids."""
    stages = rng().standard_normal((3, 256, 4))
    return RQ8Codebook(stages, np.eye(6, 4), np.zeros(6))


@contextmanager
def as_file(data, name):
    """Yield the path of a file of bytes, alone in its folder."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        yield path


def file_of(save, name):
    """Return the bytes that `save(path)` writes."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        save(Path(folder, name))
        return Path(folder, name).read_bytes()


def zipped(files):
    """Return the bytes of an archive of `{name: bytes}`."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def unpacked(data):
    """Return the files of an archive; none of bytes that are no archive."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return {one: archive.read(one) for one in archive.namelist()}
    except Exception:  # the archive only carries what is tested
        return {}


def files_in(folder):
    """Return the files of a folder as `{relative path: bytes}`."""
    paths = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@contextmanager
def as_folder(files):
    """Yield a folder of files."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        for name, data in files.items():
            path = Path(folder, name)
            if Path(folder) in path.resolve().parents:  # names are the fuzzer's too
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        yield Path(folder)


def rng(seed=0):
    """Return NumPy's generator of a seed."""
    return np.random.default_rng(seed)
