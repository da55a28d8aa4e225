"""PQ-8. The specification allows 100 us to encode and 200 us to decode, plain and rotated."""

from cgcython import ModelId

from .gates import budget_us
from .inputs import FINGERPRINT, router

EMBEDDERS = [ModelId.CAUSAL, ModelId.SEMANTIC, ModelId.CODE]
ROTATIONS = {"plain": None, "rotated": "pca"}
ROUTERS = {name: router(rotation) for name, rotation in ROTATIONS.items()}
STORED = {
    (model_id, name): ROUTERS[name].quantize(model_id, FINGERPRINT[model_id])
    for model_id in EMBEDDERS
    for name in ROTATIONS
}


class One:
    params, param_names = [EMBEDDERS, list(ROTATIONS)], ["embedder", "codebook"]

    @budget_us(100)
    def time_quantize(self, model_id, name):
        ROUTERS[name].quantize(model_id, FINGERPRINT[model_id])

    @budget_us(200)
    def time_dequantize(self, model_id, name):
        ROUTERS[name].dequantize(STORED[model_id, name])
