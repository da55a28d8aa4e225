"""What a kind of file promises of its arrays: their names, dtypes and shapes, checked at once."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cgcython.tensors.damage import Malformed
from cgcython.tensors.header import DTYPES
from cgcython.types import Array


class ArrayForm(NamedTuple):
    """The dtype of an array by the names of safetensors, and its shape.

    An axis is a number, or a name: axes of one name are equally long in all arrays. `optional`
    arrays may be missing.
    """

    dtype: str
    shape: tuple[int | str, ...]
    optional: bool = False


def require_arrays(
    arrays: Mapping[str, Array],
    forms: Mapping[str, ArrayForm],
    axes: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """Return arrays after checking that they are those of some forms, and no others.

    `axes` are lengths that are known by name. What comes back is plain and aligned: nothing is
    copied unless it has to be. Raises Malformed.

    >>> form = {"codes": ArrayForm("U8", ("rows", 8)), "scales": ArrayForm("F32", ("rows",))}
    >>> codes, scales = np.zeros((2, 8), np.uint8), np.zeros(3, np.float32)
    >>> require_arrays({"codes": codes, "scales": scales}, form)
    Traceback (most recent call last):
    cgcython.tensors.damage.Malformed: scales is F32 [3], expected F32 [rows = 2]
    """
    lengths = dict(axes or {})
    for name, form in forms.items():
        if name in arrays:
            _require_form(name, arrays[name], form, lengths)
        elif not form.optional:
            raise Malformed(f"it has no array {name}")
    unknown = sorted(arrays.keys() - forms.keys())
    if unknown:
        raise Malformed(f"it has arrays that nothing reads: {', '.join(unknown):.60}")
    return {name: np.require(np.asarray(one), None, ("C", "A")) for name, one in arrays.items()}


def _require_form(name: str, array: Array, form: ArrayForm, lengths: dict[str, int]) -> None:
    fits = array.dtype == np.dtype(DTYPES[form.dtype]) and array.ndim == len(form.shape)
    for axis, length in zip(form.shape, array.shape):
        wanted = lengths.setdefault(axis, length) if isinstance(axis, str) else axis
        fits = fits and wanted == length
    if not fits:
        raise Malformed(f"{name} is {_shown(array)}, expected {_expected(form, lengths)}")


def _shown(array: Array) -> str:
    names = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
    return f"{names.get(array.dtype, array.dtype)} {list(array.shape)}"


def _expected(form: ArrayForm, lengths: Mapping[str, int]) -> str:
    known = [f"{one} = {lengths[one]}" if one in lengths else str(one) for one in form.shape]  # type: ignore[index]
    return f"{form.dtype} [{', '.join(known)}]"
