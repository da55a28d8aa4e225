"""A valid call of every kernel, at any number of rows and of values in a row.

CALLS[name](make, rows, dim) returns the arguments in order. A name is family.function, and behind
a space what tells several calls of one function apart.
"""

import numpy as np
from kernel_arrays import (
    DIMENSION,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    KEPT,
    LAYOUTS,
    U8,
    U16,
    U32,
    Make,
    blocks,
    cells,
    documents,
    encoded_rows,
    few,
    halves,
    in_bytes,
    integer_codes,
    kept,
    listed_vectors,
    lists,
    out,
    packed,
    packed_codes,
    packed_halves,
    packed_integers,
    packed_scalars,
    parted,
    pools,
    quantized,
    record,
    records,
    screened,
    sparse,
    sparse_rows,
    table,
    tokens,
    unwritten,
)

from cgcython import kernels
from cgcython.kernels import dispatch

CALLS = {
    "e4m3.encode": lambda m, n, d: (m.f32(d), out(U8, d)),
    "e4m3.decode": lambda m, n, d: (m.u8(d), 0.5, 0.25, out(F32, d)),
    "e4m3.encode_rows": lambda m, n, d: (m.f32(n, d), out(U8, n, d), out(F32, n)),
    "e4m3.decode_rows": lambda m, n, d: (m.u8(n, d), m.f32(n), out(F32, n, d)),
    "e4m3.encode_vector": lambda m, n, d: (m.f32(d), d, out(U8, d)),
    "e4m3.decode_vector": lambda m, n, d: (m.u8(d).tobytes(), 0.5, 0.25, out(F32, d)),
    "e4m3.cosine_rows": lambda m, n, d: (m.f32(d), m.u8(n, d), m.f32(n), out(F32, n)),
    "e4m3.cosine_rows_at": lambda m, n, d: (
        m.f32(d), m.u8(n, d), m.f32(n), np.arange(n)[::-2].copy(), out(F32, (n + 1) // 2),
    ),
    "e4m3.inverse_norms": lambda m, n, d: (m.u8(n, d), out(F32, n)),
    "e4m3.dot_rows": lambda m, n, d: (m.f32(d), m.u8(n, d), m.f32(n), out(F32, n)),
    "e4m3_best.best": lambda m, n, d: (
        m.f32(d), m.u8(n, d), m.f32(n), None, 2, 0.0, 0.0, out(I64, n), out(F32, n),
    ),
    "e4m3_best.best by products": lambda m, n, d: (
        m.f32(d), m.u8(n, d), m.f32(n), m.f32(n), 2, 0.0, 0.0, out(I64, n), out(F32, n),
    ),
    "e4m3_best.pack": lambda m, n, d: (m.f32(n, d), True, *packed_codes(n, d)),
    "e4m3_best.best_many": lambda m, n, d: (
        *packed_codes(7, d, m.f32(7, d)), m.u8(n, d), m.f32(n), None, 2, 0.0, out(F64, 7),
        out(I64, 7, n), out(F32, 7, n), out(I64, 7),
    ),
    "e4m3_best.best_many by products": lambda m, n, d: (
        *packed_codes(7, d, m.f32(7, d), False), m.u8(n, d), m.f32(n), m.f32(n), 2, 0.0,
        out(F64, 7), out(I64, 7, n), out(F32, 7, n), out(I64, 7),
    ),
    "bits.pack_vector": lambda m, n, d: (m.f32(d), d, 0.0, out(U8, in_bytes(d))),
    "bits.pack_rows": lambda m, n, d: (m.f32(n, d), 0.0, out(U8, n, in_bytes(d))),
    "bits.unpack_vector": lambda m, n, d: (m.u8(in_bytes(d)).tobytes(), d, out(F32, d)),
    "bits.unpack_rows": lambda m, n, d: (m.u8(n, in_bytes(d)), out(F32, n, d)),
    "bits.hamming": lambda m, n, d: (m.u8(d), m.u8(d)),
    "bits.hamming_rows": lambda m, n, d: (m.u8(d), m.u8(n, d), out(U32, n)),
    "bits.agreement_rows": lambda m, n, d: (
        m.u8(in_bytes(d + 1)), m.u8(n, in_bytes(d + 1)), d + 1, out(F32, n),
    ),
    "bits.hamming_topk": lambda m, n, d: (
        m.u8(d), m.u8(n, d), out(I64, min(n, KEPT)), out(U32, min(n, KEPT)),
    ),
    "bits.padding_is_zero": lambda m, n, d: (m.u8(n, in_bytes(d)), d),
    "adc.scan": lambda m, n, d: (t := table(m, d), m.u8(n, len(t)), out(F32, n)),
    "adc.cosine": lambda m, n, d: (
        t := table(m, d), np.square(t), 1.0, 2.0, m.u8(n, len(t)), out(F32, n),
    ),
    "adc.topk": lambda m, n, d: (t := table(m, d), m.u8(n, len(t)), *few(n)),
    "adc.block_codes": lambda m, n, d: (m.u8(n, d), out(U8, -(-n // 64), d, 64)),
    "adc.topk_blocks": lambda m, n, d: (
        t := table(m, d), blocks(m.u8(n, len(t))), n, *few(n),
    ),
    "adc.topk_cosine": lambda m, n, d: (
        t := table(m, d), np.square(t), 1.0, 2.0, blocks(m.u8(n, len(t))),
        m.u8(-(-n // 64), 64), np.linspace(0, 9, 257, dtype=F32), n, *few(n),
    ),
    "kmeans.shrink_distances": lambda m, n, d: (m.f32(n, d), m.f32(d), m.f32(n)),
    "kmeans.accumulate": lambda m, n, d: (
        m.f32(n, d), m.u8(n, below=5), out(F64, 5, d), out(I64, 5),
    ),
    "eigen.tridiagonal": lambda m, n, d: (
        m.f32(d, d).astype(F64), *out(F64, 3, d), out(F64, 2, d), 0, d,
    ),
    "eigen.vectors": lambda m, n, d: (
        m.f32(d, d).astype(F64), np.zeros(d), m.f32(d).astype(F64), out(F64, d), 0,
        out(F64, d, min(d, 256)),
    ),
    "eigen.product": lambda m, n, d: (
        m.f32(n, d).astype(F64), m.f32(d, 9).astype(F64), out(F64, n, 9),
    ),
    "sparse.size": lambda m, n, d: (d, DIMENSION, n % LAYOUTS),
    "sparse.fits_half": lambda m, n, d: (
        *sparse_rows(m, n, d)[::2], out(U8, n),
    ),
    "sparse.measure_rows": lambda m, n, d: (
        np.arange(n + 1) * d, DIMENSION, m.u8(n, below=LAYOUTS), out(I64, n + 1),
    ),
    "sparse.encode_rows": lambda m, n, d: (
        (e := encoded_rows(m, n, d))[0], *e[1:3], DIMENSION, e[3], np.zeros_like(e[4]), e[5],
    ),
    "sparse.decode_rows": lambda m, n, d: (
        (e := encoded_rows(m, n, d))[4], e[5], e[3], DIMENSION, e[0],
        np.zeros_like(e[1]), np.zeros_like(e[2]),
    ),
    "sparse_products.dot_pair": lambda m, n, d: (*sparse(m, n), *sparse(m, d)),
    "sparse_products.dot_rows": lambda m, n, d: (
        m.f32(DIMENSION), *sparse_rows(m, n, d), out(F32, n),
    ),
    "sparse_products.norms": lambda m, n, d: (*sparse_rows(m, n, d)[::2], out(F32, n)),
    "sparse_products.invert": lambda m, n, d: (
        *sparse_rows(m, n, d), out(I64, DIMENSION + 1), out(U32, n * d), out(F32, n * d),
    ),
    "postings.score": lambda m, n, d: (
        *sparse(m, d), *lists(m, n, d), 0, 1 if n else 0, out(F32, n), out(F32, 65536),
    ),
    "postings.score_rows": lambda m, n, d: (
        *sparse(m, d), *lists(m, n, d), np.arange(n), out(F32, n),
    ),
    "postings.best_scratch": lambda m, n, d: (d, 10),
    "postings.best": lambda m, n, d: (
        *sparse(m, d), *(x := lists(m, n, d)), np.full(len(x[2]), 100, F32), m.f32(n) + F32(10),
        0, 1 if n else 0, 10, out(I64, n), out(F32, n),
        out(U8, kernels.postings.best_scratch(d, 10)),
    ),
    "sparse.fits_half_vectors": lambda m, n, d: ([m.f32(d) for _ in range(n)], out(U8, n)),
    "tokens.magnitude": lambda m, n, d: (m.f32(n, d), out(F32, n)),
    "tokens.max_abs": lambda m, n, d: (m.f32(n, d), out(F32, n)),
    "tokens.entropy": lambda m, n, d: (m.f32(n, d), out(F32, n)),
    "tokens.select_top": lambda m, n, d: (m.f32(n), out(U32, min(n, KEPT))),
    "tokens.gather": lambda m, n, d: (m.f32(n, d), k := kept(m, n), out(F32, len(k), d)),
    "coverage.cover_scratch": lambda m, n, d: (n, d),
    "coverage.cover": lambda m, n, d: (
        m.f32(n, d), out(U32, n // 2), out(F32, n // 2),
        out(U8, kernels.coverage.cover_scratch(n, d)),
    ),
    "coverage.cover_documents": lambda m, n, d: (
        m.f32(n, d), (p := parted(n))[0], out(U32, p[1][-1]), p[1], out(F32, p[1][-1]),
        out(U8, kernels.coverage.cover_scratch(n, d)),
    ),
    "coverage.cluster_scratch": lambda m, n, d: (n, d),
    "coverage.cluster": lambda m, n, d: (
        m.f32(n, d), out(U32, n), (n + 2) // 3, out(U8, kernels.coverage.cluster_scratch(n, d)),
    ),
    "coverage.pool_scratch": lambda m, n, d: (n, d),
    "coverage.pool_documents": lambda m, n, d: (
        m.f32(n, d), *pools(n, d), out(U8, kernels.coverage.pool_scratch(n, d)),
    ),
    "scalars.scratch": lambda m, n, d: (d,),
    "sections.frame": lambda m, n, d: (
        m.u8(n, 18), m.u8(n * d), np.arange(n + 1) * d, out(U32, n),
    ),
    "sections.stack": lambda m, n, d: ([*m.f32(n, d)], False, out(F32, n, d)),
    "sections.stack matrices": lambda m, n, d: (
        [m.f32(n, d), m.f32(1, d)], True, out(F32, n + 1, d),
    ),
    "token_records.is_sound": lambda m, n, d: (m.f32(n, d), d),
    "maxsim.pack_query": lambda m, n, d: (m.f32(n, d), out(F32, -(-n // 32), d, 32)),
    "maxsim.inverse_norms": lambda m, n, d: (m.f32(n, d), out(F32, n)),
    "maxsim.inverse_norms_codes": lambda m, n, d: (m.u8(n, d), out(F32, n)),
    "maxsim.score": lambda m, n, d: (*packed(m, n, d), *tokens(m, n, d), *documents(n)),
    "maxsim.score_codes": lambda m, n, d: (
        *packed(m, n, d), m.u8(n * d), *documents(n if d else 0, d),
    ),
    "maxsim.align": lambda m, n, d: (
        *(p := packed(m, n, d)), *tokens(m, n, d), out(I64, p[1]), out(F32, p[1]),
    ),
    "maxsim.matrix_of": lambda m, n, d: (m.f32(n, d).tolist(),),
    "maxsim.pair": lambda m, n, d: (m.f32(d, 128), m.f32(n, 128)),
    "maxsim_bf16.encode": lambda m, n, d: (m.f32(d), out(U16, d)),
    "maxsim_bf16.decode": lambda m, n, d: (halves(m, 1, d)[0], out(F32, d)),
    "maxsim_bf16.pack_query": lambda m, n, d: (
        m.f32(n, d), out(U16, -(-n // 32), (d + 1) // 2, 64),
    ),
    "maxsim_bf16.inverse_norms": lambda m, n, d: (halves(m, n, d), out(F32, n)),
    "maxsim_bf16.score": lambda m, n, d: (
        *packed_halves(m, n, d), halves(m, n, d), m.f32(n), *documents(n),
    ),
    "maxsim_bf16.score_codes": lambda m, n, d: (
        *packed_halves(m, n, d), m.u8(n, d), m.f32(n), *documents(n),
    ),
    "maxsim_integers.lines": lambda m, n, d: (d, 2),
    "maxsim_pq.tables": lambda m, n, d: (
        (p := packed(m, n, 2 * d))[0], m.f32(2, 256, d), out(F32, len(p[0]), 2, 256, 32),
    ),
    "maxsim_pq.squares": lambda m, n, d: (m.f32(2, 256, d), out(F64, 2, 256)),
    "maxsim_pq.inverse_norms": lambda m, n, d: (
        np.ones((d % 9, 256)), m.u8(n, d % 9), out(F32, n),
    ),
    "maxsim_pq.score": lambda m, n, d: (
        m.f32(-(-n // 32), d % 9, 256, 32), n, m.u8(n, d % 9), m.f32(n), *documents(n),
    ),
    "maxsim_screen.pays": lambda m, n, d: (),
    "maxsim_screen.lines": lambda m, n, d: (d,),
    "maxsim_screen.encode_rows": lambda m, n, d: (
        *tokens(m, n, d), out(U8, n, d), out(F32, n, 2),
    ),
    "maxsim_screen.pack_query": lambda m, n, d: (
        (p := packed(m, n, d))[0], out(F32, 32 * len(p[0]), d),
        out(I8, len(p[0]), kernels.maxsim_screen.lines(d), 128),
    ),
    "maxsim_screen.score": lambda m, n, d: (*screened(m, n, d), *documents(n)),
    "maxsim_screen.bound": lambda m, n, d: (*screened(m, n, d), *documents(n), out(F32, 4)),
    "maxsim_screen.align": lambda m, n, d: (
        *(s := screened(m, n, d)), out(I64, s[3]), out(F32, s[3]),
    ),
    "maxsim_codes.pays": lambda m, n, d: (),
    "maxsim_codes.measure": lambda m, n, d: (m.u8(n, d), out(F32, n), out(F32, n)),
    "maxsim_codes.score": lambda m, n, d: (
        *packed_integers(m, n, d, 1), m.u8(n, d), m.f32(n), *documents(n),
    ),
    "token_cells.nearest": lambda m, n, d: (
        *(p := packed_integers(m, n, d, 1)), m.u8(n, d), m.f32(n), out(I32, p[1], 3),
        out(F32, p[1], 3),
    ),
    "token_cells.accumulate": lambda m, n, d: (*cells(m, n, d), out(I32, 200), out(F32, 200)),
    "dense.first_nonfinite": lambda m, n, d: (m.f32(d),),
    "dense.norms": lambda m, n, d: (m.f32(n, d), out(F32, n)),
    "dense.dot_rows": lambda m, n, d: (m.f32(d), m.f32(n, d), out(F32, n)),
    "dense.cosine_rows": lambda m, n, d: (m.f32(d), m.f32(n, d), out(F32, n)),
    "dense.top_k": lambda m, n, d: (m.f32(n), *few(n)),
    "dense.count_above": lambda m, n, d: (m.f32(n), m.f32(d), out(I64, d)),
    "dense.rows_above": lambda m, n, d: (m.f32(n), 0.5, out(I64, min(n, KEPT))),
    "dense.project": lambda m, n, d: (m.f32(n, d), m.f32(d), m.f32(d, n), out(F32, n, n)),
    "dense.back_project": lambda m, n, d: (m.f32(n, d), m.f32(d, n), m.f32(n), out(F32, n, n)),
    "residual.product": lambda m, n, d: (
        m.f32(n, d), m.f32(2, d, 64), out(F32, n, 128),
    ),
    "residual.search": lambda m, n, d: (
        m.f32(n, 768), m.f32(768), m.u8(3, 256, 512).view(np.int16), m.u8(3, below=5), 64.0, 0,
        m.u8(n, 4, 3), out(I32, n, 4),
    ),
    "residual.sums": lambda m, n, d: (m.u8(n, 8), m.f32(8, 256, d), out(F32, n, d)),
    "sign_blocks.pack": lambda m, n, d: (
        m.f32(n, d), m.f32(n), m.f32(d), m.u8(2, -(-d // 64) * 64), out(F32, -(-d // 64) * 128),
        out(np.uint64, n, -(-d // 64)),
    ),
    "sign_blocks.distances": lambda m, n, d: (
        m.u64(d, 8), m.u64(-(-n // 8), d, 8), out(U32, n),
    ),
    "sign_blocks.nearest": lambda m, n, d: (
        m.u64(d, 8), m.u64(-(-n // 8), d, 8), n, min(n, KEPT), out(I64, min(n, KEPT) + 64),
        out(U32, min(n, KEPT) + 64),
    ),
    "limits.fma": lambda m, n, d: (d,),
    "limits.read": lambda m, n, d: (m.f32(d),),
    "limits.narrow": lambda m, n, d: (m.f32(64 * d), out(F32, 16 * d)),
    "limits.widen": lambda m, n, d: (m.f32(16 * d), out(F32, 64 * d)),
}  # fmt: skip


def _each(name, values, call):
    CALLS.update({f"{name} {value}": call(value) for value in values})


_each("dense.turn_rows", [True, False], lambda back: lambda m, n, d: (
    m.f32(n, d), out(F32, n, d), back,
))  # fmt: skip
_each("pq.encode_rows", [True, False], lambda rotated: lambda m, n, d: (
    *quantized(m, n, d, rotated),
))  # fmt: skip
_each("pq.encode_vector", [True, False], lambda rotated: lambda m, n, d: (
    (q := quantized(m, 1, d, rotated))[0][0], q[1],
))  # fmt: skip
_each("pq.decode_rows", [True, False], lambda rotated: lambda m, n, d: (
    (q := quantized(m, n, d, rotated))[2], q[1], q[0], q[3],
))  # fmt: skip
_each("pq.decode_vector", [True, False], lambda rotated: lambda m, n, d: (
    (q := quantized(m, 1, d, rotated))[2].tobytes(), q[1],
))  # fmt: skip
_each("pq.back_table", [True, False], lambda rotated: lambda m, n, d: (
    (q := quantized(m, 1, d, rotated))[1], out(F32, 2, 256, q[0].shape[1]),
))  # fmt: skip
_each("pq.dot_table", [False], lambda _: lambda m, n, d: (
    (q := quantized(m, 1, d, False))[0][0], q[1], out(F32, 2, 256),
))  # fmt: skip
_each("pq.distance_table", [False], lambda _: lambda m, n, d: (
    (q := quantized(m, 1, d, False))[0][0], q[1], out(F32, 2, 256),
))  # fmt: skip
_each("sparse.encode", range(LAYOUTS), lambda layout: lambda m, n, d: (
    *sparse(m, d), DIMENSION, layout, out(U8, kernels.sparse.size(d, DIMENSION, layout)),
))  # fmt: skip
_each("sparse.decode", range(LAYOUTS), lambda layout: lambda m, n, d: (
    np.frombuffer(kernels.sparse.encode_vector(*sparse(m, d), DIMENSION, layout), U8).copy(),
    DIMENSION, layout, out(U32, d), out(F32, d),
))  # fmt: skip
_each("sparse.encode_vector", range(LAYOUTS), lambda layout: lambda m, n, d: (
    *sparse(m, d), DIMENSION, layout,
))  # fmt: skip
_each("sparse.encode_vectors", range(LAYOUTS), lambda layout: lambda m, n, d: (
    *listed_vectors(m, n, d, layout),
))  # fmt: skip
_each("sparse.decode_vector", range(LAYOUTS), lambda layout: lambda m, n, d: (
    kernels.sparse.encode_vector(*sparse(m, d), DIMENSION, layout), d, DIMENSION, layout,
))  # fmt: skip
_each("tokens.prune", range(3), lambda method: lambda m, n, d: (
    m.f32(n, d), method, out(F32, n), out(U32, n // 2), out(F32, n // 2, d),
))  # fmt: skip
_each("tokens.prune_documents", range(3), lambda method: lambda m, n, d: (
    m.f32(n, d), (p := parted(n))[0], method, out(F32, n), out(U32, p[1][-1]), p[1],
    out(F32, p[1][-1], d),
))  # fmt: skip
_each("token_records.encode", range(7), lambda layout: lambda m, n, d: (
    m.f32(n, d), k := kept(m, n), m.f32(len(k)), layout,
))  # fmt: skip
_each("token_records.encode_rows", range(7), lambda layout: lambda m, n, d: (
    unwritten(m, n, d, layout)
))  # fmt: skip
_each("token_records.decode", range(7), lambda layout: lambda m, n, d: (
    np.frombuffer((r := record(m, n, d, layout))[0], U8).copy(), n, r[1], d, layout,
    out(F32, r[1], d),
))  # fmt: skip
_each("token_records.decode_rows", range(7), lambda layout: lambda m, n, d: (
    records(m, n, d, layout)
))  # fmt: skip
_each("token_records.count_kept", range(1, 7), lambda layout: lambda m, n, d: (
    *records(m, n, d, layout)[:3], out(I64, 2),
))  # fmt: skip
_each("scalars.encode_rows", [8, 6, 4, 2], lambda bits: lambda m, n, d: (
    m.f32(n, d), bits, out(F32, 2 * d + 16), out(U8, n, in_bytes(d * bits)), out(F32, n),
    out(I8, n),
))  # fmt: skip
_each("scalars.decode_rows", [8, 6, 4, 2], lambda bits: lambda m, n, d: (
    m.u8(n, in_bytes(d * bits)), bits, m.f32(n), out(I8, n), out(F32, n, d),
))  # fmt: skip
_each("scalars.encode_vector", [8, 6, 4, 2], lambda bits: lambda m, n, d: (m.f32(d), d, bits))
_each("scalars.decode_vector", [8, 6, 4, 2], lambda bits: lambda m, n, d: (
    m.u8(in_bytes(d * bits)).tobytes(), d, bits, 0.5, 0, out(F32, d),
))  # fmt: skip
_each("scalars.inverse_norms", [8, 6, 4, 2], lambda bits: lambda m, n, d: (
    m.u8(n, in_bytes(d * bits)), bits, d, out(F32, n),
))  # fmt: skip
_each("scalars.packed_size", [8, 6, 4, 2], lambda bits: lambda m, n, d: (d, bits))
_each("scalars.pack_query", [8, 6, 4, 2], lambda bits: lambda m, n, d: (
    m.f32(d), bits, out(F32, 2 * d + 16), out(I16, kernels.scalars.packed_size(d, bits)),
))  # fmt: skip
_each("scalars.score_rows", [8, 6, 4, 2], lambda bits: lambda m, n, d: (
    *packed_scalars(m, d, bits), m.u8(n, in_bytes(d * bits)), bits, d, m.f32(n), out(F32, n),
))  # fmt: skip
_each("maxsim_integers.pack_query", [1, 2], lambda planes: lambda m, n, d: (
    m.f32(n, d), out(I8, -(-n // 32), kernels.maxsim_integers.lines(d, planes), 128),
))  # fmt: skip
_each("maxsim_integers.encode_rows", [8, 4, 2], lambda bits: lambda m, n, d: (
    m.f32(n, d), bits, out(U8, n, in_bytes(d * bits)), out(F32, n),
))  # fmt: skip
_each("maxsim_integers.decode_rows", [8, 4, 2, 1], lambda bits: lambda m, n, d: (
    *integer_codes(m, n, d, bits), m.f32(n), out(F32, n, d),
))  # fmt: skip
_each("maxsim_integers.inverse_norms", [8, 4, 2, 1], lambda bits: lambda m, n, d: (
    *integer_codes(m, n, d, bits), d, None if bits == 1 else m.f32(n), out(F32, n),
))  # fmt: skip
_each("maxsim_integers.score", [8, 4, 2, 1], lambda bits: lambda m, n, d: (
    *packed_integers(m, n, d, planes=1 + n % 2), *integer_codes(m, n, d, bits), m.f32(n),
    *documents(n),
))  # fmt: skip
_each("maxsim_integers.align", [8, 4, 2, 1], lambda bits: lambda m, n, d: (
    *(p := packed_integers(m, n, d)), *integer_codes(m, n, d, bits), m.f32(n),
    out(I64, p[1]), out(F32, p[1]),
))  # fmt: skip


if __name__ == "__main__":
    # For LeakSanitizer, which looks at what is left when Python ends.
    for level in dispatch.available()[1:]:
        for name, arguments in CALLS.items():
            family, function = name.split()[0].split(".")
            kernel = getattr(dispatch.load(family, level), function)
            for _ in range(3):
                kernel(*arguments(Make(), 33, 40))
    print(f"{len(CALLS)} calls on each level")
