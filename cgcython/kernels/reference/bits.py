"""Sign codes by definition: one bit per value, most significant bit first, padding zero."""

import numpy as np

from cgcython.kernels.reference.door import (
    agree,
    first_nonfinite,
    plain_out,
    plain_vector,
    require_apart,
    vector_out,
    writes,
)


def pack_vector(values, dim, threshold, out=None):
    """Return one vector's bits, value >= threshold: new bytes, or `out`, a plain u8 array.

    Returns None where a closer look at either is needed.
    """
    if not plain_vector(values, dim) or not (out is None or plain_out(out, (dim + 7) // 8)):
        return None
    if out is not None:
        require_apart("out", out, "values", values)
    packed = np.packbits(values >= np.float32(threshold))
    if out is None:
        return packed.tobytes()
    out[:] = packed
    return out


@writes("packed")
def pack_rows(values, threshold, packed):
    """Write each row's bits, value >= threshold; return the first non-finite index, or -1."""
    agree("packed", packed.shape[0], "values", values.shape[0])
    _check_width(packed.shape[1], values.shape[1])
    bad = first_nonfinite(values)
    if bad < 0:
        packed[:] = np.packbits(values >= np.float32(threshold), axis=1)
    return bad


def unpack_vector(packed, num_bits, out=None):
    """Return +1 for each set bit and -1 for each other, as a new array or in `out`.

    Returns None where `out` is no plain, writable float32 array of num_bits.
    """
    _check_width(len(packed), num_bits)
    values = vector_out(out, num_bits)
    if values is not None:
        unpack_rows(np.frombuffer(packed, np.uint8)[None], values[None])
    return values


@writes("values")
def unpack_rows(packed, values):
    """Write +1 for each set bit and -1 for each other."""
    agree("values", values.shape[0], "packed", packed.shape[0])
    _check_width(packed.shape[1], values.shape[1])
    bits = np.unpackbits(packed, axis=1)[:, : values.shape[1]]
    values[:] = bits * np.float32(2) - np.float32(1)


def hamming(a, b):
    """Return the number of bits in which two byte strings of equal length differ."""
    if hasattr(a, "mask") or hasattr(b, "mask"):
        raise ValueError("a masked array shows the bytes that it masks")
    a, b = (np.frombuffer(memoryview(x).cast("B"), np.uint8) for x in (a, b))
    agree("a", len(a), "b", len(b))
    return int(np.bitwise_count(a ^ b).sum(dtype=np.int64))


@writes("distances")
def hamming_rows(query, codes, distances):
    """Write the Hamming distance of the query to each row of codes."""
    agree("a row of codes", codes.shape[1], "query", query.shape[0])
    agree("distances", distances.shape[0], "codes", codes.shape[0])
    distances[:] = np.bitwise_count(codes ^ query).sum(axis=1)


@writes("out")
def agreement_rows(query, codes, num_bits, out):
    """Write the fraction of num_bits in which the query and each row of codes agree."""
    agree("a row of codes", codes.shape[1], "query", query.shape[0])
    agree("out", out.shape[0], "codes", codes.shape[0])
    if num_bits < 1 or codes.shape[1] != (num_bits + 7) // 8:
        raise ValueError(f"a row of codes holds {codes.shape[1]} bytes for {num_bits} bits")
    distances = np.empty(len(codes), np.uint32)
    hamming_rows(query, codes, distances)
    out[:] = 1 - distances.astype(np.float32) / np.float32(num_bits)


@writes("ids", "distances")
def hamming_topk(query, codes, ids, distances):
    """Write the nearest rows of codes by (distance, index), ascending."""
    agree("distances", distances.shape[0], "ids", ids.shape[0])
    if len(ids) > len(codes):
        raise ValueError(f"ids holds {len(ids)}, codes holds {len(codes)}")
    every = np.empty(len(codes), np.uint32)
    hamming_rows(query, codes, every)
    ids[:] = np.argsort(every, kind="stable")[: len(ids)]
    distances[:] = every[ids]


@writes()
def padding_is_zero(packed, num_bits):
    """Return whether every bit after the first num_bits of each row is 0."""
    _check_width(packed.shape[1], num_bits)
    return not np.unpackbits(packed, axis=1)[:, num_bits:].any()


def _check_width(width, num_bits):
    if num_bits < 0 or width != (num_bits + 7) // 8:
        raise ValueError(f"a row of packed holds {width} bytes for {num_bits} bits")
