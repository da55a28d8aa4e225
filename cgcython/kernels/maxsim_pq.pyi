import numpy as np

def tables(packed: np.ndarray, codebook: np.ndarray, out: np.ndarray) -> None: ...
def squares(codebook: np.ndarray, out: np.ndarray) -> None: ...
def inverse_norms(squares: np.ndarray, codes: np.ndarray, out: np.ndarray) -> None: ...
def score(
    tables: np.ndarray,
    num_query: int,
    codes: np.ndarray,
    norms: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    sums: np.ndarray,
) -> None: ...
