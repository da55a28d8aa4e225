"""Tells what is inside a file or folder that this package wrote: facts, and a row for each part."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from cgcython.base import EmbedderId, QuantizationMethod
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import FOLDER
from cgcython.corpus.reading import ShardReader, StoreReader, open_reader
from cgcython.errors import InvalidInput
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.frames import MAGIC as RECORD
from cgcython.manifest import MAGIC as FINGERPRINT
from cgcython.records import QuantizedEmbedding
from cgcython.store import shards
from cgcython.store.places import is_address
from cgcython.store.shard_folder import has_shards
from cgcython.tensors import Malformed, read_tensors
from cgcython.types import Progress, StrPath

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Facts: TypeAlias = dict[str, Any]  # as JSON keeps them


class Description(NamedTuple):
    """What something is, single facts about it, and the facts of each of its parts."""

    kind: str
    facts: Facts
    parts: list[Facts]

    def as_dict(self) -> Facts:
        """Return everything for JSON."""
        return {"kind": self.kind, **self.facts, "parts": self.parts}


def describe(path: StrPath, progress: Progress | None = None) -> Description:
    """Return the Description of a codebook, a folder of them, a record, a shard, shards or a store.

    `progress` is called with 1 for each memory of a store that is read. Raises UsageError or
    InvalidInput for what this package did not write, and what reading it raises.
    """
    found = None if is_address(path) else _file_or_models(Path(path))
    if found is not None:
        return found
    with open_reader(path) as reader:
        if isinstance(reader, ShardReader):
            return _shard_folder(reader)
        return _store(reader, progress)


def _file_or_models(path: Path) -> Description | None:
    """Return the Description of a file or of a folder of codebooks, None for others."""
    if path.is_file():
        return _safetensors(path) if path.suffix == ".safetensors" else _record_file(path)
    if (path / FOLDER).is_dir() and not has_shards(path):
        books = sorted((path / FOLDER).glob("*_codebook.safetensors"))
        return Description("models", {"codebooks": len(books)}, [_codebook(one) for one in books])
    return None


def describe_record(record: QuantizedFingerprint, kind: str = "record") -> Description:
    """Return the Description of a record."""
    parts = [_quantized(*item) for item in record.items()]
    info = record.info
    facts = {
        "record_bytes": record.size_bytes,
        "float32_bytes": sum(one["float32_bytes"] for one in parts),
        "created": _moment(info.created),
        "updated": _moment(info.updated),
        "content_hash": info.content_hash.hex(),
        "metadata": info.metadata,
    }
    return Description(kind, facts, parts)


def _moment(microseconds: int | None) -> str | int | None:
    """Return a time in ISO form; as a number where no calendar has it."""
    if microseconds is None:
        return None
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return microseconds


def _quantized(model_id: EmbedderId | None, quantized: QuantizedEmbedding) -> Facts:
    known = quantized.metadata._asdict()
    part = _Part(model_id, quantized.method, known.pop("layout", None))
    part.add(1, quantized.size_bytes, quantized.original_bytes)
    return part.facts | {"metadata": known}


def _record_file(path: Path) -> Description:
    content = path.read_bytes()
    if content.startswith(RECORD[:4]):
        part = _quantized(None, QuantizedEmbedding.from_bytes(content))
        return Description("embedding", {"record_bytes": len(content)}, [part])
    if content.startswith(FINGERPRINT):
        return describe_record(QuantizedFingerprint.from_bytes(content, str(path)), "fingerprint")
    raise InvalidInput(what=str(path), expected="a file that cgcython wrote", actual="another")


def _safetensors(path: Path) -> Description:
    try:
        form = read_tensors(path).texts.get("format", "")
    except Malformed as error:
        raise InvalidInput(what=str(path), expected="a .safetensors file", actual=error) from None
    if form in Codebook.kinds():
        return Description("codebook", _codebook(path), [])
    shard = shards.read_shard(path)
    facts = {**shard.facts, "memories": len(shard.ids)}
    return Description("shard", facts, _parts_of_shards([shard]))


def _codebook(path: Path) -> Facts:
    book = Codebook.load(path)
    own = {
        "path": str(path),
        "codebook_id": f"{book.codebook_id:#010x}",
        "dimension": book.embedding_dim,
        "method": book.method.value,
        "bytes": book.code_size,
        "width": book.width,
    }
    return own | {key: value for key, value in book.metadata.items() if key not in ("dim", "id")}


def _shard_folder(reader: ShardReader) -> Description:
    found = [shards.read_shard(path) for path in reader.paths]
    facts = {"shards": len(found), "memories": sum(len(one.ids) for one in found)}
    return Description("shards", facts, _parts_of_shards(found))


class _Part:
    """The facts of the embeddings of one embedder that are kept in one layout."""

    def __init__(
        self, model_id: EmbedderId | None, method: QuantizationMethod, layout: str | None
    ) -> None:
        self.facts: Facts = {
            "embedder": "-" if model_id is None else model_id.short,
            "method": method.value,
            "layout": layout,
            "memories": 0,
            "stored_bytes": 0,
            "float32_bytes": 0,
        }

    def add(self, memories: int, stored_bytes: int, float32_bytes: int) -> None:
        self.facts["memories"] += memories
        self.facts["stored_bytes"] += stored_bytes
        self.facts["float32_bytes"] += float32_bytes


class _Parts:
    """The parts of many memories, by embedder and layout."""

    def __init__(self) -> None:
        self._parts: dict[tuple[EmbedderId, str], _Part] = {}

    def __call__(
        self, model_id: EmbedderId, method: QuantizationMethod, layout: str | None
    ) -> _Part:
        """Return the part of an embedder and a layout, which begins at nothing."""
        key = model_id, layout or ""
        if key not in self._parts:
            self._parts[key] = _Part(model_id, method, layout)
        return self._parts[key]

    def facts(self) -> list[Facts]:
        """Return the facts of all parts in the order of the embedders."""
        return [self._parts[key].facts for key in sorted(self._parts)]


def _parts_of_shards(found: Iterable[shards.Shard]) -> list[Facts]:
    parts = _Parts()
    for shard in found:
        for model_id, (batch, _) in shard.parts.items():
            part = parts(model_id, batch.method, batch.shared.get("layout"))
            float32_bytes = codec_class(batch.method).batch_float32_bytes(batch)
            part.add(len(batch), batch.nbytes, float32_bytes)
    return parts.facts()


def _store(reader: StoreReader, progress: Progress | None) -> Description:
    parts, memories = _Parts(), 0
    for record_id in reader.store:
        record = reader.store.quantized(record_id)
        for model_id, one in record.items() if record is not None else ():
            part = parts(model_id, one.method, getattr(one.metadata, "layout", None))
            part.add(1, one.size_bytes, one.original_bytes)
        memories += 1
        if progress is not None:
            progress(1)
    return Description("store", {"memories": memories}, parts.facts())
