"""Token pruning at 32 tokens. The specification allows 200 us to decode any embedder."""

from cgcython import ModelId
from cgcython.codecs.token_pruning import TokenPruningCodec

from .gates import budget_us, target_us
from .inputs import FINGERPRINT

LAYOUTS = ["canonical", "compact_e4m3", "compact_f32"]
TOKENS = FINGERPRINT[ModelId.LATE_INTERACTION]
CODECS = {layout: TokenPruningCodec(TOKENS.shape[1], layout=layout) for layout in LAYOUTS}
STORED = {layout: codec.encode(TOKENS) for layout, codec in CODECS.items()}


class One:
    params, param_names = [LAYOUTS], ["layout"]

    def time_encode(self, layout):
        CODECS[layout].encode(TOKENS)

    @budget_us(200)
    @target_us(1)
    def time_decode(self, layout):
        CODECS[layout].decode(STORED[layout])
