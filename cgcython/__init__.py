"""Thirteen embedders in, one small record out: quantized embeddings at C speed.

Names are imported when first used, so that `import cgcython` and the command line start at once.
"""

import importlib

__version__ = "0.1.0"

_MODULES = {
    "adapters.sentence_transformers": "quantize_embeddings",
    "base": "Embedder ModelId OwnEmbedder Profile QuantizationMethod",
    "errors": (
        "BudgetExceeded CodebookCorrupt CodebookMissing DimensionMismatch InvalidInput "
        "InvalidQuantizedData MethodMismatch NonFiniteValue QuantizationError RecallLossExceeded "
        "SparseTooDense StorageCorruption StoreUnavailable UnknownMethod UnsupportedVersion"
    ),
    "manifest": "RecordInfo",
    "metadata": (
        "BinaryMetadata Float8Metadata PQ8Metadata RQ8Metadata ScalarMetadata "
        "SparseMetadata TokenPruningMetadata"
    ),
    "records": "QuantizedBatch QuantizedEmbedding SparseVector TokenEmbeddings",
    "token_array": "TokenArray",
    "similarity": (
        "PreparedQuery TokenAlignment TokenCells approximate_max_sim cosine_similarity max_sim "
        "max_sim_batch symmetric_max_sim token_alignments"
    ),
    "codecs.binary": "BinaryCodec",
    "codecs.codebook": "PQ8Codebook",
    "codecs.float8": "Float8Codec",
    "codecs.jaccard": "jaccard_similarities jaccard_similarity",
    "codecs.pq8": "PQ8Codec",
    "codecs.residual_codebook": "RQ8Codebook",
    "codecs.rq8": "RQ8Codec",
    "codecs.scalar": "ScalarCodec",
    "codecs.sparse": "SparseCodec",
    "codecs.training": "CodebookWarning",
    "codecs.token_pruning": "TokenPruningCodec",
    "codecs.token_selection": (
        "ImportanceScoringMethod PrunedEmbeddings TokenPruningConfig TokenPruningQuantizer"
    ),
    "embedders": (
        "BinaryEncoder Codebooks Float8E4M3Encoder PQ8Encoder RecallLoss SparseNativeEncoder "
        "TokenPruningEncoder"
    ),
    "embedders.route": "DriftWarning",
    "router": "QuantizationRouter",
    "fingerprint": "Fingerprint QuantizedFingerprint",
    "store": "RecordStore VerifyReport",
    "search.code_index": "CodeIndex",
    "search.many": "SearchResult",
    "search.hits": "Hit",
    "search.store": "FingerprintStore open_store",
    "corpus.corpus": "Corpus",
    "corpus.opening": "open_corpus",
    "corpus.shard_writing": "ShardWriter",
    "corpus.writing": "StoreWriter",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
