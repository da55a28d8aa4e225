"""Writes a database as the old system did: float32 values per embedder under 16-byte keys."""

import numpy as np
import rocksdict

from cgcython.base import ModelId
from cgcython.records import SparseVector


def legacy_value(embedding, pairs=True):
    """Return the bytes that the old system kept of an embedding."""
    if not isinstance(embedding, SparseVector):
        return np.asarray(embedding, "<f4").tobytes()
    if pairs:
        rows = np.rec.fromarrays([embedding.indices, embedding.weights], formats=["<u4", "<f4"])
        return embedding.nnz.to_bytes(4, "little") + rows.tobytes()
    whole = np.zeros(embedding.dimension, "<f4")
    whole[embedding.indices] = embedding.weights
    return whole.tobytes()


def write_legacy(path, values, others=(), names=None):
    """Write `{(ModelId, key): bytes}`; `names` gives embedders other families than `emb_N`."""
    names = {one: f"emb_{int(one)}" for one in ModelId} | (names or {})
    families = {names[one] for one, _ in values} | set(others)
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    made = {name: rocksdict.Options(raw_mode=True) for name in families}
    db = rocksdict.Rdict(str(path), options, column_families=made)
    handles = {name: db.get_column_family(name) for name in families}
    for (model_id, key), value in values.items():
        handles[names[model_id]][key] = value
    for name in others:
        handles[name][b"some key"] = b"some value"
    for handle in handles.values():
        handle.flush()
        handle.close()
    db.close()
