"""Sparse vectors of 5 % non-zeros. The specification allows 200 us to decode any embedder."""

from cgcython import ModelId
from cgcython.codecs.sparse import SparseCodec

from .gates import at_most, budget_us
from .inputs import FINGERPRINT

LAYOUTS = ["canonical", "compact_f16", "compact_f32"]
VALUES = FINGERPRINT[ModelId.SPARSE]
CODECS = {layout: SparseCodec(VALUES.dimension, layout) for layout in LAYOUTS}
STORED = {layout: codec.encode(VALUES) for layout, codec in CODECS.items()}


class One:
    params, param_names = [LAYOUTS], ["layout"]

    def time_encode(self, layout):
        CODECS[layout].encode(VALUES)

    @budget_us(200)
    def time_decode(self, layout):
        CODECS[layout].decode(STORED[layout])


@at_most(5000, "bytes")
def track_compact_bytes():
    return STORED["compact_f16"].size_bytes
