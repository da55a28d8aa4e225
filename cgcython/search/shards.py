"""A folder of shards that can be searched, as a store can."""

from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from cgcython.base import ModelId, Profile
from cgcython.frames import write_section
from cgcython.router import QuantizationRouter
from cgcython.search.columns import Columns
from cgcython.search.store import Searcher
from cgcython.store import shards
from cgcython.store.ids import as_key


class _NothingChanges:
    """The journal of what is written once."""

    def position(self):
        """Return the only position there is."""
        return 0


class ShardSearcher(Searcher):
    """The columns of safetensors shards, read into memory when first searched."""

    def __init__(self, folder):
        self._paths = shards.shard_paths(folder)
        profile = str(Path(folder) / shards.PROFILE)
        self.profile = Profile.named(profile)
        self.router = QuantizationRouter(folder, profile)
        self.journal = _NothingChanges()
        self._columns = Columns(self, self.router.codebooks.by_id)

    @contextmanager
    def snapshot(self):
        """Yield this searcher: shards are written once."""
        yield self

    def scan(self, model_id):
        """Yield (id, record) of all memories that have an embedder."""
        for path in self._paths:
            shard = shards.read_shard(path)
            if model_id in shard.parts:
                batch, rows = shard.parts[model_id]
                ids = shard.ids if rows is None else shard.ids[rows]
                codec = self.router.encoders[batch.method].decoder(batch)
                yield from zip(map(bytes, ids), codec.rows(batch))

    def sections(self, model_id, damaged):
        """Yield (id, section) of all memories that have an embedder."""
        for key, quantized in self.scan(model_id):
            yield key, write_section(quantized, model_id)

    def quantized(self, record_id, model_id):
        """Return one embedder's record of a memory, or None; only tokens are kept for this."""
        if model_id is not ModelId.LATE_INTERACTION:
            return dict(self.scan(model_id)).get(as_key(record_id))
        return self._tokens.get(as_key(record_id))

    @cached_property
    def _tokens(self):
        return dict(self.scan(ModelId.LATE_INTERACTION))
