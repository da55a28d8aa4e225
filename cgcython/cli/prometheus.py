"""The statistics of a store in the text format that Prometheus scrapes.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from cgcython.store import StoreStatistics

Labels: TypeAlias = Mapping[str, str]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metric(NamedTuple):
    """One metric: its name behind `cgcython_store_`, its type, what it means, its values."""

    name: str
    kind: str
    meaning: str
    values: Sequence[tuple[Labels, float]]


def exposition(found: StoreStatistics) -> str:
    """Return the text of all metrics of a store, each with its HELP and TYPE."""
    return "".join(map(_text, _metrics(found)))


def _metrics(found: StoreStatistics) -> Iterator[Metric]:
    for name, meaning, value in (
        ("records", "Records that can be retrieved.", found.records),
        ("record_bytes", "Bytes of manifests and sections.", found.record_bytes),
        ("database_bytes", "Bytes of the files on disk.", found.database_bytes),
        ("trashed_records", "Records in the trash.", found.trashed),
        ("trash_bytes", "Bytes of the records in the trash.", found.trash_bytes),
    ):
        yield Metric(name, "gauge", meaning, [({}, value)])
    parts = [({"embedder": one.embedder.short, "layout": one.layout}, one) for one in found.parts]
    sections = [(labels, float(one.sections)) for labels, one in parts]
    yield Metric("sections", "gauge", "Sections of records.", sections)
    sizes = [(labels, float(one.bytes)) for labels, one in parts]
    yield Metric("section_bytes", "gauge", "Bytes of sections.", sizes)
    books = [({"embedder": one.short}, float(len(ids))) for one, ids in found.codebooks.items()]
    yield Metric("codebooks", "gauge", "Generations of codebooks.", books)
    yield from _quality(found)


def _quality(found: StoreStatistics) -> Iterator[Metric]:
    """Yield what the newest samples of each kind and embedder say."""
    newest = {(one.kind, one.embedder): one for one in found.quality}
    rows = [({"kind": kind, "embedder": name}, one) for (kind, name), one in newest.items()]
    losses = [(labels, one.losses.mean) for labels, one in rows]
    yield Metric("loss_ratio", "gauge", "Mean loss of the newest samples, 1 - cosine.", losses)
    counts = [(labels, float(one.losses.samples)) for labels, one in rows]
    yield Metric("loss_samples", "gauge", "Samples behind that mean.", counts)
    moments = [(labels, one.until.timestamp()) for labels, one in rows]
    yield Metric("loss_timestamp_seconds", "gauge", "When they were taken.", moments)
    trained = [(labels, one.trained_loss) for labels, one in rows if one.trained_loss is not None]
    yield Metric("trained_loss_ratio", "gauge", "The loss that training measured.", trained)
    best = [(labels, one.similarity) for labels, one in rows if one.similarity is not None]
    yield Metric("best_similarity", "gauge", "Mean similarity of best hits.", best)


def _text(metric: Metric) -> str:
    name = f"cgcython_store_{metric.name}"
    lines = [f"# HELP {name} {metric.meaning}", f"# TYPE {name} {metric.kind}"]
    lines += [f"{name}{_labels(labels.items())} {value!r}" for labels, value in metric.values]
    return "\n".join(lines) + "\n"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    told = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)
    return f"{{{told}}}" if told else ""
