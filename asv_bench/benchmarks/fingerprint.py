"""A whole memory: 2 ms to encode all thirteen embedders and at most 20,000 bytes at rest."""

from cgcython import Fingerprint

from .gates import budget_us
from .inputs import FINGERPRINT, router

KINDS = {"plain": router(None), "rotated": router("pca")}
MEMORY = Fingerprint(FINGERPRINT)
STORED = {name: router.quantize_fingerprint(MEMORY) for name, router in KINDS.items()}


class Whole:
    params, param_names = [list(KINDS)], ["codebooks"]

    @budget_us(2000)
    def time_quantize(self, name):
        KINDS[name].quantize_fingerprint(MEMORY)

    def time_dequantize(self, name):
        KINDS[name].dequantize_fingerprint(STORED[name])
