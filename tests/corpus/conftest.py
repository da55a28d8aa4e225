"""Arrays of a few memories under a small profile, named as inputs name them."""

import numpy as np
import pytest

ROWS = 20


@pytest.fixture
def arrays():
    """Return the arrays of 20 memories of the profile of `memories`; E12 has every other one."""
    rng = np.random.default_rng(7)
    nnz, tokens = rng.integers(1, 20, ROWS), rng.integers(1, 6, ROWS // 2)
    return {
        "E1": rng.standard_normal((ROWS, 16), dtype=np.float32),
        "E9": rng.standard_normal((ROWS, 20), dtype=np.float32),
        "E6.indptr": np.cumsum([0, *nnz]),
        "E6.indices": np.concatenate([np.sort(rng.permutation(400)[:n]) for n in nnz]),
        "E6.weights": rng.uniform(0.1, 2, nnz.sum()).astype(np.float32),
        "E12.values": rng.standard_normal((tokens.sum(), 8), dtype=np.float32),
        "E12.offsets": np.cumsum([0, *tokens]),
        "E12.rows": np.arange(0, ROWS, 2),
    }


@pytest.fixture
def corpus(arrays, memories):
    """Return the corpus of `arrays`."""
    from cgcython import open_corpus

    return open_corpus(arrays, memories.profile)


@pytest.fixture
def contents():
    """Return a function from a folder to the bytes of all files below it."""
    return lambda folder: {
        path.relative_to(folder): path.is_file() and path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }
