"""Keeps the arrays of a codebook in one safetensors file, and believes nothing it reads back."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cgcython import strict_json, tensors
from cgcython.base import parse_embedder
from cgcython.checks import require_real
from cgcython.errors import CodebookCorrupt, CodebookMissing, InvalidInput, UnsupportedVersion
from cgcython.files import as_path
from cgcython.kernels.pq_layout import NUM_CENTROIDS
from cgcython.tensors import ArrayForm, Malformed, open_regular, require_arrays, told_as_damage
from cgcython.types import BytesLike, Float32Array, StrPath

VERSION = "1"


class Kind(NamedTuple):
    """A kind of codebook: what its files call it, and the forms of their arrays."""

    format: str
    forms: Mapping[str, ArrayForm]


PQ8 = Kind(
    "cgcython-pq8",
    {
        "centroids": ArrayForm("F32", ("M", NUM_CENTROIDS, "dsub")),
        "mean": ArrayForm("F32", ("dim",), optional=True),
        "rotation": ArrayForm("F32", ("dim", "width"), optional=True),
    },
)
RQ8 = Kind(
    "cgcython-rq8",
    {
        "centroids": ArrayForm("F32", ("M", NUM_CENTROIDS, "width")),
        "mean": ArrayForm("F32", ("dim",)),
        "rotation": ArrayForm("F32", ("dim", "width")),
    },
)
TEXTS = ("format", "model", "sha256", "training", "version")  # the rest of the metadata is JSON
OWN = ("format", "version", "sha256")  # what a file says of itself, not of its codebook
COSTS = ("recall10_drop", "held_out_loss")  # what a codebook costs: the first that was measured
FOLDER = "pq8_codebooks"
MOST_BYTES = 1 << 31


def codebook_path(models: StrPath, title: str) -> Path:
    """Return where the codebook of the embedder with a title (`ModelId.title`) lives.

    >>> codebook_path("models", "Semantic").as_posix()
    'models/pq8_codebooks/Semantic_codebook.safetensors'
    """
    return Path(models) / FOLDER / f"{title}_codebook.safetensors"


def train_command(path: StrPath, method: str = "pq8") -> str | None:
    """Return the command that trains the codebook missing at a path, None for a stray path.

    >>> train_command("models/pq8_codebooks/Code_codebook.safetensors")
    'cgcython train E7 --input E7=train.npy --models models'
    """
    path = as_path(path)
    if path.parent.name != FOLDER:
        return None
    try:
        embedder = parse_embedder(path.name.removesuffix("_codebook.safetensors")).short
    except InvalidInput:
        return None
    command = f"cgcython train {embedder} --input {embedder}=train.npy --models {path.parents[1]}"
    return command if method == "pq8" else f"{command} --method {method}"


def contents_hash(arrays: Mapping[str, Float32Array]) -> str:
    """Return the sha256 of named float32 arrays, shapes included, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name], "<f4").data)
    return digest.hexdigest()


def checked_facts(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata of a codebook, read-only.

    Raises InvalidInput where its costs are no numbers or what stands in a file as text is none.
    """
    facts = dict(metadata)
    for name in COSTS:
        if name in facts:
            require_real(facts[name], f"codebook metadata {name}")
    for name in TEXTS:
        if not isinstance(facts.get(name, ""), str):
            what = f"codebook metadata {name}"
            raise InvalidInput(what=what, expected="text", actual=facts[name])
    return MappingProxyType(facts)


def to_bytes(arrays: Mapping[str, Float32Array], facts: Mapping[str, Any], kind: Kind) -> bytes:
    """Return the bytes of the file of a kind of codebook.

    Raises InvalidInput for facts that JSON does not have.
    """
    given = {key: fact for key, fact in facts.items() if key not in OWN}
    facts = {"format": kind.format, "version": VERSION, **given, "sha256": contents_hash(arrays)}
    try:
        texts = {key: v if key in TEXTS else strict_json.to_text(v) for key, v in facts.items()}
    except (TypeError, ValueError) as error:
        expected = "text, finite numbers, lists and objects"
        raise InvalidInput(what="codebook metadata", expected=expected, actual=error) from None
    return tensors.to_bytes(arrays, texts)


def from_bytes(
    data: BytesLike, where: str, kinds: Sequence[Kind]
) -> tuple[Kind, dict[str, Float32Array], dict[str, Any]]:
    """Return the kind, the arrays and the facts of the bytes of a codebook file of some kinds.

    Raises CodebookCorrupt unless they are what `to_bytes` wrote, UnsupportedVersion for those of
    another release.
    """
    with told_as_damage(where, CodebookCorrupt):
        arrays, texts = tensors.from_bytes(data)
        kind = _kind_of(texts, where, kinds)
        arrays = require_arrays(arrays, kind.forms)
        if ("mean" in arrays) != ("rotation" in arrays):
            raise Malformed("it holds a mean or a rotation without the other")
        if texts.get("sha256") != contents_hash(arrays):
            raise Malformed("its sha256 does not match")
        facts = {key: text for key, text in texts.items() if key not in OWN}
        parsed = {k: v if k in TEXTS else strict_json.parse(v) for k, v in facts.items()}
    return kind, arrays, parsed


def read(path: StrPath, method: str = "pq8") -> bytes:
    """Return the bytes of a codebook file, one of a method where it has to be trained.

    Raises CodebookMissing or CodebookCorrupt.
    """
    path = as_path(path)
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise CodebookCorrupt(where=str(path), reason="it is larger than any codebook")
            return file.read()
    except Malformed as error:
        raise CodebookCorrupt(where=str(path), reason=str(error)) from None
    except FileNotFoundError:
        raise CodebookMissing(path=str(path), command=train_command(path, method)) from None
    except OSError as error:
        raise CodebookCorrupt(where=str(path), reason=error.strerror) from None


def _kind_of(texts: Mapping[str, str], where: str, kinds: Sequence[Kind]) -> Kind:
    found = next((kind for kind in kinds if texts.get("format") == kind.format), None)
    if found is None:
        known = " or ".join(repr(kind.format) for kind in kinds)
        raise Malformed(f"its format is {texts.get('format')!r:.40}, not {known}")
    if texts.get("version") != VERSION:
        reason = f"its version is {texts.get('version')!r:.40}, this release reads {VERSION!r}"
        raise UnsupportedVersion(where=f"codebook {where}", reason=reason)
    return found
