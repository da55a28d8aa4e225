"""Opens a corpus: finds the arrays of each embedder in files and mappings, and checks them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from cgcython.arrays import as_array
from cgcython.base import Embedder, EmbedderId, Profile, ProfileName, parse_embedder
from cgcython.checks import iterated, require_instance, require_items, require_mapping
from cgcython.corpus.array_files import ONLY, open_arrays
from cgcython.corpus.beside import Sources, as_ids, columns_in_memory, embeddings_of, has_columns
from cgcython.corpus.corpus import Corpus, CorpusColumn, Origin
from cgcython.corpus.memory_ids import given_ids, listed_arrays
from cgcython.corpus.remote.arrays import RemoteArray, RemoteArrays
from cgcython.corpus.remote.rows import LazyRows
from cgcython.corpus.remote.urls import InputPlace, without_secrets
from cgcython.corpus.specs import IDS, METADATA, Spec, split_name
from cgcython.corpus.table_files import TableColumn
from cgcython.corpus.table_rows import TableRows
from cgcython.errors import DimensionMismatch, InvalidInput, QuantizationError, UsageError
from cgcython.files import as_path
from cgcython.inputs.columns import Column, DenseColumn, kind_of
from cgcython.inputs.packages import is_table
from cgcython.inputs.taking import take
from cgcython.narrow_floats import WidenedRows
from cgcython.store.key_columns import DATA, OFFSETS
from cgcython.types import Array, Int64Array, StrPath

ROWS = "rows"
Input: TypeAlias = StrPath | Mapping[str, Any] | Mapping[EmbedderId, Any]  # or a data frame
_MATRICES = (np.ndarray, WidenedRows, RemoteArray)
_Parts: TypeAlias = dict[str | int, Any]  # one embedder's arrays by part, or by position


def open_corpus(
    inputs: Input | Iterable[Input],
    profile: ProfileName | None = None,
    *,
    ids: str | None = None,
    metadata: Sequence[str] | None = None,
    checked: bool = False,
) -> Corpus:
    """Return the corpus that inputs name, its dimensions checked against a profile.

    An input is a file whose arrays are named by embedder (`E1`, `E6.indptr`, `E12.values`,
    `ids`), a mapping of such names to arrays (or all that `store.add` takes), a table, or text such
    as `E1=docs.npy` or `E6=bm25.npz:indptr,indices,weights`; docs/CLI.md has every form. A file may
    be a URL that fsspec knows. Row i of each array is memory i. Files are mapped, and read while
    they are encoded; of URLs only headers are read here. `ids` and `metadata` name columns; of a
    table, all others are metadata unless some are named. All ids are read to see that none comes
    twice, and archives to compare their checksums, unless the inputs were `checked` before.

    Raises UsageError, InvalidInput, DimensionMismatch, FileNotFoundError and FileUnavailable, which
    name the input.

    >>> open_corpus({"E8": np.zeros((5, 384)), "E9": np.zeros((5, 1024))})
    Corpus(memories=5, embedders=[E8, E9])
    """
    columns = None if metadata is None else _names(metadata)
    if ids is not None:
        require_instance(ids, str, "ids")
    opening = _Opening(Profile.named(profile), ids, columns, checked)
    is_one = isinstance(inputs, (str, os.PathLike, Mapping)) or is_table(inputs)
    every: Any = [inputs] if is_one else inputs
    for one in iterated(every, "inputs", "an input or several"):
        try:
            opening.add(*opening.opened(one))
        except QuantizationError as error:
            if isinstance(one, (str, os.PathLike)):
                error.add_note(f"({without_secrets(str(one)):.200})")
            raise
    return opening.corpus()


def _names(metadata: object) -> list[str]:
    names = require_items(metadata, "metadata", "names of columns")
    return [require_instance(name, str, "metadata") for name in names]


class _Opening:
    """Collects the columns of inputs."""

    def __init__(
        self,
        profile: Profile,
        ids: str | None,
        metadata: Sequence[str] | None,
        checked: bool,
    ) -> None:
        self._profile, self._ids_name, self._metadata = profile, ids, metadata
        self._checked = checked
        self._columns: dict[EmbedderId, CorpusColumn] = {}
        self._ids: Any = None
        self._origins: list[Origin] = []
        self._sources = Sources()
        self._files: dict[InputPlace, Mapping[str, Any]] = {}  # what is named twice is opened once

    def opened(self, one: Input) -> tuple[Spec, Mapping[str, Any]]:
        """Return what an input means, and its arrays."""
        if not isinstance(one, (str, os.PathLike)):
            return Spec(None, Path()), _given(one)
        as_path(one, "input")
        spec = Spec.parse(os.fspath(one))
        if spec.path not in self._files:
            self._files[spec.path] = open_arrays(spec.path, self._checked)
        return spec, self._files[spec.path]

    def add(self, spec: Spec, arrays: Mapping[str, Any]) -> None:
        """Take the columns of an input."""
        used, stamped = set(), {}
        beside = {self._ids_name, *(self._metadata or ())} - {None}
        for target, parts, names in _parts_by_target(spec, arrays, self._profile, beside):
            used.update(names)
            if spec.path == Path():
                stamped.update({name: arrays[name] for name in names})
            if isinstance(target, str):
                self._ids = as_ids(parts[0]) if 0 in parts else given_ids(parts)
            elif target in self._columns:
                raise InvalidInput(what=target.short, expected="one input", actual="two")
            else:
                self._columns[target] = column = _column(target, parts, self._profile)
                if stamped and not all(isinstance(one, np.ndarray) for one in parts.values()):
                    del stamped[names[0]]
                    stamped |= _parts_of(target, column.embeddings)
        self._origins.append(_origin(spec, arrays, stamped))
        self._sources.add(spec, arrays, used)

    def corpus(self) -> Corpus:
        """Return the corpus of what was collected."""
        ids = self._ids
        if self._ids_name is not None or ids is None:
            ids = self._sources.take_ids(self._ids_name)
        metadata = self._sources.metadata(self._metadata)
        return Corpus(self._columns, ids, self._profile, self._origins, metadata, self._checked)


def _given(one: Any) -> Mapping[str, Any]:
    """Return the arrays of a table or of a mapping by name."""
    if is_table(one):
        return columns_in_memory(one)
    found: dict[str, Any] = {}
    for key, given in require_mapping(one, "input").items():
        is_listed = _name(key) == IDS and isinstance(given, (list, tuple))
        found |= listed_arrays(given) if is_listed else {_name(key): _held(given, key)}
    return found


def _origin(spec: Spec, arrays: Mapping[str, Any], stamped: Mapping[str, Array]) -> Origin:
    """Return where the arrays of an input are."""
    if isinstance(arrays, RemoteArrays):
        return arrays.source
    return spec.path if isinstance(spec.path, Path) and spec.path != Path() else stamped


def _held(given: Any, key: str | EmbedderId) -> Any:
    """Return what a mapping holds: arrays, and whatever else has all embeddings of an embedder."""
    name = _name(key)
    if name not in (IDS, METADATA) and not split_name(name)[1] and type(given) is not np.ndarray:
        return given
    return given if name == METADATA else as_array(given, name)


def _parts_of(embedder: EmbedderId, column: Column) -> dict[str, Array]:
    """Return the arrays of a column by the names that files give them."""
    return {f"{embedder.short}.{part}": np.asarray(getattr(column, part)) for part in column.parts}


def _name(key: str | EmbedderId) -> str:
    return key if isinstance(key, str) else parse_embedder(key).short


def _parts_by_target(
    spec: Spec, arrays: Mapping[str, Any], profile: Profile, beside: Collection[str | None]
) -> Iterator[tuple[EmbedderId | str, _Parts, list[str]]]:
    """Yield (embedder or "ids", its arrays by part name or position, their names)."""
    if has_columns(arrays):
        for target, name in embeddings_of(spec, arrays, profile):
            yield target, {0: arrays[name]}, [name]
        return
    if spec.arrays or spec.rows or spec.target == IDS or ONLY in arrays:
        yield *_listed(spec, arrays), list(spec.arrays) or list(arrays)[:1]
        return
    found: dict[EmbedderId | str, _Parts] = {}
    names: dict[EmbedderId | str, list[str]] = {}
    for name in arrays:
        if name == METADATA or name in beside:
            continue
        embedder, part = name.split(".") if name in (DATA, OFFSETS) else split_name(name)
        target = IDS if embedder == IDS else _embedder(embedder, name)
        if spec.target in (None, target):
            found.setdefault(target, {})[part or 0] = arrays[name]
            names.setdefault(target, []).append(name)
    if not found:
        have = ", ".join(arrays) or "none"
        raise InvalidInput(what="arrays", expected="names such as E1, E6.indptr", actual=have)
    for target, parts in found.items():
        yield target, parts, names[target]


def _listed(spec: Spec, arrays: Mapping[str, Array]) -> tuple[EmbedderId | str, _Parts]:
    if spec.target is None:
        raise UsageError(f"{spec.path}: name the embedder, as in E1={spec.path}")
    names = spec.arrays or (next(iter(arrays), ONLY),)
    parts: _Parts = {position: _array(arrays, name) for position, name in enumerate(names)}
    if spec.rows:
        parts[ROWS] = _array(arrays, spec.rows)
    return spec.target, parts


def _embedder(name: str, whole: str) -> EmbedderId:
    try:
        return parse_embedder(name)
    except InvalidInput:
        expected = "a name such as E1, E6.indptr or ids; or say which, as in E1=FILE:ARRAY"
        raise InvalidInput(what="array", expected=expected, actual=repr(whole)) from None


def _array(arrays: Mapping[str, Array], name: str) -> Array:
    if name not in arrays:
        have = ", ".join(arrays) or "none"
        raise InvalidInput(what="array", expected=f"one of {have}", actual=repr(name))
    return arrays[name]


def _column(model_id: EmbedderId, parts: _Parts, profile: Profile) -> CorpusColumn:
    if model_id not in profile:
        matrices = [one for one in parts.values() if isinstance(one, _MATRICES) and one.ndim == 2]
        raise profile.unknown(model_id, matrices[0].shape[1] if matrices else None)
    embedder = profile[model_id]
    kind = kind_of(embedder.method)
    is_matrix = kind is DenseColumn and isinstance(parts.get(0), _MATRICES)
    if set(parts) == {0} and not is_matrix:
        return _taken(parts[0], embedder)
    rows = parts.pop(ROWS, None)
    arrays = [parts.pop(name, parts.pop(i, None)) for i, name in enumerate(kind.parts)]
    if parts or any(array is None for array in arrays):
        expected = ", ".join(kind.parts)
        raise InvalidInput(what=f"{model_id.short} arrays", expected=expected, actual="others")
    make: Callable[..., Column] = kind
    column = make(*arrays)
    try:
        column.check_dimension(embedder.dimension)
    except DimensionMismatch as error:
        error.about(model_id)
        error.add_note(f"(the row of a profile for these: {_row_of(embedder, error.actual)})")
        raise
    return CorpusColumn(column, None if rows is None else _checked_rows(rows, len(column)))


def _taken(given: Any, embedder: Embedder) -> CorpusColumn:
    """Return the embeddings that one thing holds: a column of a table, a matrix, a list."""
    try:
        if isinstance(given, TableColumn):
            return TableRows(given, embedder)
        found = take(given, embedder)
    except DimensionMismatch as error:
        if error.what == "values":
            row = _row_of(embedder, error.actual)
            error.add_note(f"(the row of a profile for these: {row})")
        raise
    return CorpusColumn(found.column, found.rows)


def _row_of(embedder: Embedder, dimension: int) -> str:
    """Return the line of a profile that takes embeddings of another dimension."""
    one, line = embedder.model_id, replace(embedder, dimension=dimension).to_toml()
    return line.replace(f"{one.short}_{one.title} ", f"{one.short} ", 1)


def _checked_rows(rows: Array | RemoteArray, count: int) -> Int64Array | LazyRows:
    fits = rows.dtype.kind in "iu" and rows.ndim == 1 and len(rows) == count
    if fits and isinstance(rows, RemoteArray):
        return LazyRows(rows)
    if not fits or not np.all(rows[1:] > rows[:-1]) or (count and rows[0] < 0):
        raise InvalidInput(
            what=ROWS,
            expected=f"{count} memory numbers, strictly ascending",
            actual=f"{rows.dtype} {list(rows.shape)}",
        )
    return np.asarray(rows).astype(np.int64)
