"""Many encoded embeddings as columns: cut, joined, kept in a file and mapped from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from cgcython import methods, strict_json
from cgcython.arrays import as_integers, concatenated, gathered
from cgcython.base import QuantizationMethod
from cgcython.checks import require_instance, require_items
from cgcython.errors import InvalidInput
from cgcython.files import as_path
from cgcython.tensors import FileKind, told_as_damage
from cgcython.types import Array, ArrayLike, Int64Array, StrPath

KIND = FileKind("cgcython-batch", "1", ("about",))
E4M3 = "float8_e4m3fn"  # the name of ml_dtypes' type, which need not be installed


@dataclass(frozen=True, eq=False)
class QuantizedBatch:
    """Many encoded embeddings of one embedder as columns, ready to map, scan or store.

    The codec of the method says which columns there are; each has a row per embedding, or else
    embedding i is the payload `data[offsets[i]:offsets[i + 1]]`. `shared` is what all rows have in
    common (codebook_id, threshold, layout...). `batch[10:20]` shows some rows, `batch[[7, 2]]`
    copies some.
    """

    method: QuantizationMethod
    original_dim: int
    columns: Mapping[str, Array]
    shared: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return methods.declaration(self.method.value).count_rows(self.columns)

    @property
    def nbytes(self) -> int:
        """The bytes of all columns."""
        return sum(column.nbytes for column in self.columns.values())

    def __getitem__(self, rows: slice | ArrayLike) -> "QuantizedBatch":
        """Return the batch of a slice of rows, or of an array of row numbers or of booleans."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._cut(start, max(start, stop))
            return self._taken(np.arange(start, stop, step))
        return self._taken(_row_numbers(rows, len(self)))

    def view(self, dtype: DTypeLike) -> Array:
        """Return the codes [n, bytes] as an array of another type of one byte, without a copy.

        Float8 codes are ml_dtypes.float8_e4m3fn: times `columns["scales"]` they are the values.
        Raises InvalidInput for types that the codes are not.
        """
        try:
            kind = np.dtype(dtype)
        except TypeError:
            expected = f"a dtype ({E4M3} is one after `import ml_dtypes`)"
            raise InvalidInput(what="dtype", expected=expected, actual=repr(dtype)) from None
        known = ["uint8", "int8"]
        if self.method is QuantizationMethod.FLOAT8_E4M3:
            known.append(E4M3)
        if "codes" not in self.columns or kind.name not in known:
            expected = f"codes of {self.method} as {' or '.join(known)}"
            raise InvalidInput(what="dtype", expected=expected, actual=kind)
        return self.columns["codes"].view(kind)

    @classmethod
    def concatenate(cls, batches: Iterable["QuantizedBatch"]) -> "QuantizedBatch":
        """Return the batch of the rows of several, one after the other.

        Raises InvalidInput unless they are of one method, dimension and `shared`.
        """
        parts = [require_instance(one, cls, "a batch") for one in require_items(batches, "batches")]
        if not parts:
            raise InvalidInput(what="batches", expected="at least one", actual="none")
        first = parts[0]
        for one in parts:
            if _kind_of(one) != _kind_of(first):
                expected = f"all of {_told(first)}"
                raise InvalidInput(what="batches", expected=expected, actual=_told(one))
        columns = {
            name: concatenated([one.columns[name] for one in parts])
            for name in first.columns
            if name != "offsets"
        }
        if "offsets" in first.columns:
            columns["offsets"] = _joined_offsets([one.columns["offsets"] for one in parts])
        return replace(first, columns={name: columns[name] for name in first.columns})

    def save(self, path: StrPath) -> None:
        """Write the batch to a safetensors file, whole or not at all; no codebook is in it."""
        about = {"method": self.method.value, "dimension": self.original_dim}
        about_rows = {**about, "rows": len(self), "shared": dict(self.shared)}
        KIND.write(path, dict(self.columns), {"about": strict_json.to_text(about_rows)})

    @classmethod
    def load(cls, path: StrPath, *, verify: bool = False) -> "QuantizedBatch":
        """Return the batch of a file that `save` wrote, mapped into memory and not read yet.

        `verify` reads all and compares checksums. Raises StorageCorruption, UnsupportedVersion,
        FileUnavailable, or UnknownMethod.
        """
        from cgcython.records.stored import stored_batch  # which makes batches

        path = as_path(path)
        with told_as_damage(path):
            arrays, texts = KIND.read(path, verified=None if verify else ())
            about = strict_json.parse_object(texts["about"])
            return stored_batch(about, arrays, about.pop("rows", None))

    def _cut(self, start: int, stop: int) -> "QuantizedBatch":
        if "offsets" not in self.columns:
            return self._with(slice(start, stop))
        offsets = self.columns["offsets"][start : stop + 1]
        data = self.columns["data"][offsets[0] : offsets[-1]]
        return self._with(slice(start, stop), data=data, offsets=offsets - offsets[0])

    def _taken(self, rows: Int64Array) -> "QuantizedBatch":
        if "offsets" not in self.columns:
            return self._with(rows)
        given, data = self.columns["offsets"], self.columns["data"]
        starts, stops = given[:-1][rows], given[1:][rows]
        offsets = np.concatenate([[0], np.cumsum(stops - starts)]).astype(given.dtype)
        return self._with(rows, data=gathered(data, starts, stops), offsets=offsets)

    def _with(self, rows: slice | Int64Array, **ragged: Array) -> "QuantizedBatch":
        columns = {
            name: ragged[name] if name in ragged else column[rows]
            for name, column in self.columns.items()
        }
        return replace(self, columns=columns)


def _row_numbers(rows: ArrayLike, count: int) -> Int64Array:
    """Return the numbers of rows, counted from 0; negative ones count from the end."""
    given = np.asarray(rows)
    if given.dtype == np.bool_ and given.shape == (count,):
        return np.flatnonzero(given)
    found = as_integers(given, "rows")
    if found.ndim != 1:
        expected = "a slice or an array of rows; codec.row(batch, i) returns a single one"
        raise InvalidInput(what="rows", expected=expected, actual=f"{rows!r:.40}")
    if found.size and not (found.min() >= -count and found.max() < count):
        expected, actual = f"{-count} to {count - 1}", f"{found.min()} to {found.max()}"
        raise InvalidInput(what="rows", expected=expected, actual=actual)
    numbers = found.astype(np.int64)
    return np.where(numbers < 0, numbers + count, numbers)


def _joined_offsets(parts: list[Int64Array]) -> Int64Array:
    begins = np.cumsum([0, *(one[-1] for one in parts)])
    moved = [one[1:] + begin for one, begin in zip(parts, begins)]
    return np.concatenate([parts[0][:1], *moved])


def _kind_of(batch: QuantizedBatch) -> tuple[object, ...]:
    return batch.method, batch.original_dim, dict(batch.shared), [*batch.columns]


def _told(batch: QuantizedBatch) -> str:
    shared = "".join(f", {name} {value}" for name, value in batch.shared.items())
    return f"{batch.method}, {batch.original_dim} values{shared}"
