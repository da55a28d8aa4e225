"""What folders of shards say of themselves: the manifest, and the plan of an unfinished job."""

import json
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from fuzz.mutations import change_bytes, change_json
from fuzz.world import MEMORY, as_folder, files_in, memories

from cgcython import QuantizationError, ShardWriter, open_corpus
from cgcython.corpus.reading import decoded_arrays, open_reader, open_searcher
from cgcython.store.sealed_json import SEAL, SealedKind
from cgcython.store.shard_checking import check_shards
from cgcython.store.shard_folder import has_shards, why_partial
from cgcython.store.shard_manifest import JOB, MANIFEST

SHARD_SIZE = 2


def _writer(folder):
    return ShardWriter(folder, memories().codebooks, shard_size=SHARD_SIZE)


@cache
def _sound(is_whole):
    """Return the files of a folder, of a whole one or of one whose job is unfinished."""
    corpus = open_corpus(dict(_arrays()), memories().profile)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        with _writer(folder) as writer:
            for start, stop in list(corpus.ranges(SHARD_SIZE))[: None if is_whole else 2]:
                writer.write(corpus, start, stop)
        return files_in(folder)


@cache
def _arrays():
    some = [memories().make(seed, tokens=2) for seed in range(5)]
    return tuple((name, [one[name] for one in some]) for name in ("E1", "E9"))


def seeds():
    return [_sound(True)[MANIFEST], _sound(False)[JOB]]


def mutate(data, rng):
    try:
        named = json.loads(data)
        changed = {**change_json(named, rng)}
        kind = SealedKind(changed.pop("format"), changed.pop("version"))
        changed.pop(SEAL, None)
        return kind.to_bytes(changed)
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        return change_bytes(data, rng)


def fuzz_one(data):
    for name, is_whole in ((MANIFEST, True), (JOB, False), (MANIFEST, False)):
        with as_folder({**_sound(is_whole), name: data}) as folder:
            for use in (_check, _decode, _search, _resume):
                with suppress(QuantizationError):
                    use(folder)


def _check(folder):
    report = check_shards(folder)
    assert len(report.problems) < 2000
    assert has_shards(folder)
    why_partial(folder)


def _decode(folder):
    with open_reader(folder) as reader:
        len(reader)
        decoded_arrays(reader)


def _search(folder):
    with open_searcher(folder) as searcher:
        searcher.search(memories().make(0, ("E9",)), k=2)


def _resume(folder):
    path = Path(folder, "resumed")
    shutil.copytree(folder, path)
    with _writer(path) as writer:
        writer.write_all(open_corpus(dict(_arrays()), memories().profile))
