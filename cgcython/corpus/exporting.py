"""Exports the memories of a store, some at a time: ids, metadata and float32 embeddings."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cgcython.base import EmbedderId
from cgcython.codecs.base import InputKind, codec_class
from cgcython.corpus.reading import has_any
from cgcython.errors import InvalidInput, UsageError
from cgcython.files import as_path, written_whole
from cgcython.inputs.columns import Embedding
from cgcython.search import FingerprintStore
from cgcython.store.where.conditions import Where
from cgcython.strict_json import to_text
from cgcython.types import Progress, StrPath

CHUNK = 256  # memories at a time: 64 MB of float32 where each has 512 tokens
MOST_COLUMNS = 256  # of metadata; more keys are kept together as JSON
SUFFIXES = (".parquet", ".npz")


class Survey(NamedTuple):
    """What the memories of an export have: their number, kinds of ids, embedders, metadata.

    `fields` has the types of the values of each key of the metadata, whose longest text has
    `longest_metadata` bytes.
    """

    memories: int
    id_kinds: frozenset[type]
    embedders: dict[EmbedderId, tuple[InputKind, int]]
    fields: dict[str, set[type]]
    longest_metadata: int


class Chunk(NamedTuple):
    """Some memories: their ids, their metadata, and for each embedder an embedding or None."""

    ids: list[Any]
    metadata: list[dict[str, Any]]
    embeddings: dict[EmbedderId, list[Embedding | None]]


class Writer(Protocol):
    """Writes chunks to a file."""

    def write(self, chunk: Chunk) -> None:
        """Add the memories of a chunk."""


def export(
    store: FingerprintStore,
    path: StrPath,
    embedders: Collection[EmbedderId] | None = None,
    *,
    where: Where | None = None,
    num_threads: int = 1,
    progress: Progress | None = None,
) -> Survey:
    """Write memories to a .parquet or .npz file, whole or not at all, and return what they have.

    `embedders`, by default all, and `where`, conditions on metadata, choose. Memory is needed for
    some memories at a time. Raises UsageError for another suffix or an embedder that no memory
    has, InvalidInput where pyarrow is not installed, StorageCorruption.
    """
    file = as_path(path)
    if file.suffix not in SUFFIXES:
        raise UsageError(f"{file}: expected a file ending in {' or '.join(SUFFIXES)}")
    survey = _survey(store, _chosen(store, embedders), where)
    with written_whole(file) as temporary, _writer(file.suffix, temporary, survey) as writer:
        for chunk in _chunks(store, survey, where, num_threads):
            writer.write(chunk)
            if progress is not None:
                progress(len(chunk.ids))
    return survey


def _chosen(
    store: FingerprintStore, embedders: Collection[EmbedderId] | None
) -> dict[EmbedderId, tuple[InputKind, int]]:
    """Return what the embedders to write take, and their dimensions."""
    have = [one for one in store.profile if has_any(store, one)]
    missing = set(embedders or ()) - set(have)
    if missing:
        names = ", ".join(one.short for one in sorted(missing))
        told = ", ".join(one.short for one in have) or "none"
        raise UsageError(f"no memory has {names}; they have {told}")
    rows = {one: store.profile[one] for one in have if embedders is None or one in embedders}
    return {one: (codec_class(row.method).inputs, row.dimension) for one, row in rows.items()}


def _survey(
    store: FingerprintStore,
    embedders: dict[EmbedderId, tuple[InputKind, int]],
    where: Where | None,
) -> Survey:
    """Read the heads of all records that will be written."""
    count, kinds, longest = 0, set(), 2
    fields: dict[str, set[type]] = {}
    for record_id, info in store.infos(where=where):
        count += 1
        kinds.add(_kind(record_id))
        longest = max(longest, len(to_text(info.metadata).encode()))
        for key, value in info.metadata.items():
            fields.setdefault(key, set()).add(type(value))
    return Survey(count, frozenset(kinds), embedders, fields, longest)


def _kind(record_id: object) -> type:
    """Return the type of an id; numbers that int64 does not hold are written as text."""
    is_wide = isinstance(record_id, int) and not -(2**63) <= record_id < 2**63
    return str if is_wide else type(record_id)


def _chunks(
    store: FingerprintStore, survey: Survey, where: Where | None, num_threads: int
) -> Iterator[Chunk]:
    infos = store.infos(where=where)
    while some := list(islice(infos, CHUNK)):
        ids = [one for one, _ in some]
        found: list[Mapping[Any, Any]] = [
            one or {} for one in store.retrieve_many(ids, num_threads)
        ]
        columns = {
            model_id: [memory.get(model_id) for memory in found] for model_id in survey.embedders
        }
        yield Chunk(ids, [info.metadata for _, info in some], columns)


def _writer(suffix: str, path: Path, survey: Survey) -> AbstractContextManager[Writer]:
    if suffix == ".npz":
        from cgcython.corpus.npz_export import NpzWriter

        return NpzWriter(path, survey)
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        expected = "pyarrow for .parquet: pip install 'cgcython[arrow]'"
        raise InvalidInput(what="export", expected=expected, actual="none installed") from None
    from cgcython.corpus.parquet_export import ParquetWriter

    return ParquetWriter(path, survey)
