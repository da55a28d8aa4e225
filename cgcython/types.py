"""Names for the kinds of values that annotations speak of."""

from collections.abc import Callable
from os import PathLike
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]
Float32Array: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
UInt8Array: TypeAlias = NDArray[np.uint8]
UInt16Array: TypeAlias = NDArray[np.uint16]
UInt32Array: TypeAlias = NDArray[np.uint32]
UInt64Array: TypeAlias = NDArray[np.uint64]
Int8Array: TypeAlias = NDArray[np.int8]
Int16Array: TypeAlias = NDArray[np.int16]
Int32Array: TypeAlias = NDArray[np.int32]
Int64Array: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
KeyArray: TypeAlias = NDArray[np.bytes_]  # keys of records
StrPath: TypeAlias = str | PathLike[str]
BytesLike: TypeAlias = bytes | bytearray | memoryview
Progress: TypeAlias = Callable[[int], object]  # told how many more are done
TrainingProgress: TypeAlias = Callable[[int, int, float], object]  # told step, steps and loss
Scalar = TypeVar("Scalar", bound=np.generic)


class HasEmbeddings(Protocol):
    """A token matrix in an object of its own, as TokenEmbeddings is."""

    @property
    def embeddings(self) -> Array: ...


class Keys(Protocol):
    """The key of each of many rows, by row: an array, or what need not be one."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> Any: ...


class RowSource(Protocol):
    """A matrix of numbers whose rows are read when they are asked for, wherever they lie.

    Memory maps, datasets of h5py and zarr and remote files are such sources: `source[numbers]`
    returns the rows of ascending numbers (int64), and `source[start:stop]` those of a range.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, rows: Any, /) -> Any: ...


class LazyArray(RowSource, Protocol):
    """A source of rows of any shape, which becomes an array when NumPy asks for one."""

    @property
    def ndim(self) -> int: ...
    def __len__(self) -> int: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array: ...


class CodebookLike(Protocol):
    """What tokens know of a product-quantization codebook; `PQ8Codebook` is one."""

    @property
    def codebook_id(self) -> int: ...
    @property
    def embedding_dim(self) -> int: ...
    @property
    def num_subvectors(self) -> int: ...
    @property
    def centroids(self) -> Float32Array: ...  # [M, ksub, dsub]
    @property
    def rotation(self) -> Float32Array | None: ...  # [dim, M * dsub]
    @property
    def mean(self) -> Float32Array | None: ...  # [dim]
    def encode(self, rows: ArrayLike, *, num_threads: int = 1) -> UInt8Array: ...
    def decode(self, codes: ArrayLike, *, num_threads: int = 1) -> Float32Array: ...


TokensLike: TypeAlias = ArrayLike | HasEmbeddings  # a matrix [tokens, dim] or a list of vectors

__all__ = [
    "Array",
    "ArrayLike",
    "BoolArray",
    "BytesLike",
    "CodebookLike",
    "Float32Array",
    "Float64Array",
    "HasEmbeddings",
    "Int8Array",
    "Int16Array",
    "Int32Array",
    "Int64Array",
    "KeyArray",
    "Keys",
    "LazyArray",
    "Progress",
    "RowSource",
    "Scalar",
    "StrPath",
    "TokensLike",
    "TrainingProgress",
    "UInt8Array",
    "UInt16Array",
    "UInt32Array",
    "UInt64Array",
]
