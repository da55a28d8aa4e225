"""Scores one query against the codes of many records of one embedder, where the codes lie.

A scan holds records that one query meets in one pass: of one method and dimension and, where
the method has them, one codebook, threshold or layout. Scores are cosines for dense and sparse
embeddings (dot products when asked for), 1 - distance / bits for binary ones, MaxSim for tokens.
"""

from cgcython.base import QuantizationMethod
from cgcython.search.code_scans import BinaryScan, DecodedScan, Float8Scan, PQ8Scan
from cgcython.search.sparse_scans import InvertedScan
from cgcython.search.token_scans import CodedTokenScan, TokenScan, TurnedTokenScan


def scan_key(quantized):
    """Return what records must share to be in one scan: its class and what queries depend on."""
    metadata, dim = quantized.metadata, quantized.original_dim
    match quantized.method:
        case QuantizationMethod.FLOAT8_E4M3:
            return (Float8Scan if metadata.bias == 0 else DecodedScan), dim
        case QuantizationMethod.BINARY:
            return BinaryScan, dim, metadata.threshold
        case QuantizationMethod.PQ8:
            return PQ8Scan, dim, metadata.codebook_id
        case QuantizationMethod.SPARSE_NATIVE:
            return InvertedScan, dim
        case QuantizationMethod.TOKEN_PRUNING:
            return _token_key(metadata.layout, dim)


def _token_key(layout, dim):
    match layout:
        case "compact_e4m3":
            return CodedTokenScan, dim
        case "compact_int4":
            return TurnedTokenScan, dim, 4
        case "compact_int2":
            return TurnedTokenScan, dim, 2
    return TokenScan, dim


def make_scan(quantized, find_codebook):
    """Return the scan of records that share their `scan_key`; codebooks are found by id.

    Raises InvalidQuantizedData when a record cannot be decoded, and CodebookMissing.
    """
    key = scan_key(quantized[0])
    kind, *shared = key
    if kind is PQ8Scan:
        shared = [find_codebook(shared[1])]
    scan = kind.of(quantized, *shared)
    scan.key = key
    return scan


def join(scans):
    """Return the scan of the rows of several that share their key."""
    if len(scans) == 1:
        return scans[0]
    joined = type(scans[0]).joined(scans)
    joined.key = scans[0].key
    return joined
