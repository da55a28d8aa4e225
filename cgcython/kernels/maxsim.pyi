import numpy as np

def pack_query(tokens: np.ndarray, packed: np.ndarray) -> int: ...
def inverse_norms(values: np.ndarray, out: np.ndarray) -> None: ...
def inverse_norms_codes(codes: np.ndarray, out: np.ndarray) -> None: ...
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
    data: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    sums: np.ndarray,
) -> None: ...
def align(
    packed: np.ndarray,
    num_query: int,
    values: np.ndarray,
    norms: np.ndarray,
    best: np.ndarray,
    cosines: np.ndarray,
) -> None: ...
def pair(query: object, document: object) -> float | None: ...
