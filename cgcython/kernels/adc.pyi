"""Types of the scans over codes of product quantization; OUT arrays are written."""

from cgcython.types import Float32Array, Int64Array, UInt8Array

def scan(table: Float32Array, codes: UInt8Array, out: Float32Array) -> None: ...
def cosine(
    dots: Float32Array,
    norms: Float32Array,
    dot_constant: float,
    norm_constant: float,
    codes: UInt8Array,
    out: Float32Array,
) -> None: ...
def topk(table: Float32Array, codes: UInt8Array, ids: Int64Array, best: Float32Array) -> None: ...
def block_codes(codes: UInt8Array, blocks: UInt8Array) -> None: ...
def topk_blocks(
    table: Float32Array, blocks: UInt8Array, n: int, ids: Int64Array, best: Float32Array
) -> None: ...
def topk_cosine(
    dots: Float32Array,
    norms: Float32Array,
    dot_constant: float,
    norm_constant: float,
    blocks: UInt8Array,
    lengths: UInt8Array,
    edges: Float32Array,
    n: int,
    ids: Int64Array,
    best: Float32Array,
) -> None: ...
