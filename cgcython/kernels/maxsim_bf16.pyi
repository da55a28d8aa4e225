import numpy as np

def encode(values: np.ndarray, halves: np.ndarray) -> int: ...
def decode(halves: np.ndarray, values: np.ndarray) -> None: ...
def pack_query(tokens: np.ndarray, packed: np.ndarray) -> int: ...
def inverse_norms(values: np.ndarray, out: np.ndarray) -> None: ...
def score(
    packed: np.ndarray,
    num_query: int,
    values: np.ndarray,
    norms: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    sums: np.ndarray,
) -> None: ...
def score_codes(
    packed: np.ndarray,
    num_query: int,
    codes: np.ndarray,
    norms: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    sums: np.ndarray,
) -> None: ...
