"""Sign bits. The specification allows 20 us to encode 1024 values and 200 us to decode them."""

from cgcython import BinaryEncoder, ModelId

from .gates import budget_us
from .inputs import FINGERPRINT, router

ROUTER = router(None)
VALUES = FINGERPRINT[ModelId.HDC]
STORED = ROUTER.quantize(ModelId.HDC, VALUES)


class One:
    @budget_us(20)
    def time_quantize(self):
        ROUTER.quantize(ModelId.HDC, VALUES)

    @budget_us(200)
    def time_dequantize(self):
        ROUTER.dequantize(STORED)

    def time_hamming(self):
        BinaryEncoder.hamming_distance(STORED.data, STORED.data)
