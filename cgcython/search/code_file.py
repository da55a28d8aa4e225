"""A CodeIndex in one safetensors file, mapped into memory; believes nothing it reads back."""

import json
from typing import NamedTuple
from zlib import crc32

import numpy as np
from safetensors import SafetensorError

from cgcython.errors import CodebookMissing, StorageCorruption, UnsupportedVersion
from cgcython.tensors import read_tensors, write_tensors

FORMAT, VERSION = "cgcython-codes", "1"
BLOCK = 64  # codes side by side, as kernels.adc.topk_blocks reads them
MALFORMED = (AttributeError, KeyError, RecursionError, SafetensorError, TypeError, ValueError)


class Content(NamedTuple):
    """The arrays of an index; `ids` is None where rows count from 0."""

    blocks: np.ndarray
    ids: np.ndarray | None
    count: int


def save(path, content, codebook_id):
    """Write an index, whole or not at all."""
    arrays = {"blocks": content.blocks}
    if content.ids is not None:
        arrays["ids"] = np.ascontiguousarray(content.ids, "<i8")
    about = json.dumps({"count": content.count, "codebook_id": codebook_id})
    checksums = {name: _crc(array) for name, array in arrays.items()}
    checksums["about"] = crc32(about.encode())
    texts = {"format": FORMAT, "version": VERSION, "about": about, "crc32": json.dumps(checksums)}
    write_tensors(path, arrays, texts)


def load(path, codebook, verify):
    """Return the Content of a file, its arrays mapped, if the codebook made its codes.

    Raises StorageCorruption, UnsupportedVersion or CodebookMissing.
    """
    try:
        arrays, texts = read_tensors(path)
        about = _checked(arrays, texts, path, verify)
        # Still mapped, but plain arrays, so that what is taken out of them is plain too.
        arrays = {name: np.asarray(array) for name, array in arrays.items()}
        content = Content(arrays["blocks"], arrays.get("ids"), about["count"])
        _require_shapes(content)
    except MALFORMED as error:
        raise StorageCorruption(
            where=str(path), reason=f"{type(error).__name__}: {error}"
        ) from None
    if about["codebook_id"] != codebook.codebook_id:
        raise CodebookMissing(codebook_id=about["codebook_id"])
    if content.blocks.shape[1] != codebook.num_subvectors:
        raise StorageCorruption(
            where=str(path), reason="its codes are not as long as its codebook's"
        )
    return content


def _checked(arrays, texts, path, verify):
    if texts.get("format") != FORMAT:
        raise ValueError(f"its format is {texts.get('format')!r}, not {FORMAT!r}")
    if texts["version"] != VERSION:
        reason = f"it has version {texts['version']}, this release reads {VERSION}"
        raise UnsupportedVersion(where=str(path), reason=reason)
    if not {"blocks"} <= arrays.keys() <= {"blocks", "ids"}:
        raise ValueError(f"it holds {', '.join(sorted(arrays)) or 'nothing'}")
    expected, about = json.loads(texts["crc32"]), json.loads(texts["about"])
    found = {"about": crc32(texts["about"].encode())}
    if verify:
        found |= {name: _crc(array) for name, array in arrays.items()}
    for name, checksum in found.items():
        if expected[name] != checksum:
            raise ValueError(f"the checksum of {name} differs")
    if type(about["count"]) is not int or type(about["codebook_id"]) is not int:
        raise ValueError(f"it is about {about}")
    return about


def _require_shapes(content):
    blocks, ids, count = content
    if blocks.dtype != np.uint8 or blocks.ndim != 3 or blocks.shape[2] != BLOCK:
        raise ValueError(f"blocks are {blocks.dtype} {blocks.shape}")
    if count < 0 or len(blocks) != -(-count // BLOCK):
        raise ValueError(f"{len(blocks)} blocks do not hold {count} rows")
    if ids is not None and (ids.dtype != np.int64 or ids.shape != (count,)):
        raise ValueError(f"ids are {ids.dtype} {ids.shape} of {count} rows")


def _crc(array):
    return crc32(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
