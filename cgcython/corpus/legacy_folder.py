"""A folder of float32 arrays as a legacy source: arrays of all memories, or a file for each."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Self
from uuid import UUID

import numpy as np

from cgcython.base import Embedder, EmbedderId, Profile, parse_embedder
from cgcython.corpus.array_files import open_arrays
from cgcython.corpus.memory_ids import Known
from cgcython.corpus.opening import ROWS, open_corpus
from cgcython.corpus.specs import ARRAYS, IDS, split_name
from cgcython.errors import InvalidInput, QuantizationError, UsageError
from cgcython.inputs.columns import Embedding, kind_of
from cgcython.records import SparseVector
from cgcython.store.ids import name_of
from cgcython.store.migration import LegacyRecord
from cgcython.types import Array, StrPath


def open_folder(path: StrPath, profile: Profile) -> "LegacyColumns | LegacyFiles":
    """Return the LegacyColumns or LegacyFiles of a folder; raises what opening an input does."""
    paths = sorted(one for one in Path(path).iterdir() if one.suffix in ARRAYS)
    if not paths:
        raise UsageError(f"{path}: neither a database nor {', '.join(ARRAYS)} files")
    ids = {one: _uuid(one.stem) for one in paths}
    named = {one: found.bytes for one, found in ids.items() if found is not None}
    if not named:
        return LegacyColumns(paths, profile)
    if len(named) < len(paths):
        other = next(one for one in paths if one not in named)
        raise UsageError(f"{other}: other files here are named by UUID, one for each memory")
    return LegacyFiles(named, profile)


class _Folder:
    """What both kinds of folders have in common: there is nothing to close, nothing unknown."""

    unknown: tuple[str, ...] = ()

    def __init__(self, paths: list[Path], profile: Profile) -> None:
        self.paths, self.profile = paths, profile

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def facts(self) -> list[list[str | int]]:
        """Return what makes a later run the same one."""
        stats = [one.stat() for one in self.paths]
        return [[p.name, s.st_size, s.st_mtime_ns] for p, s in zip(self.paths, stats)]


class LegacyColumns(_Folder):
    """Files with the arrays of all memories, as `open_corpus` reads them."""

    def __init__(self, paths: list[Path], profile: Profile) -> None:
        super().__init__(paths, profile)
        self.corpus = open_corpus([_spec(one, profile) for one in paths], profile)
        self.embedders = list(self.corpus)
        self._ids = self.corpus.ids

    def follow(self, store: Known) -> None:
        """Go on with the ids that an earlier release gave memories without any in a store."""
        self._ids = self.corpus.ids.as_known(store)

    def __len__(self) -> int:
        return self.corpus.num_memories

    def records(self, after: bytes = b"") -> Iterator[LegacyRecord]:
        """Yield a LegacyRecord for each row after the one whose place is `after`."""
        first = int.from_bytes(after) + 1 if after else 0
        for row in range(first, len(self)):
            (key,) = self._ids[row : row + 1]
            yield _record(row.to_bytes(8), key, partial(self._read, row))

    def _read(self, row: int) -> dict[EmbedderId, Embedding]:
        (embeddings,) = self.corpus.fingerprints(row, row + 1)
        return embeddings

    def values(self, model_id: EmbedderId) -> Iterator[Embedding]:
        """Yield the embeddings of one embedder, to train on."""
        embeddings = self.corpus[model_id].embeddings
        return (embeddings[row] for row in range(len(embeddings)))


class LegacyFiles(_Folder):
    """A file for each memory, named by its UUID, with an array for each embedder."""

    def __init__(self, ids: Mapping[Path, bytes], profile: Profile) -> None:
        super().__init__(list(ids), profile)
        self.embedders = list(profile)
        self._ids = ids

    def __len__(self) -> int:
        return len(self.paths)

    def records(self, after: bytes = b"") -> Iterator[LegacyRecord]:
        """Yield a LegacyRecord for each file after the one whose place is `after`."""
        for path, key in self._ids.items():
            place = path.name.encode()
            if place > after:
                yield _record(place, key, partial(self._read, path))

    def values(self, model_id: EmbedderId) -> Iterator[Embedding]:
        """Yield the embeddings of one embedder that can be read, to train on."""
        for one in self.records():
            if model_id in one.embeddings:
                yield one.embeddings[model_id]

    def _read(self, path: Path) -> dict[EmbedderId, Embedding]:
        arrays = dict(open_arrays(path))
        found: dict[EmbedderId, Embedding] = {}
        for name in arrays:
            model_id = self.profile.embedder(split_name(name)[0])
            if model_id in self.profile and model_id not in found:
                found[model_id] = _embedding(model_id, arrays, self.profile[model_id])
        return found


def _embedding(model_id: EmbedderId, arrays: Mapping[str, Array], embedder: Embedder) -> Embedding:
    """Return one embedder's array of a memory, or the SparseVector of its indices and weights."""
    parts = {
        split_name(name)[1]: array
        for name, array in arrays.items()
        if parse_embedder(split_name(name)[0]) == model_id
    }
    if set(parts) == {"indices", "weights"}:
        return SparseVector(parts["indices"], parts["weights"], embedder.dimension)
    if set(parts) == {""}:
        return parts[""]
    expected = f"{model_id.short}, or {model_id.short}.indices and {model_id.short}.weights"
    actual = ", ".join(sorted(parts))
    raise InvalidInput(what=f"{model_id.short} arrays", expected=expected, actual=actual)


def _record(
    place: bytes, key: bytes, read: Callable[[], dict[EmbedderId, Embedding]]
) -> LegacyRecord:
    name = name_of(key)
    try:
        embeddings = read()
        return LegacyRecord(place, name, key, embeddings, sum(map(_bytes, embeddings.values())))
    except QuantizationError as error:
        return LegacyRecord(place, name, None, {}, 0, error)
    except OSError as error:
        unreadable = InvalidInput(what=name, expected="a readable file", actual=error)
        return LegacyRecord(place, name, None, {}, 0, unreadable)


def _bytes(embedding: Embedding) -> int:
    """Return the bytes of an embedding as float32 values or pairs."""
    if isinstance(embedding, SparseVector):
        return 8 * embedding.nnz
    return 4 * int(np.size(embedding))


def _spec(path: Path, profile: Profile) -> str:
    """Return the input spec of a file, whose name may be what its arrays do not say."""
    if path.stem == IDS:
        return f"{IDS}={path}"
    try:
        model_id = profile.embedder(path.stem)
    except InvalidInput:
        return str(path)
    if path.suffix == ".npy":
        return f"{model_id.short}={path}"
    arrays, parts = open_arrays(path), kind_of(profile[model_id].method).parts
    if not set(parts) <= set(arrays):
        return str(path)
    rows = f"@{ROWS}" if ROWS in arrays else ""
    return f"{model_id.short}={path}:{','.join(parts)}{rows}"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
