"""Codebooks from and to other packages: faiss, nanopq, and the original project's `PQ8C` files.

A rotation carries over where its columns are orthonormal. Codes are the same on both sides, save
where two centroids are equally near within float32 rounding: there the float64 distance decides
here.
"""

import struct
from typing import Any

import numpy as np

from cgcython.arrays import as_integers, as_matrix
from cgcython.base import QuantizationMethod
from cgcython.checks import require_instance
from cgcython.codecs import codebook_file
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.errors import CodebookCorrupt, CodebookMissing, InvalidInput
from cgcython.kernels.pq_layout import NUM_CENTROIDS
from cgcython.records import QuantizedBatch
from cgcython.tensors import told_as_damage
from cgcython.types import ArrayLike, Float32Array, Int64Array, StrPath, UInt8Array

PQ8C_SUBVECTORS, PQ8C_VERSION = 8, 1
_PQ8C = struct.Struct("<4sBII")  # magic, version, dim, id; then f32 centroids [8, 256, dim / 8]
ORTHONORMAL = 1e-3  # how far rotation' rotation may lie from the identity


def from_faiss(quantizer: Any) -> PQ8Codebook:
    """Return the PQ8Codebook of a trained `ProductQuantizer` or `IndexPQ` of 8-bit codes.

    An `IndexPreTransform` of one linear transform (OPQ, PCA) and an `IndexPQ` brings its rotation
    along. Raises InvalidInput for any other kind.
    """
    import faiss

    rotation = mean = None
    # A downcast object owns nothing: `quantizer` keeps alive what the names below show.
    shown = faiss.downcast_index(quantizer) if isinstance(quantizer, faiss.Index) else quantizer
    if isinstance(shown, faiss.IndexPreTransform):
        rotation, mean = _faiss_rotation(shown)
        shown = faiss.downcast_index(shown.index)
    product = getattr(shown, "pq", shown)
    if not isinstance(product, faiss.ProductQuantizer) or product.nbits != 8:
        actual = type(shown).__name__
        raise _refused("a faiss ProductQuantizer or IndexPQ of 8-bit codes", actual)
    if not getattr(shown, "is_trained", True):
        raise _refused("a trained index", "one that is not")
    centroids = faiss.vector_to_array(product.centroids)
    return PQ8Codebook(
        centroids.reshape(product.M, NUM_CENTROIDS, product.dsub), rotation, mean, {"from": "faiss"}
    )


def _faiss_rotation(index: Any) -> tuple[Float32Array, Float32Array]:
    import faiss

    if index.chain.size() != 1:
        raise _refused("one transform before the IndexPQ", index.chain.size())
    transform = faiss.downcast_VectorTransform(index.chain.at(0))
    if not isinstance(transform, faiss.LinearTransform):
        raise _refused("a linear transform", type(transform).__name__)
    if transform.A.size() != transform.d_out * transform.d_in:
        raise _refused("a trained transform", "one that is not")
    rows = faiss.vector_to_array(transform.A).reshape(transform.d_out, transform.d_in)
    rotation = _orthonormal(rows.T)
    mean = np.zeros(transform.d_in, np.float32)
    if transform.have_bias:  # faiss adds a bias where we subtract a mean before
        mean = -rotation @ faiss.vector_to_array(transform.b)
    return rotation, mean


def to_faiss(codebook: PQ8Codebook) -> Any:
    """Return a trained, empty faiss `IndexPQ`, under an `IndexPreTransform` for a rotation.

    Codes of the codebook enter it through the IndexPQ's `add_sa_codes`. What faiss decodes lacks
    the part of the mean that a narrower rotation does not see.
    """
    import faiss

    _require_codebook(codebook)
    index = faiss.IndexPQ(codebook.width, codebook.num_subvectors, 8)
    faiss.copy_array_to_vector(codebook.centroids.ravel(), index.pq.centroids)
    index.is_trained = True
    if codebook.rotation is None or codebook.mean is None:
        return index
    transform = faiss.LinearTransform(codebook.embedding_dim, codebook.width, True)
    bias = -codebook.mean.astype(np.float64) @ codebook.rotation
    faiss.copy_array_to_vector(np.ascontiguousarray(codebook.rotation.T).ravel(), transform.A)
    faiss.copy_array_to_vector(bias.astype(np.float32), transform.b)
    transform.is_trained, transform.is_orthonormal = True, True
    return faiss.IndexPreTransform(transform, index)


def from_nanopq(quantizer: Any) -> PQ8Codebook:
    """Return the PQ8Codebook of a fitted nanopq `PQ` or `OPQ` of 256 centroids by squared L2.

    Raises InvalidInput for any other kind.
    """
    rotation = getattr(quantizer, "R", None)
    product: Any = quantizer if rotation is None else getattr(quantizer, "pq", None)
    kind = getattr(product, "Ks", None), getattr(product, "metric", None)
    if kind != (NUM_CENTROIDS, "l2") or getattr(product, "codewords", None) is None:
        raise _refused(f"a fitted nanopq quantizer, Ks={NUM_CENTROIDS}, metric l2", kind)
    mean = None
    if rotation is not None:
        rotation, mean = _orthonormal(rotation), np.zeros(len(rotation), np.float32)
    return PQ8Codebook(product.codewords, rotation, mean, {"from": "nanopq"})


