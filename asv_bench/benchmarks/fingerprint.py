"""A whole memory: 2 ms to encode all thirteen embedders and at most 20,000 bytes at rest."""

from cgcython import Fingerprint

from .gates import at_most, budget_us, target_us
from .inputs import FINGERPRINT, router

PLAIN, ROTATED = router(None), router("pca")
MEMORY = Fingerprint(FINGERPRINT)
QUANTIZED = MEMORY.encode(ROTATED)
RECORD = QUANTIZED.to_bytes()


class Whole:
    @budget_us(2000)
    @target_us(60)
    def time_quantize_plain(self):
        PLAIN.quantize_fingerprint(MEMORY)

    @budget_us(2000)
    @target_us(120)
    def time_quantize_rotated(self):
        ROTATED.quantize_fingerprint(MEMORY)

    def time_dequantize_rotated(self):
        ROTATED.dequantize_fingerprint(QUANTIZED)

    def time_record(self):
        MEMORY.encode(ROTATED).to_bytes()

    @at_most(14_000, "bytes")
    def track_record_of_32_tokens(self):
        return len(RECORD)
