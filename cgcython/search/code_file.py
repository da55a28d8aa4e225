"""A CodeIndex in one safetensors file, mapped into memory; nothing in it is believed unchecked."""

from typing import NamedTuple

from cgcython import strict_json
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.errors import CodebookMissing
from cgcython.files import as_path
from cgcython.tensors import ArrayForm, FileKind, Malformed, require_arrays, told_as_damage
from cgcython.types import Array, Int64Array, StrPath, UInt8Array

KIND = FileKind("cgcython-codes", "1", ("about",))
BLOCK = 64  # codes side by side, as kernels.adc.topk_blocks reads them
MOST_ROWS = 2**63 - 1


class Content(NamedTuple):
    """The arrays of an index; `ids` is None where rows count from 0."""

    blocks: UInt8Array  # [ceil(num_rows / BLOCK), M, BLOCK]
    ids: Int64Array | None  # [num_rows]
    num_rows: int


def save(path: StrPath, content: Content, codebook_id: int) -> None:
    """Write an index, whole or not at all."""
    arrays: dict[str, Array] = {"blocks": content.blocks}
    if content.ids is not None:
        arrays["ids"] = content.ids
    about = strict_json.to_text({"count": content.num_rows, "codebook_id": codebook_id})
    KIND.write(path, arrays, {"about": about})


def load(path: StrPath, codebook: PQ8Codebook, verify: bool) -> Content:
    """Return the Content of a file, its arrays mapped, if the codebook made its codes.

    Raises StorageCorruption, UnsupportedVersion, CodebookMissing, FileUnavailable or InvalidInput.
    """
    path = as_path(path)
    with told_as_damage(path):
        arrays, texts = KIND.read(path, verified=None if verify else ())
        about = strict_json.parse_object(texts["about"])
        count = _number(about, "count", MOST_ROWS)
        codebook_id = _number(about, "codebook_id", 2**32 - 1)
        if codebook_id != codebook.codebook_id:
            raise CodebookMissing(codebook_id=codebook_id)
        forms = {
            "blocks": ArrayForm("U8", ("blocks", codebook.num_subvectors, BLOCK)),
            "ids": ArrayForm("I64", ("rows",), optional=True),
        }
        axes = {"blocks": -(-count // BLOCK), "rows": count}
        found = require_arrays(arrays, forms, axes)
    return Content(found["blocks"], found.get("ids"), count)


def _number(about: dict[str, object], name: str, most: int) -> int:
    found = about.get(name)
    if type(found) is not int or not 0 <= found <= most:
        raise Malformed(f"its {name} is {found!r:.40}")
    return found