def to_nanopq(codebook: PQ8Codebook) -> Any:
    """Return a fitted nanopq `PQ`, or `OPQ` for a rotation.

    nanopq rotates only, so the rotated mean moves into the centroids, and the rotation must keep
    all dimensions: raises InvalidInput for a narrower one.
    """
    import nanopq

    _require_codebook(codebook)
    centroids = codebook.centroids
    if codebook.rotation is None or codebook.mean is None:
        return _fitted(nanopq.PQ(codebook.num_subvectors, NUM_CENTROIDS, verbose=False), centroids)
    if codebook.width != codebook.embedding_dim:
        expected = f"a rotation to all {codebook.embedding_dim} values (train with width=)"
        raise _refused(expected, codebook.width)
    mean = codebook.mean.astype(np.float64) @ codebook.rotation
    moved = centroids + mean.reshape(codebook.num_subvectors, 1, -1)
    quantizer = nanopq.OPQ(codebook.num_subvectors, NUM_CENTROIDS, verbose=False)
    _fitted(quantizer.pq, moved.astype(np.float32))
    quantizer.R = codebook.rotation.copy()
    return quantizer


def _fitted(product: Any, centroids: Float32Array) -> Any:
    product.codewords, product.Ds = centroids.copy(), centroids.shape[2]
    return product


def from_pq8c(path: StrPath) -> PQ8Codebook:
    """Return the PQ8Codebook of a `PQ8C` file; its own id is kept as metadata `pq8c_id`.

    The layout, little-endian: magic `PQ8C`, u8 version 1, u32 dim, u32 id, then float32 centroids
    [8, 256, dim / 8]. Raises CodebookMissing and CodebookCorrupt.
    """
    data = codebook_file.read(path)
    if len(data) < _PQ8C.size:
        raise _damaged(path, f"{len(data)} bytes are no header")
    magic, version, dim, number = _PQ8C.unpack_from(data)
    if (magic, version) != (b"PQ8C", PQ8C_VERSION):
        raise _damaged(path, f"it begins with {magic!r} version {version}, not b'PQ8C' version 1")
    if dim == 0 or dim % PQ8C_SUBVECTORS:
        raise _damaged(path, f"{dim} values do not divide into {PQ8C_SUBVECTORS} subvectors")
    expected = _PQ8C.size + 4 * NUM_CENTROIDS * dim
    if len(data) != expected:
        raise _damaged(path, f"it holds {len(data)} bytes, its header asks for {expected}")
    centroids = np.frombuffer(data, "<f4", offset=_PQ8C.size)
    shaped = centroids.reshape(PQ8C_SUBVECTORS, NUM_CENTROIDS, -1)
    with told_as_damage(path, CodebookCorrupt):
        return PQ8Codebook(shaped, metadata={"from": "PQ8C", "pq8c_id": number})


def _orthonormal(given: ArrayLike) -> Float32Array:
    rotation = as_matrix(given)
    wide = rotation.astype(np.float64)
    error = float(np.abs(wide.T @ wide - np.eye(wide.shape[1])).max())
    if not error <= ORTHONORMAL:
        raise _refused("a rotation with orthonormal columns", f"one off by {error:.3g}")
    return rotation


def _require_codebook(codebook: object) -> None:
    if not isinstance(codebook, PQ8Codebook):
        actual = type(codebook).__name__
        raise InvalidInput(what="codebook", expected="a PQ8Codebook", actual=actual)


def _refused(expected: str, actual: object) -> InvalidInput:
    return InvalidInput(what="quantizer", expected=expected, actual=actual)


def _damaged(path: StrPath, reason: str) -> CodebookCorrupt:
    return CodebookCorrupt(where=str(path), reason=reason)


def to_faiss_index(
    batch: QuantizedBatch, codebook: PQ8Codebook | None = None, ids: ArrayLike | None = None
) -> Any:
    """Return a faiss index that holds the codes of a batch.

    Sign bits become an `IndexBinaryFlat`, product-quantization codes the index of `to_faiss`; with
    `ids` (integers) under an `IndexBinaryIDMap` or `IndexIDMap`. Raises InvalidInput for other
    methods, CodebookMissing for codes of another codebook.
    """
    require_instance(batch, QuantizedBatch, "batch")
    numbers = None if ids is None else as_integers(ids, "ids").astype(np.int64)
    if numbers is not None and numbers.shape != (len(batch),):
        raise InvalidInput(what="ids", expected=f"{len(batch)} integers", actual=numbers.shape)
    if batch.method is QuantizationMethod.BINARY:
        return _faiss_bits(np.ascontiguousarray(batch.columns["codes"]), numbers)
    if batch.method is not QuantizationMethod.PQ8:
        expected = "binary or pq8; others as faiss.IndexFlat of codec.decode_batch(batch)"
        raise InvalidInput(what="method", expected=expected, actual=batch.method)
    codebook = require_instance(codebook, PQ8Codebook, "codebook")
    if batch.shared.get("codebook_id") != codebook.codebook_id:
        raise CodebookMissing(codebook_id=batch.shared.get("codebook_id"))
    return _faiss_codes(codebook, codebook.checked_codes(batch.columns["codes"]), numbers)


def _faiss_bits(codes: UInt8Array, ids: Int64Array | None) -> Any:
    import faiss

    index = faiss.IndexBinaryFlat(8 * codes.shape[1])
    if ids is None:
        index.add(codes)
        return index
    mapped = faiss.IndexBinaryIDMap(index)
    mapped.add_with_ids(codes, ids)
    return mapped


def _faiss_codes(codebook: PQ8Codebook, codes: UInt8Array, ids: Int64Array | None) -> Any:
    import faiss

    index = to_faiss(codebook)
    mapped = index if ids is None else faiss.IndexIDMap(index)  # which takes only an empty one
    product = index if codebook.rotation is None else faiss.downcast_index(index.index)
    product.add_sa_codes(codes)
    mapped.ntotal = index.ntotal = product.ntotal
    if ids is not None:
        faiss.copy_array_to_vector(ids, mapped.id_map)
    return mapped
