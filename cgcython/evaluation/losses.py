"""What the embeddings of many memories lose, kept for some of them while they are encoded."""

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cgcython.base import EmbedderId
from cgcython.checks import require_whole
from cgcython.evaluation.comparison import Loss
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.router import QuantizationRouter

MEASURED_ALL = 1000  # of the first memories; a small corpus is measured whole


class LossSamples:
    """The losses of the first 1,000 memories and of one of `every` after them, by embedder.

    They are those of `cgcython eval`: 1 - cosine of what decodes, for tokens 1 - MaxSim.
    """

    def __init__(self, router: QuantizationRouter, every: int = 64) -> None:
        self._router, self._every = router, require_whole(every, "every", least=1)
        self._losses: dict[EmbedderId, array[float]] = {}
        self._codecs: dict[EmbedderId, Any] = {}
        self._seen = 0

    def add(
        self,
        memories: Iterable[Mapping[EmbedderId, Any]],
        records: Iterable[QuantizedFingerprint],
    ) -> None:
        """Measure some of these `{ModelId: embedding}` against their QuantizedFingerprints."""
        for memory, record in zip(memories, records):
            if self._seen < MEASURED_ALL or self._seen % self._every == 0:
                for model_id, one in record.items():
                    decoded = self._router.dequantize(one)
                    loss = self._codec(model_id).loss(memory[model_id], decoded)
                    self._losses.setdefault(model_id, array("f")).append(loss)
            self._seen += 1

    def _codec(self, model_id: EmbedderId) -> Any:
        if model_id not in self._codecs:
            self._codecs[model_id] = self._router.codec(model_id, step=0)
        return self._codecs[model_id]

    def summary(self) -> dict[EmbedderId, tuple[Loss, int]]:
        """Return `{ModelId: (Loss, number of samples)}`."""
        return {
            one: (Loss.of(np.frombuffer(losses, np.float32)), len(losses))
            for one, losses in sorted(self._losses.items())
        }
