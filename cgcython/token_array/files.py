"""Tokens in one safetensors file, mapped into memory; believes nothing it reads back."""

import json
from zlib import crc32

import numpy as np
from safetensors import SafetensorError

from cgcython.errors import (
    CodebookMissing,
    InvalidInput,
    QuantizationError,
    StorageCorruption,
    UnsupportedVersion,
)
from cgcython.tensors import read_tensors, write_tensors

FORMAT, VERSION = "cgcython-tokens", "1"

MALFORMED = (AttributeError, KeyError, RecursionError, SafetensorError, TypeError, ValueError)


def save(tokens, path):
    """Write a compact TokenArray."""
    arrays = {"values": tokens.values, "offsets": tokens.offsets}
    if tokens.scales is not None:
        arrays["scales"] = tokens.scales
    book = tokens.codebook
    about = {
        "precision": tokens.precision,
        "dim": tokens.dim,
        "codebook_id": None if book is None else book.codebook_id,
    }
    about = json.dumps(about)
    checksums = {name: _crc(array) for name, array in arrays.items()}
    checksums["about"] = crc32(about.encode())
    texts = {"format": FORMAT, "version": VERSION, "about": about, "crc32": json.dumps(checksums)}
    write_tensors(path, arrays, texts)


def load(kind, path, codebook, verify):
    """Return the `kind` (TokenArray) of a file, its arrays mapped."""
    try:
        arrays, texts = read_tensors(path)
        about = _checked(arrays, texts, path, verify)
        codebook_id = about["codebook_id"]
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        SafetensorError,
    ) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from None
    _require_codebook(codebook, codebook_id)
    try:
        return kind(
            arrays["values"],
            arrays["offsets"],
            str(about["precision"]),
            dim=about["dim"],
            scales=arrays.get("scales"),
            codebook=codebook,
            finite=verify,
        )
    except (QuantizationError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def _checked(arrays, texts, path, verify):
    if texts.get("format") != FORMAT:
        raise ValueError(f"its format is {texts.get('format')!r}, not {FORMAT!r}")
    if texts["version"] != VERSION:
        reason = f"it has version {texts['version']}, this release reads {VERSION}"
        raise UnsupportedVersion(where=str(path), reason=reason)
    if not {"values", "offsets"} <= arrays.keys() <= {"values", "offsets", "scales"}:
        raise ValueError(f"it holds {', '.join(sorted(arrays)) or 'nothing'}")
    read = arrays if verify else ["offsets"]
    found = {name: _crc(arrays[name]) for name in read}
    _require_same(json.loads(texts["crc32"]), {**found, "about": crc32(texts["about"].encode())})
    return json.loads(texts["about"])


def _require_same(expected, found):
    for name, checksum in found.items():
        if expected[name] != checksum:
            raise ValueError(f"the checksum of {name} differs")


def _require_codebook(codebook, codebook_id):
    if codebook_id is not None and codebook is None:
        raise CodebookMissing(codebook_id=codebook_id)
    actual = None if codebook is None else codebook.codebook_id
    if actual != codebook_id:
        raise InvalidInput(what="codebook", expected=codebook_id, actual=actual)


def _crc(array):
    return crc32(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")


def _damaged(path, reason):
    return StorageCorruption(where=str(path), reason=reason)
