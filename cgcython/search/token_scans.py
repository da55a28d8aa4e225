"""Scans of documents of tokens, in every layout they are stored in."""

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.search.scan import Scan, concatenated, invalid
from cgcython.similarity import PreparedQuery


class _TokenScan(Scan):
    """Documents of tokens; the score is MaxSim, whatever the metric."""

    ARRAYS = ("values", "starts", "counts")

    def __init__(self, values, starts, counts, dim):
        self.values, self.starts, self.counts, self.dim = values, starts, counts, dim

    def __len__(self):
        return len(self.starts)

    @classmethod
    def from_arrays(cls, arrays, *shared):
        """Return the scan of the `arrays` of another, which are used as they are."""
        return cls(*(arrays[name] for name in cls.ARRAYS), *shared)

    def arrays(self):
        """Return the arrays that a file keeps of this scan."""
        packed = self.packed()
        return {name: getattr(packed, name) for name in self.ARRAYS}

    def packed(self):
        """Return the scan without what lies between its documents: those that are gone, say."""
        sizes = self.counts * (self.dim if self.values.ndim == 1 else 1)
        if sizes.sum() == len(self.values):
            return self
        spans = [slice(*span) for span in zip(self.starts, self.starts + sizes)]
        packed = {
            name: np.concatenate([column[:0], *(column[span] for span in spans)])
            for name in self.ARRAYS
            if name not in ("starts", "counts")
            for column in [getattr(self, name)]
        }
        return self.from_arrays(
            {**packed, "starts": np.cumsum(sizes) - sizes, "counts": self.counts}, *self._shared()
        )

    def _shared(self):
        """Return what all documents have in common."""
        return (self.dim,)

    def take(self, rows):
        """Return the scan of some rows."""
        return type(self)(self.values, self.starts[rows], self.counts[rows], self.dim)

    @classmethod
    def joined(cls, scans):
        """Return the scan of the rows of several."""
        shifts = np.cumsum([0, *(len(scan.values) for scan in scans)])
        starts = [scan.starts + shift for scan, shift in zip(scans, shifts)]
        counts = np.concatenate([scan.counts for scan in scans])
        values = np.concatenate([scan.values for scan in scans])
        return cls(values, np.concatenate(starts), counts, scans[0].dim)

    def _prepare(self, query, metric):
        return PreparedQuery.of(as_tokens(query, self.dim))

    def _score(self, query, metric, rows, out):
        self._sum(query, self.starts[rows], self.counts[rows], out)
        np.clip(out / np.float32(max(query.count, 1)), 0, 1, out=out)


