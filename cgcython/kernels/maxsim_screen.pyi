import numpy as np

def pays() -> bool: ...
def lines(dim: int) -> int: ...
def encode_rows(
    values: np.ndarray, norms: np.ndarray, codes: np.ndarray, bounds: np.ndarray
) -> None: ...
def pack_query(packed: np.ndarray, rows: np.ndarray, numbers: np.ndarray) -> None: ...
def score(
    packed: np.ndarray,
    rows: np.ndarray,
    numbers: np.ndarray,
    num_query: int,
    values: np.ndarray,
    norms: np.ndarray,
    codes: np.ndarray,
    bounds: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    sums: np.ndarray,
) -> int: ...
def bound(
    packed: np.ndarray,
    rows: np.ndarray,
    numbers: np.ndarray,
    num_query: int,
    values: np.ndarray,
    norms: np.ndarray,
    codes: np.ndarray,
    bounds: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> None: ...
def align(
    packed: np.ndarray,
    rows: np.ndarray,
    numbers: np.ndarray,
    num_query: int,
    values: np.ndarray,
    norms: np.ndarray,
    codes: np.ndarray,
    bounds: np.ndarray,
    best: np.ndarray,
    cosines: np.ndarray,
) -> None: ...
