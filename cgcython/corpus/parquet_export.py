"""Writes memories to a Parquet file: a row each, a column for each embedder and metadata key.

| what | column |
|---|---|
| ids | `id`: text; whole numbers where all are |
| metadata | a column per key: numbers, text or booleans where all values are, else JSON |
| dense | fixed-size lists of float32 |
| sparse | structs of the lists `indices` and `weights` |
| tokens | lists of fixed-size lists of float32 |

What a memory does not have is null.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cgcython.codecs.base import InputKind
from cgcython.corpus.exporting import MOST_COLUMNS, Chunk, Survey
from cgcython.inputs.columns import Embedding

_SCALARS = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


class ParquetWriter:
    """Writes each chunk as a row group."""

    def __init__(self, path: Path, survey: Survey) -> None:
        self._survey = survey
        self._fields = _fields_of(survey)
        self._types = {one: _type_of(*form) for one, form in survey.embedders.items()}
        id_type = pa.int64() if survey.id_kinds == {int} else pa.string()
        columns = [("id", id_type), *self._fields.values()]
        columns += [(one.short, kind) for one, kind in self._types.items()]
        self._schema = pa.schema(columns)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> "ParquetWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._writer.close()

    def write(self, chunk: Chunk) -> None:
        """Add the rows of a chunk."""
        is_number = self._survey.id_kinds == {int}
        arrays = [pa.array([one if is_number else str(one) for one in chunk.ids])]
        for key, (_, kind) in self._fields.items():
            arrays.append(pa.array(_values(chunk.metadata, key, kind), kind))
        for model_id, kind in self._types.items():
            form = self._survey.embedders[model_id][0]
            arrays.append(_array(chunk.embeddings[model_id], form, kind))
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))


def _fields_of(survey: Survey) -> dict[str | None, tuple[str, Any]]:
    """Return the name and type of the column of each key; of None the column of all of them."""
    taken = {"id", *(one.short for one in survey.embedders)}
    if len(survey.fields) > MOST_COLUMNS:
        return {None: ("metadata", pa.string())}
    return {
        key: (f"metadata.{key}" if key in taken else key, _field_type(kinds - {type(None)}))
        for key, kinds in sorted(survey.fields.items())
    }


def _field_type(kinds: set[type]) -> Any:
    if kinds == {int, float}:
        return pa.float64()
    return _SCALARS.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string()


def _values(metadata: Sequence[Mapping[str, Any]], key: str | None, kind: Any) -> list[Any]:
    found = [one if key is None else one.get(key) for one in metadata]
    if kind != pa.string():
        return found
    return [
        value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for value in found
    ]


def _type_of(form: InputKind, dimension: int) -> Any:
    dense = pa.list_(pa.float32(), dimension)
    if form is InputKind.SPARSE:
        return pa.struct({"indices": pa.list_(pa.uint32()), "weights": pa.list_(pa.float32())})
    return dense if form is InputKind.DENSE else pa.list_(dense)


def _array(embeddings: Sequence[Embedding | None], form: InputKind, kind: Any) -> Any:
    """Return embeddings as Arrow's array; None is null."""
    absent = np.array([one is None for one in embeddings])
    present = [one for one in embeddings if one is not None]
    if form is InputKind.SPARSE:
        return _sparse(embeddings, present, absent, kind)
    if form is InputKind.TOKENS:
        offsets = _offsets(embeddings)
        values = np.concatenate([np.asarray(one) for one in present]) if present else np.empty(0)
        items = pa.FixedSizeListArray.from_arrays(_flat(values), type=kind.value_type)
        return pa.ListArray.from_arrays(offsets, items, kind, mask=pa.array(absent))
    size = kind.list_size
    rows = [np.zeros(size) if one is None else np.asarray(one) for one in embeddings]
    flat = _flat(np.concatenate(rows))
    return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=pa.array(absent))


def _sparse(
    embeddings: Sequence[Embedding | None], present: Sequence[Any], absent: Any, kind: Any
) -> Any:
    offsets = _offsets(embeddings)
    lists = []
    for name, item in (("indices", np.uint32), ("weights", np.float32)):
        parts = [np.asarray(getattr(one, name), item) for one in present]
        values = np.concatenate(parts) if parts else np.empty(0, item)
        lists.append(pa.ListArray.from_arrays(offsets, pa.array(values)))
    return pa.StructArray.from_arrays(lists, fields=list(kind), mask=pa.array(absent))


def _flat(values: Any) -> Any:
    return pa.array(np.ascontiguousarray(values, np.float32).ravel())


def _offsets(embeddings: Sequence[Any]) -> Any:
    """Return where the items of each embedding begin, and where the last one ends."""
    sizes = [0 if one is None else getattr(one, "nnz", None) for one in embeddings]
    lengths = [len(one) if size is None else size for one, size in zip(embeddings, sizes)]
    return pa.array(np.cumsum([0, *lengths], dtype=np.int32))
