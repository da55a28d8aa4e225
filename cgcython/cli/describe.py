"""What is inside a file or folder that this package wrote, as facts and a table of parts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_file import FOLDER
from cgcython.codecs.codebook_file import FORMAT as CODEBOOK
from cgcython.corpus.byte_counts import float32_bytes
from cgcython.corpus.reading import ShardReader, open_reader
from cgcython.errors import InvalidInput, UsageError
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.frames import MAGIC as RECORD
from cgcython.manifest import MAGIC as FINGERPRINT
from cgcython.records import QuantizedEmbedding
from cgcython.store import shards
from cgcython.tensors import Malformed, read_tensors

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PART = ("embedder", "method", "layout", "memories", "stored_bytes", "float32_bytes")


class Description(NamedTuple):
    """What something is, single facts about it, and a row of facts for each of its parts."""

    kind: str
    facts: dict
    parts: list

    def as_dict(self):
        """Return everything for JSON."""
        return {"kind": self.kind, **self.facts, "parts": self.parts}


def describe(path, bar):
    """Return the Description of a path; `bar` hears of each memory read.

    Raises UsageError for what this package did not write, and what reading it raises.
    """
    path = Path(path)
    if path.is_file():
        return _safetensors(path) if path.suffix == ".safetensors" else _record_file(path)
    if (path / FOLDER).is_dir() and not shards.shard_paths(path):
        books = sorted((path / FOLDER).glob("*_codebook.safetensors"))
        return Description("models", {"codebooks": len(books)}, [_codebook(one) for one in books])
    with open_reader(path) as source:
        return _shard_folder(source) if isinstance(source, ShardReader) else _store(source, bar)


def describe_record(record, kind="record"):
    """Return the Description of a QuantizedFingerprint."""
    parts = [_part(*item) for item in record.items()]
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


def _moment(microseconds):
    """Return a time in ISO form; as a number where no calendar has it."""
    if microseconds is None:
        return None
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).isoformat()
    except OverflowError:
        return microseconds


def _part(model_id, quantized):
    name = "-" if model_id is None else model_id.short
    layout = getattr(quantized.metadata, "layout", None)
    sizes = 1, quantized.size_bytes, quantized.original_bytes
    found = dict(zip(PART, (name, quantized.method.value, layout, *sizes)))
    known = quantized.metadata._asdict()
    known.pop("layout", None)
    return found | {"metadata": known}


def _record_file(path):
    content = path.read_bytes()
    if content.startswith(RECORD[:4]):
        part = _part(None, QuantizedEmbedding.from_bytes(content))
        return Description("embedding", {"record_bytes": len(content)}, [part])
    if content.startswith(FINGERPRINT):
        return describe_record(QuantizedFingerprint.from_bytes(content, str(path)), "fingerprint")
    raise InvalidInput(what=str(path), expected="a file that cgcython wrote", actual="another")


def _safetensors(path):
    try:
        form = read_tensors(path).texts.get("format", "")
    except Malformed as error:
        raise InvalidInput(what=str(path), expected="a .safetensors file", actual=error) from None
    if form == CODEBOOK:
        return Description("codebook", _codebook(path), [])
    shard = shards.read_shard(path)
    return Description("shard", {**shard.facts, "memories": len(shard.ids)}, _parts([shard]))


def _codebook(path):
    book = PQ8Codebook.load(path)
    own = {
        "path": str(path),
        "codebook_id": f"{book.codebook_id:#010x}",
        "dimension": book.embedding_dim,
        "bytes": book.num_subvectors,
        "width": book.width,
    }
    return own | {key: value for key, value in book.metadata.items() if key not in ("dim", "id")}


def _shard_folder(source):
    found = [shards.read_shard(path) for path in source.paths]
    facts = {"shards": len(found), "memories": sum(len(one.ids) for one in found)}
    return Description("shards", facts, _parts(found))


def _parts(found):
    parts = {}
    for shard in found:
        for model_id, (batch, _) in shard.parts.items():
            layout = batch.shared.get("layout")
            _add(parts, model_id, batch, layout, (len(batch), batch.nbytes, float32_bytes(batch)))
    return _sorted(parts)


def _store(source, bar):
    parts, memories = {}, 0
    for record_id in source.store:
        for model_id, one in source.store.quantized(record_id).items():
            layout = getattr(one.metadata, "layout", None)
            _add(parts, model_id, one, layout, (1, one.size_bytes, one.original_bytes))
        memories += 1
        bar.advance()
    return Description("store", {"memories": memories}, _sorted(parts))


def _add(parts, model_id, quantized, layout, sizes):
    key = model_id, layout or ""
    head = model_id.short, quantized.method.value, layout
    row = parts.setdefault(key, dict(zip(PART, (*head, 0, 0, 0))))
    for name, size in zip(PART[3:], sizes):
        row[name] += size


def _sorted(parts):
    return [parts[key] for key in sorted(parts)]


def require_record(store, record_id):
    """Return the record of an id; raises UsageError for one that the store does not have."""
    record = store.quantized(record_id)
    if record is None:
        raise UsageError(f"{store.path} has no record {record_id}")
    return record
