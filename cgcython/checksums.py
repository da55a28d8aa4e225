"""CRC-32, the one checksum of all bytes that this package writes."""

from zlib import crc32

import numpy as np

from cgcython.types import Array, BytesLike

SIZE = 4  # bytes of a checksum, little-endian
RESIDUE = crc32(crc32(b"").to_bytes(SIZE, "little"))  # of any bytes that end in their own CRC-32

__all__ = [
    "RESIDUE",
    "SIZE",
    "address_in_c",
    "crc32",
    "ends_in_own_checksum",
    "of_array",
    "with_checksum",
]


def with_checksum(data: bytes) -> bytes:
    """Return bytes followed by their CRC-32.

    >>> ends_in_own_checksum(with_checksum(b"anything"))
    True
    """
    return data + crc32(data).to_bytes(SIZE, "little")


def ends_in_own_checksum(data: BytesLike) -> bool:
    """Return whether the last four bytes are the CRC-32 of those before them.

    Loops over many records compare `crc32(data)` with RESIDUE themselves and save a call.
    """
    return crc32(data) == RESIDUE


def of_array(array: Array) -> int:
    """Return the CRC-32 of the values of an array in C order; that of no bytes where it is empty.

    >>> of_array(np.frombuffer(b"anything", np.uint8)) == crc32(b"anything")
    True
    """
    values = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return crc32(values.data) if array.size else 0


def address_in_c() -> int:
    """Return where zlib's own function lies, which C may call without the GIL; 0 if not found.

    Python's module is linked to the library, so what is loaded with it answers to that name.
    """
    try:
        import ctypes  # here, for a Python built without it has zlib all the same
        import zlib

        function = ctypes.CDLL(zlib.__file__).crc32
    except (ImportError, OSError, AttributeError):  # zlib may be part of the interpreter
        return 0
    function.restype = ctypes.c_ulong
    function.argtypes = (ctypes.c_ulong, ctypes.c_char_p, ctypes.c_uint)
    sample = b"123456789"
    is_same = function(0, sample, len(sample)) == crc32(sample)
    return ctypes.cast(function, ctypes.c_void_p).value or 0 if is_same else 0
