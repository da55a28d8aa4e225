"""A folder of float32 arrays as a legacy source: arrays of all memories, or a file for each."""

from pathlib import Path
from uuid import UUID

import numpy as np

from cgcython.base import ModelId
from cgcython.corpus.array_files import open_arrays
from cgcython.corpus.columns import kind_of
from cgcython.corpus.opening import ROWS, open_corpus
from cgcython.corpus.specs import IDS, SUFFIXES
from cgcython.errors import InvalidInput, QuantizationError, UsageError
from cgcython.records import SparseVector
from cgcython.store.migration import LegacyRecord


def open_folder(path, profile):
    """Return the LegacyColumns or LegacyFiles of a folder; raises what opening an input does."""
    paths = sorted(one for one in Path(path).iterdir() if one.suffix in SUFFIXES)
    if not paths:
        raise UsageError(f"{path}: neither a database nor {', '.join(SUFFIXES)} files")
    named = [one for one in paths if _uuid(one.stem)]
    if not named:
        return LegacyColumns(paths, profile)
    if len(named) < len(paths):
        other = next(one for one in paths if one not in named)
        raise UsageError(f"{other}: other files here are named by UUID, one for each memory")
    return LegacyFiles(paths, profile)


class _Folder:
    """What both have in common: nothing to close, no families."""

    unknown = ()

    def __init__(self, paths, profile):
        self.paths, self.profile = paths, profile

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def facts(self):
        """Return what makes a later run the same one."""
        stats = [one.stat() for one in self.paths]
        return [[p.name, s.st_size, s.st_mtime_ns] for p, s in zip(self.paths, stats)]

    def values(self, model_id):
        """Yield the embeddings of one embedder, to train on."""
        for one in self.records():
            if model_id in one.embeddings:
                yield one.embeddings[model_id]


class LegacyColumns(_Folder):
    """Files with the arrays of all memories, as `encode` reads them."""

    def __init__(self, paths, profile):
        super().__init__(paths, profile)
        self.corpus = open_corpus([_spec(one, profile) for one in paths], profile)
        self.embedders = list(self.corpus)

    def __len__(self):
        return self.corpus.num_memories

    def records(self, after=b""):
        """Yield a LegacyRecord for each row after the one whose place is `after`."""
        first = int.from_bytes(after) + 1 if after else 0
        for row in range(first, len(self)):
            (key,) = self.corpus.ids[row : row + 1]
            place = row.to_bytes(8)
            yield _record(place, key, lambda row=row: self.corpus.fingerprints(row, row + 1)[0])


class LegacyFiles(_Folder):
    """A file for each memory, named by its UUID, with an array for each embedder."""

    def __init__(self, paths, profile):
        super().__init__(paths, profile)
        self.embedders = list(profile)

    def __len__(self):
        return len(self.paths)

    def records(self, after=b""):
        """Yield a LegacyRecord for each file after the one whose place is `after`."""
        for path in self.paths:
            place = path.name.encode()
            if place > after:
                yield _record(place, _uuid(path.stem).bytes, lambda path=path: self._read(path))

    def _read(self, path):
        opened, found = open_arrays(path), {}
        arrays = {name: opened[name] for name in opened}
        for name in arrays:
            model_id = ModelId.parse(name.partition(".")[0])
            if model_id in self.profile and model_id not in found:
                found[model_id] = _embedding(model_id, arrays, self.profile[model_id])
        return found


def _embedding(model_id, arrays, embedder):
    """Return one embedder's array of a memory, or the SparseVector of its indices and weights."""
    parts = {
        name.partition(".")[2]: array
        for name, array in arrays.items()
        if ModelId.parse(name.partition(".")[0]) is model_id
    }
    if set(parts) == {"indices", "weights"}:
        return SparseVector(parts["indices"], parts["weights"], embedder.dimension)
    if set(parts) == {""}:
        return parts[""]
    expected = f"{model_id.short}, or {model_id.short}.indices and {model_id.short}.weights"
    actual = ", ".join(sorted(parts))
    raise InvalidInput(what=f"{model_id.short} arrays", expected=expected, actual=actual)


def _record(place, key, read):
    name = str(UUID(bytes=key))
    try:
        embeddings = read()
        return LegacyRecord(place, name, key, embeddings, sum(map(_bytes, embeddings.values())))
    except (QuantizationError, OSError) as error:
        if isinstance(error, OSError):
            error = InvalidInput(what=name, expected="a readable file", actual=error)
        return LegacyRecord(place, name, None, {}, 0, error)


def _bytes(embedding):
    return 8 * embedding.nnz if isinstance(embedding, SparseVector) else 4 * np.size(embedding)


def _spec(path, profile):
    """Return the input spec of a file, whose name may be what its arrays do not say."""
    if path.stem == IDS:
        return f"{IDS}={path}"
    try:
        model_id = ModelId.parse(path.stem)
    except InvalidInput:
        return str(path)
    if path.suffix == ".npy":
        return f"{model_id.short}={path}"
    arrays, parts = open_arrays(path), kind_of(profile[model_id].method).parts
    if not set(parts) <= set(arrays):
        return str(path)
    rows = f"@{ROWS}" if ROWS in arrays else ""
    return f"{model_id.short}={path}:{','.join(parts)}{rows}"


def _uuid(text):
    try:
        return UUID(text)
    except ValueError:
        return None
