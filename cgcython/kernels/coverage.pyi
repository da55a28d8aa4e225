"""Types of facility location, Ward clustering and pooling of tokens; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array, UInt32Array

def cover_scratch(tokens: int, dim: int) -> int: ...
def cover(
    values: Float32Array, kept: UInt32Array, gains: Float32Array, scratch: UInt8Array
) -> None: ...
def cover_documents(
    values: Float32Array,
    offsets: Int64Array,
    kept: UInt32Array,
    kept_offsets: Int64Array,
    gains: Float32Array,
    scratch: UInt8Array,
) -> None: ...
def cluster_scratch(tokens: int, dim: int) -> int: ...
def cluster(
    values: Float32Array, labels: UInt32Array, num_clusters: int, scratch: UInt8Array
) -> None: ...
def pool_scratch(tokens: int, dim: int) -> int: ...
def pool_documents(
    values: Float32Array,
    offsets: Int64Array,
    pooled: Float32Array,
    positions: UInt32Array,
    edges: Int64Array,
    scratch: UInt8Array,
) -> None: ...
