"""Shards of batch work, decoded and searched."""

import tempfile
from functools import cache
from uuid import UUID

import numpy as np
from fuzz.mutations import change_tensors
from fuzz.world import MEMORY, as_folder, files_in, memories

from cgcython import Fingerprint, QuantizationError, ShardWriter, open_corpus
from cgcython.corpus.reading import decoded_arrays, open_reader, open_searcher
from cgcython.store.key_columns import KeyColumn
from cgcython.store.shard_file import FREE, KIND
from cgcython.tensors import BLOCKS

SHARD = "shard-00000.safetensors"
mutate = change_tensors


@cache
def _sound(ids=None):
    """Return the files of a folder of one shard, whose memories have some ids."""
    made = memories()
    some = [made.make(seed, tokens=2) for seed in range(3)]
    sparse = [one["E6"] for one in some]
    tokens = [one["E12"] for one in some[:2]]
    arrays = {f"E{one}": [memory[f"E{one}"] for memory in some] for one in (1, 2, 9)}
    arrays |= {
        "E6.indptr": [0, 20, 40, 60],
        "E6.indices": [index for one in sparse for index in one.indices.tolist()],
        "E6.weights": [weight for one in sparse for weight in one.weights.tolist()],
        "E12.values": [token for one in tokens for token in one.tolist()],
        "E12.offsets": [0, 2, 4],
        "E12.rows": [0, 2],
    }
    if ids is not None:
        arrays["ids"] = list(ids)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        writer = ShardWriter(folder, made.codebooks, profile=made.profile)
        writer.write_all(open_corpus(arrays, made.profile))
        return files_in(folder)


def seeds():
    mixed, uuids = (5, "5", UUID(int=5)), tuple(UUID(int=n) for n in range(3))
    written = [_sound(ids)[SHARD] for ids in (None, mixed, uuids)]
    return [*written, *map(_without_blocks, written)]


def _without_blocks(data):
    """Return a shard as version 2 has it: all bytes of its arrays have one checksum."""
    with as_folder({SHARD: data}) as folder:
        arrays, texts = KIND.read(folder / SHARD)
        keys = KeyColumn.taken(arrays)
        arrays = {name: np.array(one) for name, one in arrays.items() if name != BLOCKS}
        KIND.write(folder / SHARD, {**arrays, **keys.arrays(free=True)}, texts, FREE)
        return (folder / SHARD).read_bytes()


def fuzz_one(data):
    with as_folder({**_sound(), SHARD: data}) as folder:
        try:
            with open_reader(folder) as reader:
                len(reader)
                decoded_arrays(reader)
            with open_searcher(folder) as searcher:
                for embedder in ("E1", "E2", "E6", "E9", "E12"):
                    query = memories().make(0, (embedder,), tokens=2)
                    searcher.search(Fingerprint(query), k=2)
            for embedder in ("E1", "E6", "E9", "E12"):
                query = Fingerprint(memories().make(0, ("E2", embedder), tokens=2))
                with open_searcher(folder) as searcher:
                    searcher.search(query, k=2, embedders=["E2"], rerank=embedder)
        except QuantizationError:
            pass
