"""How stored codes of four bits are scored."""

import numpy as np

from cgcython.arrays import as_vector
from cgcython.search.row_scan import RowScan, code_matrix
from cgcython.search.scan import DIM, ROWS, invalid
from cgcython.tensors import ArrayForm
from cgtoy.codec import Toy4Codec, nibbles


class Toy4Scan(RowScan):
    """Nibbles, unpacked when they are loaded: u8 [rows, dim], and scales f32 [rows]."""

    method, name = Toy4Codec.method, "toy4"
    kept = {"values": ArrayForm("U8", (ROWS, DIM)), "scales": ArrayForm("F32", (ROWS,))}  # noqa: RUF012
    is_fixed_length = True

    def __init__(self, values, scales):
        self.values, self.scales = values, scales

    @classmethod
    def of(cls, quantized, find_codebook):
        dim = quantized[0].original_dim
        values = nibbles(code_matrix(quantized, (dim + 1) // 2), dim)
        if not values.all():
            raise invalid(quantized, "a nibble is 0")
        return cls(values, np.float32([one.metadata.scale for one in quantized]))

    @classmethod
    def of_sections(cls, first, sections, find_codebook):
        values = nibbles(sections.data, sections.dimension)
        return cls(values, sections.fields["scale"].copy()) if values.all() else None

    @classmethod
    def from_arrays(cls, arrays, shared, find_codebook):
        return cls(**arrays)

    def with_arrays(self, arrays):
        return type(self)(**arrays)

    def __len__(self):
        return len(self.values)

    @property
    def shared(self):
        return (self.values.shape[1],)

    def _prepare(self, query, metric):
        return as_vector(query, self.values.shape[1])

    def _score(self, query, metric, rows, out):
        numbers = self.values[rows].astype(np.float32) - 8
        dots = numbers @ query
        if metric == "dot":
            out[:] = dots * self.scales[rows]
            return
        lengths = np.linalg.norm(numbers, axis=1) * np.linalg.norm(query)
        out[:] = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)

    def _nonzero(self):
        return np.any(self.values != 8, axis=1)
