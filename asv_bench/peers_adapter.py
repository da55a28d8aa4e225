"""Adapters for a side-by-side timing of packages: one function per task builds the call to time.

The timing tool runs this file in its own namespace, which provides `peer` and each task's inputs.
"""
# ruff: noqa: F821

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.search.inverted import Rows, inverted, norms_of
from cgcython.search.sparse_scans import MANY_ROWS

OURS = {"name": "cgcython", "needs": "cgcython"}


def rows(c, n, call):
    """Return a call that runs `call(slice)` on the task's threads."""
    return lambda: split_rows(lambda a, b: call(slice(a, b)), n, c.threads)


@peer("e4m3.enc.vec", prec="E4M3", **OURS)
def e4m3_encode(c):
    encode, x, codes = kernels.e4m3.encode, c.x, c.o8
    return lambda: (encode(x, codes), codes)[1]


@peer("e4m3.dec.vec", prec="E4M3", **OURS)
def e4m3_decode(c):
    decode, codes, out = kernels.e4m3.decode_vector, c.o8.tobytes(), c.of
    return lambda: decode(codes, 1.0, 0.0, out)


@peer("e4m3.dec.vec", "cgcython new", "E4M3", "cgcython", note="new array")
def e4m3_decode_new(c):
    decode, codes = kernels.e4m3.decode_vector, c.o8.tobytes()
    return lambda: decode(codes, 1.0, 0.0)


@peer("e4m3.scaled_enc.vec", prec="E4M3", note="codes in out=, new scale", **OURS)
def e4m3_encode_scaled(c):
    encode, x, dim, out = kernels.e4m3.encode_vector, c.x, len(c.x), np.empty_like(c.o8)
    return lambda: encode(x, dim, out)


@peer("e4m3.scaled_enc.vec", "cgcython new", "E4M3", "cgcython", note="new bytes and scale")
def e4m3_encode_scaled_new(c):
    encode, x, dim = kernels.e4m3.encode_vector, c.x, len(c.x)
    return lambda: encode(x, dim)


@peer("e4m3.scaled_dec.vec", prec="E4M3", **OURS)
def e4m3_decode_scaled(c):
    decode, codes, scale, out = kernels.e4m3.decode_vector, c.o8.tobytes(), float(c.scale), c.of
    return lambda: decode(codes, scale, 0.0, out)


@peer("e4m3.enc.batch", prec="E4M3", mt=True, **OURS)
def e4m3_encode_batch(c):
    x, codes = c.X.ravel(), c.O8.ravel()
    run = rows(c, len(x), lambda part: kernels.e4m3.encode(x[part], codes[part]))
    return lambda: (run(), c.O8)[1]


@peer("e4m3.dec.batch", prec="E4M3", mt=True, **OURS)
def e4m3_decode_batch(c):
    codes, values = c.O8.ravel(), c.OF.ravel()
    run = rows(c, len(codes), lambda part: kernels.e4m3.decode(codes[part], 1, 0, values[part]))
    return lambda: (run(), c.OF)[1]


@peer("e4m3.scaled_enc.batch", prec="E4M3", mt=True, **OURS)
def e4m3_encode_rows(c):
    scales = np.empty(len(c.X), np.float32)
    encode = kernels.e4m3.encode_rows
    return rows(c, len(c.X), lambda part: encode(c.X[part], c.O8[part], scales[part]))


@peer("e4m3.scaled_dec.batch", prec="E4M3", mt=True, **OURS)
def e4m3_decode_rows(c):
    scales, decode = c.S.ravel(), kernels.e4m3.decode_rows
    return rows(c, len(c.X), lambda part: decode(c.O8[part], scales[part], c.OF[part]))


@peer("bin.pack.vec", prec="1 bit", **OURS)
def pack(c):
    pack_vector, x, dim, out = kernels.bits.pack_vector, c.x, len(c.x), c.o
    return lambda: pack_vector(x, dim, 0.0, out)


@peer("bin.pack.vec", "cgcython new", "1 bit", "cgcython", note="new bytes")
def pack_new(c):
    pack_vector, x, dim = kernels.bits.pack_vector, c.x, len(c.x)
    return lambda: np.frombuffer(pack_vector(x, dim, 0.0), np.uint8)


@peer("bin.pack.batch", prec="1 bit", mt=True, **OURS)
def pack_batch(c):
    return rows(c, len(c.X), lambda part: kernels.bits.pack_rows(c.X[part], 0.0, c.O[part]))


@peer("bin.unpack.vec", prec="f32", note="new array", **OURS)
def unpack(c):
    unpack_vector, packed, dim = kernels.bits.unpack_vector, c.b.tobytes(), 8 * len(c.b)
    return lambda: unpack_vector(packed, dim)


@peer("ham.pair", **OURS)
def hamming(c):
    distance, a, b = kernels.bits.hamming, c.a, c.b
    return lambda: distance(a, b)


