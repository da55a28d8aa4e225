"""A CodeIndex in one safetensors file, mapped into memory; nothing in it is believed unchecked.

Version 1 holds product-quantization codes searched by squared distance, version 2 all others.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from cgcython import strict_json
from cgcython.base import QuantizationMethod
from cgcython.errors import UnsupportedVersion
from cgcython.tensors import ArrayForm, FileKind, Malformed
from cgcython.types import Array, Int64Array, StrPath

KIND = FileKind("cgcython-codes", "1", ("about",))
KIND_2 = KIND._replace(version="2")
BLOCK = 64  # codes side by side, as kernels.adc.topk_blocks reads them
MOST_ROWS = 2**63 - 1
IDS = {
    "ids": ArrayForm("I64", ("rows",), optional=True),
    "names": ArrayForm("U8", ("bytes",), optional=True),
    "name_ends": ArrayForm("I64", ("rows",), optional=True),
}


class Content(NamedTuple):
    """The arrays of an index; `ids` is None where rows count from 0."""

    arrays: Mapping[str, Array]  # as the codec's CodeSpace has them
    ids: Array | None  # [num_rows] of int64, or of texts and UUIDs
    num_rows: int

    def named(self, rows: Int64Array) -> Array:
        """Return the ids of rows, which are rows themselves where there are none."""
        return rows if self.ids is None else self.ids[rows]


class About(NamedTuple):
    """What a file says of its codes."""

    num_rows: int
    method: QuantizationMethod
    metric: str
    shared: Mapping[str, Any]  # of version 1 only the codebook_id
    dimension: int | None  # version 1 does not say it


def save(path: StrPath, arrays: Mapping[str, Array], about: About) -> None:
    """Write the arrays of an index and of its ids, whole or not at all."""
    facts: dict[str, Any] = {"count": about.num_rows}
    is_first = (about.method, about.metric) == (QuantizationMethod.PQ8, "l2")
    is_first = is_first and "names" not in arrays
    if is_first:
        facts["codebook_id"] = about.shared["codebook_id"]
    else:
        facts |= {"method": about.method.value, "metric": about.metric}
        facts |= {"dimension": about.dimension, "shared": dict(about.shared)}
    kind = KIND if is_first else KIND_2
    kind.write(path, arrays, {"about": strict_json.to_text(facts)})


def read(path: StrPath, verify: bool) -> tuple[Mapping[str, Array], About]:
    """Return the arrays of a file, mapped and unchecked, and what it says of them.

    Raises Malformed, UnsupportedVersion or OSError.
    """
    verified = None if verify else ()
    try:
        arrays, texts = KIND.read(path, verified)
    except UnsupportedVersion:
        arrays, texts = KIND_2.read(path, verified)
        return arrays, _about(strict_json.parse_object(texts["about"]))
    about = strict_json.parse_object(texts["about"])
    shared = {"codebook_id": _number(about, "codebook_id", 2**32 - 1)}
    count = _number(about, "count", MOST_ROWS)
    return arrays, About(count, QuantizationMethod.PQ8, "l2", shared, None)


def _about(about: Mapping[str, Any]) -> About:
    method, metric, shared = about["method"], about["metric"], about["shared"]
    if type(method) is not str or type(metric) is not str or type(shared) is not dict:
        raise Malformed("it does not say method, metric and shared")
    if "codebook_id" in shared:
        _number(shared, "codebook_id", 2**32 - 1)
    dimension = _number(about, "dimension", 2**32 - 1)
    count = _number(about, "count", MOST_ROWS)
    return About(count, QuantizationMethod(method), metric, shared, dimension)


def _number(about: Mapping[str, Any], name: str, most: int) -> int:
    found = about.get(name)
    if type(found) is not int or not 0 <= found <= most:
        raise Malformed(f"its {name} is {found!r:.40}")
    return found
