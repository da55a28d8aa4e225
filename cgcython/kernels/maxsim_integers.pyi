import numpy as np

def lines(dim: int, planes: int) -> int: ...
def pack_query(tokens: np.ndarray, packed: np.ndarray) -> int: ...
def encode_rows(values: np.ndarray, bits: int, codes: np.ndarray, scales: np.ndarray) -> int: ...
def decode_rows(codes: np.ndarray, bits: int, scales: np.ndarray, values: np.ndarray) -> None: ...
def inverse_norms(
    codes: np.ndarray, bits: int, dim: int, scales: np.ndarray | None, out: np.ndarray
) -> None: ...
def score(
    packed: np.ndarray,
    num_query: int,
    codes: np.ndarray,
    bits: int,
    norms: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    sums: np.ndarray,
) -> None: ...
def align(
    packed: np.ndarray,
    num_query: int,
    codes: np.ndarray,
    bits: int,
    norms: np.ndarray,
    best: np.ndarray,
    cosines: np.ndarray,
) -> None: ...