@peer("ham.scan1M", mt=True, **OURS)
def hamming_scan(c):
    out = np.empty(len(c.B), np.uint32)
    run = rows(c, len(c.B), lambda part: kernels.bits.hamming_rows(c.q, c.B[part], out[part]))
    return lambda: (run(), out)[1]


@peer("ham.top10_1M", mt=True, **OURS)
def hamming_top(c):
    def search(start, stop):
        ids, distances = np.empty(10, np.int64), np.empty(10, np.uint32)
        kernels.bits.hamming_topk(c.q, c.B[start:stop], ids, distances)
        return distances

    return lambda: np.sort(np.concatenate(split_rows(search, len(c.B), c.threads)))[:10]


@peer("sparse.enc.vec", note="new bytes", **OURS)
def sparse_encode(c):
    encode, indices, weights = kernels.sparse.encode_vector, c.i, c.v
    return lambda: encode(indices, weights, 30522, 0)


@peer("sparse.dec.vec", note="new arrays, checked", **OURS)
def sparse_decode(c):
    decode, data, nnz = kernels.sparse.decode_vector, c.blob, len(c.i)
    return lambda: decode(data, nnz, 30522, 0)


@peer("sparse.dot.pair", prec="f32", **OURS)
def sparse_dot_pair(c):
    dot_pair, i, v, i2, v2 = kernels.sparse_products.dot_pair, c.i, c.v, c.i2, c.v2
    return lambda: dot_pair(i, v, i2, v2)


SPARSE_DOTS = ["sparse.dot.100kx1500", "sparse.dot.100kx128_q32"]


@peer(SPARSE_DOTS, name="cgcython rows", needs="cgcython", prec="f32", mt=True)
def sparse_dot_rows(c):
    indptr, indices, weights = c.indptr, c.idx.ravel().view(np.uint32), c.val.ravel()
    query, out = c.qd, np.empty(c.nd, np.float32)

    def score(start, stop):
        edges = indptr[start : stop + 1]
        kernels.sparse_products.dot_rows(query, edges, indices, weights, out[start:stop])

    return lambda: (split_rows(score, c.nd, c.threads), out)[1]


@peer(SPARSE_DOTS, prec="f32", mt=True, note="inverted lists", **OURS)
def sparse_score_postings(c):
    rows = Rows(c.indptr, c.idx.ravel().view(np.uint32), c.val.ravel())
    lists = inverted(rows, norms_of(rows), len(c.qd), np.float32)
    out, score_lists = np.empty(c.nd, np.float32), kernels.postings.score
    threads = c.threads if c.nd >= MANY_ROWS else 1  # as search decides

    def score(first, last):
        scratch = np.empty(kernels.postings.ROWS_OF_BLOCK, np.float32)
        here = out[lists.edges[first] : lists.edges[last]]
        score_lists(c.qi, c.qv, *lists.arguments(), first, last, here, scratch)

    return lambda: (split_rows(score, len(lists.edges) - 1, threads), out)[1]


def pq_codebook(c):
    from cgcython.kernels import pq_layout

    prepared = pq_layout.prepare(c.C)
    return prepared, pq_layout.scratch(prepared)


@peer(["pq.enc.vec.M8", "pq.enc.vec.M32"], prec="f32", note="new bytes", **OURS)
def pq_encode(c):
    (prepared, _), encode, x = pq_codebook(c), kernels.pq.encode_vector, c.x
    encode(x, prepared)
    return lambda: np.frombuffer(encode(x, prepared), np.uint8)


@peer(["pq.enc.batch.M8", "pq.enc.batch.M32"], prec="f32", mt=True, **OURS)
def pq_encode_rows(c):
    (prepared, scratch), codes = pq_codebook(c), np.empty_like(c.codes)
    encode = rows(
        c, len(c.X), lambda s: kernels.pq.encode_rows(c.X[s], prepared, codes[s], scratch)
    )
    return lambda: (encode(), codes)[1]


@peer(["pq.dec.vec.M8", "pq.dec.vec.M32"], prec="f32", note="new array", **OURS)
def pq_decode(c):
    (prepared, _), decode, codes = pq_codebook(c), kernels.pq.decode_vector, c.codes[0].tobytes()
    return lambda: decode(codes, prepared)


@peer(["pq.dec.batch.M8", "pq.dec.batch.M32"], prec="f32", mt=True, **OURS)
def pq_decode_rows(c):
    (prepared, scratch), out = pq_codebook(c), np.empty((len(c.codes), c.C[0, 0].size * c.M), "f4")
    return rows(
        c, len(out), lambda s: kernels.pq.decode_rows(c.codes[s], prepared, out[s], scratch)
    )


@peer(["pq.train.20k", "pq.train.100k"], prec="f32", mt=True, note="12 relaxed steps", **OURS)
def pq_train(c):
    from cgcython.codecs.training import Training

    return lambda: Training(c.X, c.X[:1], c.M, 0, c.threads).run().centroids


