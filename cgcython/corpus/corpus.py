"""A corpus: the columns of several embedders over one numbering of memories."""

import uuid
from dataclasses import dataclass

import numpy as np

from cgcython.base import ModelId
from cgcython.corpus.array_files import ONLY, open_arrays
from cgcython.corpus.columns import kind_of
from cgcython.corpus.specs import IDS, Spec
from cgcython.errors import InvalidInput, QuantizationError, UsageError

ROWS = "rows"
NAMESPACE = uuid.UUID("6c7d2b9e-3f0a-5d4e-9c1b-0a5e7f3d2c41")


def row_id(row):
    """Return the id of a memory that came without one: a UUID of its row number, always the same.

    >>> row_id(0).hex()
    '42b35afc4ea75cd0bfe294947d0e431d'
    """
    return uuid.uuid5(NAMESPACE, str(row)).bytes


@dataclass(frozen=True, eq=False)
class Source:
    """One embedder's column and the memories its rows belong to; None means all, in order."""

    column: object
    rows: np.ndarray | None

    @property
    def num_memories(self):
        """The smallest number of memories that has room for these rows."""
        if self.rows is None:
            return len(self.column)
        return int(self.rows[-1]) + 1 if len(self.rows) else 0

    def within(self, start, stop):
        """Return the range of own rows that belong to memories start to stop."""
        if self.rows is None:
            return min(start, len(self.column)), min(stop, len(self.column))
        return tuple(np.searchsorted(self.rows, (start, stop)).tolist())

    def memories(self, start, stop):
        """Return the memories that own rows start to stop belong to."""
        return np.arange(start, stop) if self.rows is None else self.rows[start:stop]


class Corpus(dict):
    """`ModelId -> Source` over memories 0 to `len(corpus.ids)`."""

    def __init__(self, sources, ids=None, paths=()):
        super().__init__(sorted(sources.items()))
        self.paths = paths
        num_memories = max((one.num_memories for one in self.values()), default=0)
        self.ids = Ids(num_memories, ids)
        self._require_whole_columns(num_memories)

    def _require_whole_columns(self, num_memories):
        for model_id, source in self.items():
            if source.rows is None and len(source.column) != num_memories:
                raise InvalidInput(
                    what=f"{model_id.short}",
                    expected=f"{num_memories} rows, or {model_id.short}.rows (@ROWS)",
                    actual=f"{len(source.column)} rows",
                )

    @property
    def num_memories(self):
        """How many memories have at least one embedder or an id."""
        return len(self.ids)

    def fingerprints(self, start, stop):
        """Return one `{ModelId: embedding}` for each of memories start to stop."""
        found = [{} for _ in range(start, stop)]
        for model_id, source in self.items():
            first, last = source.within(start, stop)
            for own, memory in zip(range(first, last), source.memories(first, last).tolist()):
                found[memory - start][model_id] = source.column[own]
        return found


class Ids:
    """The 16-byte ids of memories, given or made from row numbers."""

    def __init__(self, count, given=None):
        self._given = None if given is None else _as_bytes(given)
        self._count = count if given is None else len(given)
        if self._count < count:
            raise InvalidInput(what=IDS, expected=f"{count} ids", actual=self._count)

    def __len__(self):
        return self._count

    def __getitem__(self, rows):
        """Return the ids of a slice of memories, each as 16 bytes."""
        if self._given is not None:
            return self._given[rows]
        return [row_id(row) for row in range(self._count)[rows]]


def _as_bytes(given):
    if given.dtype == np.uint8 and given.shape[1:] == (16,):
        ids = [row.tobytes() for row in given]
    elif given.dtype.kind in "US" and given.ndim == 1:
        ids = [_uuid(text).bytes for text in given.astype(str).tolist()]
    else:
        raise InvalidInput(
            what=IDS, expected="u8 [n, 16] or UUIDs as text", actual=f"{given.dtype} {given.shape}"
        )
    if len(set(ids)) < len(ids):
        raise InvalidInput(what=IDS, expected="no id twice", actual="duplicates")
    return ids


def _uuid(text):
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidInput(what=IDS, expected="a UUID", actual=repr(text)) from None


def open_corpus(specs, profile):
    """Return the corpus that input specs name, its dimensions checked against a profile.

    Raises UsageError, InvalidInput, DimensionMismatch; each error names its input.
    """
    sources, ids, paths = {}, None, []
    for text in specs:
        spec = Spec.parse(text)
        arrays = open_arrays(spec.path)
        paths.append(spec.path)
        try:
            for target, parts in _named_parts(spec, arrays):
                if target == IDS:
                    ids = parts[0]
                elif target in sources:
                    raise InvalidInput(what=target.short, expected="one input", actual="two")
                else:
                    sources[target] = _source(target, parts, profile)
        except QuantizationError as error:
            error.add_note(f"({text})")
            raise
    return Corpus(sources, ids, paths)


def _named_parts(spec, arrays):
    """Yield (embedder or "ids", its arrays by part name or position)."""
    if spec.arrays or spec.rows or spec.target == IDS or ONLY in arrays:
        yield spec.target, _listed(spec, arrays)
        return
    found = {}
    for name in arrays:
        embedder, _, part = name.partition(".")
        target = IDS if name == IDS else _embedder(embedder, name)
        if spec.target in (None, target):
            found.setdefault(target, {})[part or 0] = arrays[name]
    if not found:
        have = ", ".join(arrays) or "none"
        raise InvalidInput(what="arrays", expected="names such as E1, E6.indptr", actual=have)
    yield from found.items()


def _listed(spec, arrays):
    if spec.target is None:
        raise UsageError(f"{spec.path}: name the embedder, as in E1={spec.path}")
    names = spec.arrays or (next(iter(arrays), ONLY),)
    parts = {position: _array(arrays, name) for position, name in enumerate(names)}
    return parts | ({ROWS: _array(arrays, spec.rows)} if spec.rows else {})


def _embedder(name, whole):
    try:
        return ModelId.parse(name)
    except InvalidInput:
        expected = "a name such as E1, E6.indptr or ids; or say which, as in E1=FILE:ARRAY"
        raise InvalidInput(what="array", expected=expected, actual=repr(whole)) from None


def _array(arrays, name):
    if name not in arrays:
        have = ", ".join(arrays) or "none"
        raise InvalidInput(what="array", expected=f"one of {have}", actual=repr(name))
    return arrays[name]


def _source(model_id, parts, profile):
    embedder = profile[model_id]
    kind = kind_of(embedder.method)
    rows = parts.pop(ROWS, None)
    arrays = [parts.pop(name, parts.pop(i, None)) for i, name in enumerate(kind.parts)]
    if parts or any(array is None for array in arrays):
        expected = ", ".join(kind.parts)
        raise InvalidInput(what=f"{model_id.short} arrays", expected=expected, actual="others")
    column = kind(*arrays)
    column.check_dimension(embedder.dimension)
    return Source(column, None if rows is None else _checked_rows(rows, len(column)))


def _checked_rows(rows, count):
    rows = np.asarray(rows)
    ascending = rows.dtype.kind in "iu" and rows.ndim == 1 and np.all(rows[1:] > rows[:-1])
    if not ascending or len(rows) != count or (count and rows[0] < 0):
        raise InvalidInput(
            what=ROWS,
            expected=f"{count} memory numbers, strictly ascending",
            actual=f"{rows.dtype} {list(rows.shape)}",
        )
    return rows.astype(np.int64)
