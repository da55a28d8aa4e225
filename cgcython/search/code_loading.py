"""Writes an index of codes to a file, and returns what a file holds after checking all of it."""

from typing import Any

from cgcython.codecs.base import codec_class
from cgcython.errors import CodebookMissing, InvalidInput
from cgcython.files import as_path
from cgcython.search import code_file
from cgcython.search.code_file import About, Content
from cgcython.search.code_ids import names_of_arrays, names_to_arrays
from cgcython.search.code_space import CodeSpace
from cgcython.search.code_spaces import space_of
from cgcython.tensors import Malformed, require_arrays, told_as_damage
from cgcython.types import Array, StrPath


def save(path: StrPath, space: CodeSpace, content: Content) -> None:
    """Write an index, whole or not at all."""
    codec = space.codec
    about = About(content.num_rows, codec.method, space.metric, space.shared, codec.dim)
    arrays = dict(content.arrays)
    if content.ids is not None:
        has_names = content.ids.dtype == object
        arrays |= names_to_arrays(content.ids) if has_names else {"ids": content.ids}
    code_file.save(path, arrays, about)


def load(path: StrPath, codec: object, verify: bool) -> tuple[CodeSpace, Content]:
    """Return the space and content of a file, the arrays mapped.

    Raises StorageCorruption, UnsupportedVersion, CodebookMissing, FileUnavailable or InvalidInput.
    """
    path = as_path(path)
    given = None if codec is None else space_of(codec, None).codec
    with told_as_damage(path):
        arrays, about = code_file.read(path, verify)
        made_by = _told(about) if given is None else given
    if given is not None:
        _require_codec(given, about)
    with told_as_damage(path):
        space = space_of(made_by, about.metric)
        forms = {**space.forms, **code_file.IDS}
        axes = {**space.axes(about.num_rows), "rows": about.num_rows}
        found = require_arrays(arrays, forms, axes)
        ids = _ids_of(found)
    return space, Content(found, ids, about.num_rows)


def _ids_of(arrays: dict[str, Array]) -> Array | None:
    """Take the ids out of the arrays of a file."""
    numbers, names, ends = (arrays.pop(name, None) for name in code_file.IDS)
    if names is None and ends is None:
        return numbers
    if numbers is not None or names is None or ends is None:
        raise Malformed("its rows have names in part")
    return names_of_arrays(names, ends)


def _told(about: About) -> Any:
    """Return the codec that a file names; that of a codebook must be given."""
    kind = codec_class(about.method)
    if kind.needs_codebook:
        raise CodebookMissing(codebook_id=about.shared.get("codebook_id"))
    codec: Any = kind.for_dimension(about.dimension or 0, **about.shared)
    return space_of(codec, None).codec


def _require_codec(codec: Any, about: About) -> None:
    """Raise the error of a codec that did not make the codes."""
    if codec.method is not about.method:
        expected = f"the codec of its {about.method} codes"
        raise InvalidInput(what="codec", expected=expected, actual=codec.method)
    shared = space_of(codec, None).shared
    if about.dimension is None:  # version 1
        shared = {"codebook_id": shared["codebook_id"]}
    if shared != about.shared and "codebook_id" in shared:
        raise CodebookMissing(codebook_id=about.shared.get("codebook_id"))
    if shared != about.shared or about.dimension not in (None, codec.dim):
        expected = f"the codec of its codes, {about.dimension} values {dict(about.shared)}"
        raise InvalidInput(what="codec", expected=expected, actual=codec)
