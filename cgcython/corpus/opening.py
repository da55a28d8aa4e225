"""Opens a corpus: finds the arrays of each embedder in files and mappings, and checks them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from cgcython.arrays import unmasked
from cgcython.base import Embedder, EmbedderId, Profile, ProfileName, parse_embedder
from cgcython.checks import iterated
from cgcython.corpus.array_files import ONLY, open_arrays
from cgcython.corpus.columns import Column, kind_of
from cgcython.corpus.corpus import Corpus, CorpusColumn
from cgcython.corpus.specs import IDS, METADATA, Spec, split_name
from cgcython.errors import DimensionMismatch, InvalidInput, QuantizationError, UsageError
from cgcython.files import as_path
from cgcython.types import Array, ArrayLike, Int64Array, StrPath

ROWS = "rows"
Input: TypeAlias = StrPath | Mapping[str, ArrayLike] | Mapping[EmbedderId, ArrayLike]
_Parts: TypeAlias = dict[str | int, Array]  # one embedder's arrays by part, or by position


def open_corpus(inputs: Input | Iterable[Input], profile: ProfileName | None = None) -> Corpus:
    """Return the corpus that inputs name, its dimensions checked against a profile.

    An input is a file whose arrays are named by embedder (`E1`, `E6.indptr`, `E12.values`,
    `ids`), a mapping of such names to arrays, or text such as `E1=docs.npy` or
    `E6=bm25.npz:indptr,indices,weights`; docs/CLI.md has every form. Row i of each array is
    memory i. Files are mapped, and read while they are encoded.

    Raises UsageError, InvalidInput, DimensionMismatch and FileNotFoundError, which name the input.

    >>> open_corpus({"E8": np.zeros((5, 384)), "E9": np.zeros((5, 1024))})
    Corpus(memories=5, embedders=[E8, E9])
    """
    chosen = Profile.named(profile)
    columns: dict[EmbedderId, CorpusColumn] = {}
    ids, origins = None, []
    every = [inputs] if isinstance(inputs, (str, os.PathLike, Mapping)) else inputs
    for one in iterated(every, "inputs", "an input or several"):
        try:
            spec, arrays = _opened(one)
            origins.append(arrays if isinstance(one, Mapping) else spec.path)
            for target, parts in _parts_by_target(spec, arrays):
                if isinstance(target, str):
                    ids = parts[0]
                elif target in columns:
                    raise InvalidInput(what=target.short, expected="one input", actual="two")
                else:
                    columns[target] = _column(target, parts, chosen)
        except QuantizationError as error:
            if not isinstance(one, Mapping):
                error.add_note(f"({one!s:.200})")
            raise
    return Corpus(columns, ids, chosen, origins)


def _opened(one: Input) -> tuple[Spec, Mapping[str, Array]]:
    """Return what an input means, and its arrays."""
    if isinstance(one, Mapping):
        return Spec(None, Path()), {_name(key): _unmasked(array, key) for key, array in one.items()}
    spec = Spec.parse(os.fspath(as_path(one, "input")))
    return spec, open_arrays(spec.path)


def _unmasked(given: ArrayLike, key: str | EmbedderId) -> Array:
    array: Array = np.asarray(unmasked(given, _name(key)))
    return array


def _name(key: str | EmbedderId) -> str:
    return key if isinstance(key, str) else parse_embedder(key).short


def _parts_by_target(
    spec: Spec, arrays: Mapping[str, Array]
) -> Iterator[tuple[EmbedderId | str, _Parts]]:
    """Yield (embedder or "ids", its arrays by part name or position)."""
    if spec.arrays or spec.rows or spec.target == IDS or ONLY in arrays:
        yield _listed(spec, arrays)
        return
    found: dict[EmbedderId | str, _Parts] = {}
    for name in arrays:
        if name == METADATA:  # what `export` keeps beside the embeddings
            continue
        embedder, part = split_name(name)
        target = IDS if name == IDS else _embedder(embedder, name)
        if spec.target in (None, target):
            found.setdefault(target, {})[part or 0] = arrays[name]
    if not found:
        have = ", ".join(arrays) or "none"
        raise InvalidInput(what="arrays", expected="names such as E1, E6.indptr", actual=have)
    yield from found.items()


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
        shapes = [array.shape for array in parts.values() if array.ndim == 2]
        raise profile.unknown(model_id, shapes[0][1] if shapes else None)
    embedder = profile[model_id]
    kind = kind_of(embedder.method)
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


def _row_of(embedder: Embedder, dimension: int) -> str:
    """Return the line of a profile that takes embeddings of another dimension."""
    one, line = embedder.model_id, replace(embedder, dimension=dimension).to_toml()
    return line.replace(f"{one.short}_{one.title} ", f"{one.short} ", 1)


def _checked_rows(rows: Array, count: int) -> Int64Array:
    ascending = rows.dtype.kind in "iu" and rows.ndim == 1 and np.all(rows[1:] > rows[:-1])
    if not ascending or len(rows) != count or (count and rows[0] < 0):
        raise InvalidInput(
            what=ROWS,
            expected=f"{count} memory numbers, strictly ascending",
            actual=f"{rows.dtype} {list(rows.shape)}",
        )
    return rows.astype(np.int64)
