"""Tokens in one safetensors file, mapped into memory; nothing in it is believed unchecked."""

from typing import TYPE_CHECKING, Any

import numpy as np

from cgcython import strict_json
from cgcython.errors import CodebookMissing, InvalidInput
from cgcython.files import as_path
from cgcython.tensors import ArrayForm, FileKind, Malformed, require_arrays, told_as_damage
from cgcython.tensors.header import NAMES
from cgcython.token_array.lookup import require_codebook
from cgcython.token_array.precisions import precision_of
from cgcython.types import Array, CodebookLike, StrPath

if TYPE_CHECKING:
    from cgcython.token_array.array import TokenArray

KIND = FileKind("cgcython-tokens", "1", ("about",))
ABOUT = {"precision", "dim", "codebook_id"}


def save(tokens: "TokenArray", path: StrPath) -> None:
    """Write a compact TokenArray."""
    arrays: dict[str, Array] = {"values": tokens.values, "offsets": tokens.offsets}
    if tokens.scales is not None:
        arrays["scales"] = tokens.scales
    codebook_id = None if tokens.codebook is None else tokens.codebook.codebook_id
    about = {"precision": tokens.precision, "dim": tokens.dim, "codebook_id": codebook_id}
    KIND.write(path, arrays, {"about": strict_json.to_text(about)})


def load(
    kind: "type[TokenArray]", path: StrPath, codebook: CodebookLike | None, verify: bool
) -> "TokenArray":
    """Return the `kind` of a file, its arrays mapped."""
    path = as_path(path)
    with told_as_damage(path):
        arrays, texts = KIND.read(path, verified=None if verify else ("offsets",))
        about = strict_json.parse_object(texts["about"])
        if about.keys() != ABOUT:
            raise Malformed(f"it says {', '.join(sorted(about)):.60}")
        arrays = require_arrays(arrays, _forms(about["precision"]))
    _require_codebook(codebook, about["codebook_id"])
    with told_as_damage(path):
        return kind(
            arrays["values"],
            arrays["offsets"],
            about["precision"],
            dim=about["dim"],
            scales=arrays.get("scales"),
            codebook=codebook,
            finite=verify,
        )


def _forms(precision: Any) -> dict[str, ArrayForm]:
    dtype = NAMES[np.dtype(precision_of(precision).dtype).str]
    return {
        "values": ArrayForm(dtype, ("tokens", "items")),
        "offsets": ArrayForm("I64", ("ends",)),
        "scales": ArrayForm("F32", ("tokens",), optional=True),
    }


def _require_codebook(codebook: CodebookLike | None, codebook_id: Any) -> None:
    if codebook_id is not None and codebook is None:
        raise CodebookMissing(codebook_id=codebook_id)
    if codebook is not None:
        require_codebook(codebook)
    actual = None if codebook is None else codebook.codebook_id
    if actual != codebook_id:
        raise InvalidInput(what="codebook", expected=codebook_id, actual=actual)
