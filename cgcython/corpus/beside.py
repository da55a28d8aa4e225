"""Ids and metadata that inputs hold beside their embeddings, found by the names of columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cgcython.base import EmbedderId, Profile
from cgcython.corpus.memory_metadata import Described, MemoryMetadata, of_arrays
from cgcython.corpus.remote.arrays import RemoteArray
from cgcython.corpus.specs import IDS, METADATA, Spec
from cgcython.corpus.table_files import TableColumn
from cgcython.errors import InvalidInput, QuantizationError, UsageError
from cgcython.inputs import packages
from cgcython.types import Array

NAMES_OF_IDS = (IDS, "id")  # of columns, unless another name is given


class Sources:
    """The arrays and columns of all inputs, and which of them are embeddings."""

    def __init__(self) -> None:
        self._arrays: dict[object, Mapping[str, Any]] = {}
        self._used: dict[object, set[str]] = {}

    def add(self, spec: Spec, arrays: Mapping[str, Any], used: Collection[str]) -> None:
        """Note an input; of a file that is named twice, what both use."""
        place: object = spec.path.resolve() if spec.path != Path() else len(self._arrays)
        self._arrays.setdefault(place, arrays)
        self._used.setdefault(place, set()).update(used)

    def take_ids(self, name: str | None) -> Any:
        """Return the ids among the columns, None where there are none of such a name.

        Raises UsageError where a name is given, and nothing bears it.
        """
        for place, arrays in self._arrays.items():
            known = [name] if name is not None else NAMES_OF_IDS if has_columns(arrays) else ()
            for one in known:
                if one in arrays:
                    self._used[place].add(one)
                    return as_ids(arrays[one])
        if name is not None:
            raise UsageError(f"--ids {name}: the inputs have {self._names()}")
        return None

    def metadata(self, names: Sequence[str] | None) -> MemoryMetadata:
        """Return the metadata in some columns; without names all that tables have besides.

        Raises UsageError for a name that no input has.
        """
        missing = set(names or ()) - {name for one in self._arrays.values() for name in one}
        if missing:
            raise UsageError(f"--metadata {min(missing)}: the inputs have {self._names()}")
        return MemoryMetadata(
            [one for place in self._arrays for one in self._described(place, names)]
        )

    def _described(self, place: object, names: Sequence[str] | None) -> Iterator[Described]:
        arrays, used = self._arrays[place], self._used[place]
        if names is None:
            names = [one for one in arrays if has_columns(arrays) or one == METADATA]
            names = [one for one in names if one not in used and not _is_embedding(arrays[one])]
        wanted = {one: arrays[one] for one in names if one in arrays}
        columns = [one for one in arrays.values() if isinstance(one, TableColumn)]
        if columns:
            file, chosen = columns[0].file, tuple(wanted)
            yield Described(len(file), lambda start, stop: file.records(chosen, start, stop))
        elif wanted:
            yield of_arrays(wanted)

    def _names(self) -> str:
        return ", ".join(name for one in self._arrays.values() for name in one) or "no columns"


def as_ids(column: Any) -> Any:
    """Return ids as an array or a column of a file, or as a list of what Python has."""
    is_read_later = isinstance(column, (np.ndarray, RemoteArray, TableColumn))
    return column if is_read_later else packages.as_list(column)


class TableInMemory(dict[str, Any]):
    """The columns of a data frame or an Arrow table by name."""


def _is_embedding(column: Any) -> bool:
    return isinstance(column, TableColumn) and column.is_embedding


def has_columns(arrays: Mapping[str, Any]) -> bool:
    """Return whether columns are those of a table, in a file or in memory."""
    is_file = any(isinstance(one, TableColumn) for one in arrays.values())
    return is_file or isinstance(arrays, TableInMemory)


def embeddings_of(
    spec: Spec, columns: Mapping[str, Any], profile: Profile
) -> Iterator[tuple[EmbedderId | str, str]]:
    """Yield (embedder or "ids", the name of its column) of a table.

    Raises InvalidInput for lists of numbers under a name that the profile does not have.
    """
    if spec.target is not None:
        yield spec.target, _named(spec, columns)
        return
    for name, column in columns.items():
        if isinstance(column, TableColumn) and not column.is_embedding:
            continue
        try:
            embedder = profile.embedder(name)
        except QuantizationError as error:
            if isinstance(column, TableColumn):
                error.add_note(f"(or say which it is, as in E1={spec.path}:{name})")
                raise
            continue
        yield embedder, name


def _named(spec: Spec, columns: Mapping[str, Any]) -> str:
    """Return the column that a spec names, or the only one that may be meant."""
    if spec.rows or len(spec.arrays) > 1:
        raise UsageError(f"{spec.path}: name one column; a null is a memory without an embedding")
    names = list(spec.arrays)
    if not names and spec.target == IDS:
        names = [one for one in NAMES_OF_IDS if one in columns][:1]
    if not names:
        names = [name for name, one in columns.items() if _is_embedding(one)]
        own = {getattr(spec.target, "short", None), str(getattr(spec.target, "name", None))}
        names = [one for one in names if one in own] or names
    if len(names) != 1 or names[0] not in columns:
        have, actual = ", ".join(columns) or "none", ", ".join(spec.arrays) or "no name"
        raise InvalidInput(what="column", expected=f"one of {have}", actual=actual)
    return names[0]


def columns_in_memory(table: Any) -> TableInMemory:
    """Return the columns of a data frame or an Arrow table."""
    return TableInMemory(packages.columns_of(table))


def side_by_side(columns: Mapping[str, Any], names: Sequence[str] = (), most: int = 3) -> Array:
    """Return columns of numbers as a matrix; one of lists of numbers as it is.

    Without names, the first column of lists, or the first `most` columns. Raises InvalidInput.
    """
    lists = [name for name, one in columns.items() if _is_embedding(one)]
    chosen = list(names) or lists[:1] or list(columns)[:most]
    if missing := set(chosen) - columns.keys():
        have = ", ".join(columns)
        raise InvalidInput(what="column", expected=f"one of {have}", actual=min(missing))
    arrays = [np.asarray(columns[name]) for name in chosen]
    return arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=1)