class CodedTokenScan(_TokenScan):
    """Tokens as E4M3 codes, whose scales no cosine needs."""

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        for one in quantized:
            TokenPruningCodec(dim).positions(one)
        data, offsets = concatenated(quantized)
        originals, counts = _token_counts(quantized)
        # The bitmap of kept positions and a scale per token stand before the codes.
        return cls(data, offsets[:-1] + (originals + 7) // 8 + 4 * counts, counts, dim).packed()

    def _directed(self):
        spans = zip(self.starts, self.starts + self.counts * self.dim)
        return np.array([np.any(self.values[a:b] & 0x7F) for a, b in spans], bool)

    def _sum(self, query, starts, counts, sums):
        kernels.maxsim.score_codes(query.packed, query.count, self.values, starts, counts, sums)


class TurnedTokenScan(_TokenScan):
    """Tokens of 4 or 2 bits a value, scored as they are; scales lie beside as inverse lengths.

    Queries are met with up to 15 bits a value, so scores are those of what the codes decode to
    within sqrt(dim) / 65024: 0.0002 for 128 values.
    """

    ARRAYS = ("values", "norms", "starts", "counts")

    def __init__(self, values, norms, starts, counts, dim, bits):
        super().__init__(values, starts, counts, dim)
        self.norms, self.bits = norms, bits

    @classmethod
    def of(cls, quantized, dim, bits):
        """Return the scan of records."""
        width, counts = (dim * bits + 7) // 8, _token_counts(quantized)[1]
        payloads = [_behind_bitmap(one, dim) for one in quantized]
        scales, codes = (
            np.concatenate(parts)
            for parts in zip(*(np.split(one, [4 * n]) for one, n in zip(payloads, counts)))
        )
        scales, codes = scales.view(np.float32), codes.reshape(-1, width)
        used = dim * bits % 8
        if not np.all((scales >= 0) & np.isfinite(scales)) or (
            used and np.any(codes[:, -1] >> used)
        ):
            raise invalid(quantized, "a scale or padding is not as an encoder writes it")
        norms = np.empty(len(codes), np.float32)
        kernels.maxsim_integers.inverse_norms(codes, bits, dim, scales, norms)
        return cls(codes, norms, np.cumsum(counts) - counts, counts, dim, bits)

    def take(self, rows):
        """Return the scan of some rows."""
        starts, counts = self.starts[rows], self.counts[rows]
        return TurnedTokenScan(self.values, self.norms, starts, counts, self.dim, self.bits)

    @classmethod
    def joined(cls, scans):
        """Return the scan of the rows of several."""
        shifts = np.cumsum([0, *(len(scan.values) for scan in scans)])
        starts = [scan.starts + shift for scan, shift in zip(scans, shifts)]
        values, norms, counts = (
            np.concatenate([getattr(scan, name) for scan in scans])
            for name in ("values", "norms", "counts")
        )
        first = scans[0]
        return cls(values, norms, np.concatenate(starts), counts, first.dim, first.bits)

    def _shared(self):
        return self.dim, self.bits

    def like(self, query, stored):
        """Return the MaxSim of every row with the query as a record of these bits would hold it.

        `stored` has the tokens that such a record keeps, but in finer codes.
        """
        tokens, kept = as_tokens(query, self.dim), as_tokens(stored, self.dim)
        if len(kept) < len(tokens):
            tokens = tokens[np.argmax(_unit(kept) @ _unit(tokens).T, axis=1)]
        codec = TokenPruningCodec(self.dim, 1.0, layout=f"compact_int{self.bits}")
        return super().like(query, codec.decode(codec.encode(tokens)))

    def _prepare(self, query, metric):
        return PreparedQuery.of(as_tokens(query, self.dim), fine=True)

    def _directed(self):
        spans = zip(self.starts, self.starts + self.counts)
        return np.array([np.any(np.isfinite(self.norms[a:b])) for a, b in spans], bool)

    def _sum(self, query, starts, counts, sums):
        packed, count = query.hadamard_integers, query.count
        kernels.maxsim_integers.score(
            packed, count, self.values, self.bits, self.norms, starts, counts, sums
        )


class TokenScan(_TokenScan):
    """Tokens as float32 rows."""

    def __init__(self, values, starts, counts, dim):
        super().__init__(values, starts, counts, dim)
        self.norms = np.empty(len(values), np.float32)
        kernels.maxsim.inverse_norms(values, self.norms)

    @classmethod
    def of(cls, quantized, dim):
        """Return the scan of records."""
        rows = [TokenPruningCodec(dim).decode(one) for one in quantized]
        counts = _token_counts(quantized)[1]
        return cls(np.concatenate(rows), np.cumsum(counts) - counts, counts, dim)

    def _directed(self):
        spans = zip(self.starts, self.starts + self.counts)
        return np.array([np.any(self.values[a:b]) for a, b in spans], bool)

    def _sum(self, query, starts, counts, sums):
        packed, values = query.packed, self.values
        kernels.maxsim.score(packed, query.count, values, self.norms, starts, counts, sums)


def _behind_bitmap(quantized, dim):
    """Return the scales and codes of a compact record, after checking what stands before them."""
    TokenPruningCodec(dim).positions(quantized)
    return np.frombuffer(quantized.data, np.uint8)[(quantized.metadata.original_tokens + 7) // 8 :]


def _unit(tokens):
    norms = np.linalg.norm(tokens.astype(np.float64), axis=1, keepdims=True)
    return tokens / np.where(norms > 0, norms, 1)


def _token_counts(quantized):
    counts = [(one.metadata.original_tokens, one.metadata.kept_tokens) for one in quantized]
    return np.array(counts, np.int64).T.copy()
