"""Keeps the arrays of a codebook in one safetensors file, and believes nothing it reads back."""

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cgcython.base import ModelId
from cgcython.errors import CodebookCorrupt, CodebookMissing, InvalidInput, UnsupportedVersion

FORMAT, VERSION = "cgcython-pq8", "1"
TENSORS = ("centroids", "mean", "rotation")
TEXTS = ("format", "model", "sha256", "training", "version")  # the rest of the metadata is JSON
OWN = ("format", "version", "sha256")  # what a file says of itself, not of its codebook
FOLDER = "pq8_codebooks"


def codebook_path(models, title):
    """Return where the codebook of the embedder with a title (`ModelId.title`) lives.

    >>> codebook_path("models", "Semantic").as_posix()
    'models/pq8_codebooks/Semantic_codebook.safetensors'
    """
    return Path(models) / FOLDER / f"{title}_codebook.safetensors"


def train_command(path):
    """Return the command that trains the codebook missing at a path, None for a stray path.

    >>> train_command("models/pq8_codebooks/Code_codebook.safetensors")
    'cgcython train E7 --input E7=train.npy --models models'
    """
    path = Path(path)
    if path.parent.name != FOLDER:
        return None
    try:
        embedder = ModelId.parse(path.name.removesuffix("_codebook.safetensors")).short
    except InvalidInput:
        return None
    return f"cgcython train {embedder} --input {embedder}=train.npy --models {path.parents[1]}"


def contents_hash(tensors):
    """Return the sha256 of named float32 arrays, shapes included, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(tensors[name], "<f4"))
    return digest.hexdigest()


def to_bytes(tensors, facts):
    """Return the bytes of a codebook file."""
    facts = {"format": FORMAT, "version": VERSION, **facts, "sha256": contents_hash(tensors)}
    texts = {key: v if key in TEXTS else json.dumps(v) for key, v in facts.items()}
    return save({n: np.ascontiguousarray(a, "<f4") for n, a in tensors.items()}, metadata=texts)


def from_bytes(data, where="bytes"):
    """Return the arrays and the facts of the bytes of a codebook file.

    Raises CodebookCorrupt unless they are what `to_bytes` wrote, UnsupportedVersion for those of
    another release.
    """
    try:
        tensors, facts = load(bytes(data)), _facts(data)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CodebookCorrupt(where=where, reason=f"no safetensors: {error}") from None
    if facts.get("format") == FORMAT and facts.get("version") != VERSION:
        reason = f"its version is {facts.get('version')!r}, this release reads {VERSION!r}"
        raise UnsupportedVersion(where=f"codebook {where}", reason=reason)
    reason = _objection(tensors, facts)
    if reason:
        raise CodebookCorrupt(where=where, reason=reason)
    return tensors, {key: fact for key, fact in facts.items() if key not in OWN}


def _facts(data):
    length = int.from_bytes(data[:8], "little")
    texts = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return {key: text if key in TEXTS else json.loads(text) for key, text in texts.items()}


def _objection(tensors, facts):
    if facts.get("format") != FORMAT:
        return f"its format is {facts.get('format')!r}, not {FORMAT!r}"
    if set(tensors) not in ({"centroids"}, set(TENSORS)):
        return f"it holds {', '.join(sorted(tensors))}"
    if any(array.dtype != np.float32 for array in tensors.values()):
        return "its arrays are not float32"
    if facts.get("sha256") != contents_hash(tensors):
        return "its sha256 does not match"
    if not all(np.isfinite(array).all() for array in tensors.values()):
        return "it holds numbers that are not finite"
    return None


def read(path):
    """Return the bytes of a codebook file; raises CodebookMissing."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise CodebookMissing(path=str(path), command=train_command(path)) from None
    except OSError as error:
        raise CodebookCorrupt(where=str(path), reason=error.strerror) from None