@peer("pq.adc_top10_1M", prec="8x8 bit, f32 LUT", mt=True, **OURS)
def pq_adc_topk(c):
    return nearest_codes(
        c, c.codes, lambda table, some, *found: kernels.adc.topk(table, c.codes[some], *found)
    )


@peer("pq.adc_top10_1M", "cgcython blocks", "8x8 bit, exact", "cgcython", mt=True)
def pq_adc_topk_blocks(c):
    blocks = np.empty((-(-len(c.codes) // 64), c.M, 64), np.uint8)
    kernels.adc.block_codes(c.codes, blocks)

    def search(table, some, *found):
        rows = min(64 * some.stop, len(c.codes)) - 64 * some.start
        kernels.adc.topk_blocks(table, blocks[some], rows, *found)

    return nearest_codes(c, blocks, search)


def nearest_codes(c, codes, search):
    """Return a call that makes the tables of a query and searches the codes on all threads."""
    prepared, _ = pq_codebook(c)
    table = np.empty((c.M, 256), np.float32)

    def part(start, stop):
        ids, best = np.empty(10, np.int64), np.empty(10, np.float32)
        search(table, slice(start, stop), ids, best)
        return best

    def call():
        kernels.pq.distance_table(c.x, prepared, table)
        return np.sort(np.concatenate(split_rows(part, len(codes), c.threads)))[:10]

    return call


def pruned(c, method, threads=1):
    """Return a call that scores, selects and gathers the kept half of every document."""
    n, prune, parts = len(c.E), kernels.tokens.prune, min(len(c.E), threads)
    scores, kept = np.empty(c.E.shape[:2], np.float32), np.empty((n, c.K), np.uint32)
    out = np.empty((parts, c.K, c.E.shape[2]), np.float32)
    documents = list(zip(c.E, scores, kept))

    def prune_some(start, stop):
        place = out[start * parts // n]
        for tokens, some_scores, some_kept in documents[start:stop]:
            prune(tokens, method, some_scores, some_kept, place)

    if n == 1:
        one = (*documents[0], out[0])
        return lambda: (prune(one[0], method, *one[1:]), (kept[0], out[0]))[1]
    return lambda: (split_rows(prune_some, n, threads), (kept[0], out[0]))[1]


@peer("prune.mag.doc", prec="f32", **OURS)
def prune_by_magnitude(c):
    return pruned(c, kernels.tokens.MAGNITUDE)


@peer("prune.ent.doc", prec="f32", **OURS)
def prune_by_entropy(c):
    return pruned(c, kernels.tokens.ENTROPY)


@peer("prune.mag.batch1000", prec="f32", mt=True, **OURS)
def prune_batch_by_magnitude(c):
    return pruned(c, kernels.tokens.MAGNITUDE, c.threads)


@peer("prune.ent.batch1000", prec="f32", mt=True, **OURS)
def prune_batch_by_entropy(c):
    return pruned(c, kernels.tokens.ENTROPY, c.threads)


@peer("maxsim.pair", prec="f32", note="any rows", **OURS)
def maxsim_pair(c):
    pair, query, document = kernels.maxsim.pair, c.q, c.docs[0]
    return lambda: pair(query, document)


MAXSIM = ["maxsim.pair", "maxsim.1000x256", "maxsim.1000var", "maxsim.colpali"]


def maxsim_at(precision, fine=False):
    """Return the builder of calls that score tokens at a precision where they lie."""

    def build(c):
        from cgcython import PQ8Codebook, PreparedQuery, TokenArray, max_sim_batch

        is_pq = precision == "pq"
        book = PQ8Codebook.train(c.flat[:20_000], 32, rotation=None) if is_pq else None
        tokens = TokenArray(c.flat, c.off)
        stored = tokens.with_screen() if precision == "screen" else tokens.quantize(precision, book)
        query = PreparedQuery.of(c.q, fine)
        return lambda: max_sim_batch(query, stored, reduction="sum", num_threads=c.threads)

    return build


peer(MAXSIM[1:], "cgcython", "f32", "cgcython", mt=True, note="any rows, norms kept")(
    maxsim_at("float32")
)
for precision, shown, note in [
    ("screen", "f32", "the same bits, int8 copy kept"),
    ("bfloat16", "bf16", "as they lie"),
    ("e4m3", "E4M3", "as they lie"),
    ("int8", "i8", "as they lie"),
    ("int4", "4 bits", "as they lie"),
    ("int2", "2 bits", "as they lie"),
    ("sign", "1 bit", "as they lie"),
    ("pq", "pq 32 B", "as they lie"),
]:
    peer(MAXSIM, f"cgcython {precision}", shown, "cgcython", mt=True, note=note)(
        maxsim_at(precision)
    )
for precision, shown in [("e4m3", "E4M3"), ("int2", "2 bits")]:
    peer(MAXSIM[1:], f"cgcython {precision} fine", shown, "cgcython", mt=True, note="fine query")(
        maxsim_at(precision, fine=True)
    )
