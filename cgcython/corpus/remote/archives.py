"""Arrays of .npz archives where they lie: what is not compressed is a stretch of bytes."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import IO

from cgcython.corpus.remote.arrays import RemoteArray
from cgcython.corpus.remote.files import npy_array
from cgcython.corpus.remote.object_file import ObjectFile
from cgcython.corpus.remote.objects import Range, RemoteObject

_HEADER_BYTES, _LENGTHS = 30, struct.Struct("<26x2H")  # of a member: its own name, and extras
FIRST_BYTES = 1 << 12  # of a member, with its header as .npy
_BUFFER_BYTES = 1 << 12


def archive_of(source: RemoteObject) -> dict[str, RemoteArray]:
    """Return the arrays of a .npz object by name. Raises ValueError where one is compressed."""
    found = {}
    with zipfile.ZipFile(io.BufferedReader(ObjectFile(source), _BUFFER_BYTES)) as archive:
        for member in archive.infolist():
            assert archive.fp is not None  # it is open
            lies = stretch_of(archive.fp, member)
            if lies is None:
                raise ValueError(f"{member.filename} is compressed; save it with numpy.savez")
            start, stop = lies
            first = source.read(start, min(start + FIRST_BYTES, stop, source.size))
            name = member.filename.removesuffix(".npy")
            found[name] = npy_array(source, first, start, min(stop, source.size))
    return found


def stretch_of(file: IO[bytes], member: zipfile.ZipInfo) -> Range | None:
    """Return which bytes of an archive a member is, None where it is compressed or encrypted."""
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        return None
    file.seek(member.header_offset)
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(b"PK\3\4"):
        raise ValueError(f"{member.filename} in it begins nowhere")
    start = member.header_offset + _HEADER_BYTES + sum(_LENGTHS.unpack(header))
    return start, start + member.compress_size
