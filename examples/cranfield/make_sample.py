"""Cut the sample out of the Cranfield data: python make_sample.py DATA [OUT].

Queries with the most judged documents come first, then the documents judged for them, so that
judgements stay dense; the rest of the documents are distractors. Token vectors are kept for the
documents judged most often, 32 tokens each, because they are the largest part.
"""

import sys
from pathlib import Path

import numpy as np

QUERIES, DOCUMENTS, TOKEN_DOCUMENTS, TOKENS, TRAINING = 60, 240, 100, 32, 1500
SOURCES = "pooled", "sparse", "tokens"
RNG = np.random.default_rng(1967)


def parts(pooled, rows, kind):
    """Return the mean, CLS and maximum vectors of some texts, each of unit length."""
    mean = pooled[f"{kind}384"][rows]
    _, cls, largest = np.split(pooled[f"{kind}1152"][rows].astype(np.float32), 3, axis=1)
    return {"E1": mean, "E8": unit(cls), "E11": unit(largest)}


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def sparse(archive, side, rows):
    """Return the BM25 vectors of some texts as CSR arrays."""
    indptr = archive[f"{side}_indptr"]
    taken = np.concatenate([np.arange(indptr[row], indptr[row + 1]) for row in rows])
    return {
        "E6.indptr": offsets(indptr[row + 1] - indptr[row] for row in rows),
        "E6.indices": archive[f"{side}_idx"][taken],
        "E6.weights": archive[f"{side}_w"][taken],
    }


def tokens(archive, side, texts, rows):
    """Return the first tokens of some texts, which are the memories `rows`."""
    bounds, values = archive[f"{side}_off"], archive[f"{side}_tok"]
    kept = [values[bounds[i] : min(bounds[i] + TOKENS, bounds[i + 1])] for i in texts]
    return {
        "E12.values": np.concatenate(kept),
        "E12.offsets": offsets(map(len, kept)),
        "E12.rows": np.asarray(rows, np.int32),
    }


def offsets(lengths):
    return np.cumsum([0, *lengths], dtype=np.int32)


def choose(judged):
    """Return the ids of the kept queries, of their judged documents (often judged first)."""
    queries, counts = np.unique(judged[:, 0], return_counts=True)
    queries = np.sort(queries[np.argsort(-counts, kind="stable")[:QUERIES]])
    mine = judged[np.isin(judged[:, 0], queries)]
    documents, counts = np.unique(mine[:, 1], return_counts=True)
    return queries, documents[np.argsort(-counts, kind="stable")]


def renumbered(judged, queries, documents):
    """Return the judgements of the kept queries on the kept documents, by their new rows."""
    judged = judged[np.isin(judged[:, 0], queries) & np.isin(judged[:, 1], documents)]
    query = np.searchsorted(queries, judged[:, 0])
    document = np.searchsorted(documents, judged[:, 1])
    return np.stack([query, document, judged[:, 2]], axis=1).astype(np.int16)


def main(data, out):
    pooled, bm25, late = (np.load(data / f"{name}_cranfield.npz") for name in SOURCES)
    pool = late["doc_index"]  # the documents that have token vectors
    judged = pooled["qrels"][np.isin(pooled["qrels"][:, 1], pool)]
    queries, relevant = choose(judged)
    others = RNG.permutation(np.setdiff1d(pool, relevant))
    documents = np.sort(np.concatenate([relevant, others])[:DOCUMENTS])
    with_tokens = np.sort(relevant[:TOKEN_DOCUMENTS])
    texts, rows = np.searchsorted(pool, with_tokens), np.searchsorted(documents, with_tokens)
    np.savez_compressed(
        out / "memories.npz",
        **parts(pooled, documents, "docs"),
        **sparse(bm25, "d", documents),
        **tokens(late, "doc", texts, rows),
    )
    texts = np.searchsorted(np.unique(judged[:, 0]), queries)  # only judged queries have tokens
    np.savez_compressed(
        out / "queries.npz",
        **parts(pooled, queries, "queries"),
        **sparse(bm25, "q", queries),
        **tokens(late, "q", texts, np.arange(QUERIES)),
    )
    np.save(out / "qrels.npy", renumbered(judged, queries, documents))
    train = np.load(data / "train.npz")["t384"]
    sample = np.sort(RNG.permutation(len(train))[:TRAINING])
    np.savez_compressed(out / "train.npz", E1=train[sample])


if __name__ == "__main__":
    here = Path(__file__).parent
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else here)
