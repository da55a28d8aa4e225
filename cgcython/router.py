"""Sends every embedder to its codec, counts what passes and samples what it costs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from cgcython.base import (
    EmbedderId,
    EmbedderName,
    Profile,
    ProfileName,
    QuantizationMethod,
    parse_embedder,
)
from cgcython.checks import (
    NO_KEY,
    iterated,
    require_instance,
    require_items,
    require_mapping,
    require_whole,
)
from cgcython.codecs.base import Codec
from cgcython.codecs.token_selection import require_part
from cgcython.embedders import Codebooks, Encoder, Encoders, RecallLoss
from cgcython.embedders.blocks import Listed, Part, embeddings_of, encode_blocks, listed
from cgcython.embedders.budget import steps_within
from cgcython.embedders.codebooks import CodebookSource
from cgcython.embedders.forms import form_of
from cgcython.embedders.ladder import LADDER, require_step
from cgcython.embedders.losses import LossTotals
from cgcython.embedders.route import Measured, Route, by_embedder
from cgcython.errors import InvalidInput, MethodMismatch
from cgcython.locks import ForkSafeLock
from cgcython.records import QuantizedBatch, QuantizedEmbedding


class QuantizationRouter:
    """The encoders of all embedders of a profile; no embedder ever falls back to float32.

    `codebooks` is a mapping `embedder -> codebook` or the folder that holds `pq8_codebooks/`.
    `pruning_ratio` is the part of tokens kept where the profile's rows leave it open. One of
    `sample_every` encoded embeddings is decoded again to measure its loss (0: none); warns
    DriftWarning once per embedder that loses more than its codebook's training measured.

    >>> router = QuantizationRouter()
    >>> router.quantize("E9", [1.0, -1.0] * 512).size_bytes
    128
    """

    def __init__(
        self,
        codebooks: CodebookSource | None = None,
        profile: ProfileName | None = None,
        pruning_ratio: float | None = None,
        sample_every: int = 256,
    ) -> None:
        settings = {} if pruning_ratio is None else {"pruning_ratio": pruning_ratio}
        if pruning_ratio is not None:
            require_part("pruning_ratio", pruning_ratio, largest=1)
        if not isinstance(codebooks, Codebooks):
            codebooks = Codebooks(codebooks, profile)
        self.profile, self.codebooks = Profile.named(profile), codebooks
        self._has_own = bool(self.profile.own)
        self.encoders = Encoders(self.profile, codebooks, **settings)
        self.sample_every = require_whole(sample_every, "sample_every")
        self._routes: dict[EmbedderName, Route] = {}
        self._compact: list[dict[EmbedderName, Route]] = [{} for _ in LADDER]
        self._lock = ForkSafeLock()
        self._decoded: defaultdict[QuantizationMethod, int] = defaultdict(int)

    def __repr__(self) -> str:
        return f"QuantizationRouter({self.profile!r}, codebooks={len(list(self.codebooks))})"

    def require_all(self) -> None:
        """Load every codebook now. Raises CodebookMissing for the first that is missing."""
        self.codebooks.require()

    def quantize(self, model_id: EmbedderName, embedding: Any) -> QuantizedEmbedding:
        """Return the QuantizedEmbedding of one embedding, in its method's canonical layout."""
        try:
            route = self._routes.get(model_id)
        except NO_KEY:
            route = None
        return (route or self._route(model_id)).quantize(embedding)

    def dequantize(self, quantized: QuantizedEmbedding, out: Any = None) -> Any:
        """Return the embedding of a QuantizedEmbedding, in `out` where the method can fill one."""
        if type(quantized) is not QuantizedEmbedding:
            actual = type(quantized).__name__
            raise InvalidInput(what="quantized", expected="a QuantizedEmbedding", actual=actual)
        decoder = self.decoder(quantized)
        self._count_decoded(quantized.method, 1)
        return decoder.decode(quantized) if out is None else decoder.decode(quantized, out)

    def quantize_batch(
        self,
        model_id: EmbedderName,
        embeddings: Any,
        num_threads: int = 1,
        compact: bool = False,
        out: QuantizedBatch | None = None,
        step: int = 0,
    ) -> QuantizedBatch:
        """Return the QuantizedBatch of many embeddings; `compact` chooses fingerprint layouts.

        They are those of a step of LADDER. The columns of the batch `out` are reused.
        """
        route = self._compact_route(model_id, step) if compact else self._route(model_id)
        return route.quantize_batch(embeddings, num_threads, out)

    def dequantize_batch(self, batch: QuantizedBatch, num_threads: int = 1, out: Any = None) -> Any:
        """Return the embeddings of a batch, in `out` where one is given."""
        decoder = self.decoder(require_instance(batch, QuantizedBatch, "batch"))
        self._count_decoded(batch.method, len(batch))
        return decoder.decode_batch(batch, num_threads, out=out)

    def _count_decoded(self, method: QuantizationMethod, count: int) -> None:
        with self._lock:
            self._decoded[method] += count

    def quantize_fingerprint(
        self, fingerprint: Mapping[EmbedderId, Any], step: int = 0
    ) -> dict[EmbedderId, QuantizedEmbedding]:
        """Return `{embedder: QuantizedEmbedding}` of a mapping of embeddings, in compact layouts.

        They are those of a step of LADDER, 0 being the finest.
        """
        routes, make = self._compact[require_step(step)], self._compact_route
        embeddings = require_mapping(fingerprint, "fingerprint").items()
        try:
            quantized = {
                model_id: (routes.get(model_id) or make(model_id, step)).quantize(embedding)
                for model_id, embedding in embeddings
            }
        except InvalidInput:
            self._require_rows(fingerprint)
            raise
        return self._numbered(quantized) if self._has_own else quantized

    def steps_within(
        self, fingerprint: Mapping[EmbedderId, Any], budget_bytes: int | None
    ) -> Iterator[int]:
        """Return the steps of LADDER for a fingerprint, from the finest that fits a budget on.

        The first step may miss the budget of a record's bytes, with numbers that f16 cannot hold;
        where none fits, only the last is left. Raises BudgetExceeded where the texts alone do not.
        """
        if budget_bytes is None:
            return iter([0])
        budget = require_whole(budget_bytes, "budget_bytes")
        return steps_within(require_mapping(fingerprint, "fingerprint"), budget, self._route_of)

    def dequantize_fingerprint(
        self, quantized: Mapping[EmbedderId, QuantizedEmbedding]
    ) -> dict[EmbedderId, Any]:
        """Return `{embedder: embedding}` of a mapping of quantized embeddings."""
        sections = require_mapping(quantized, "quantized").items()
        return {model_id: self.dequantize(one) for model_id, one in sections}

    def quantize_fingerprints(
        self,
        fingerprints: Sequence[Mapping[EmbedderId, Any]],
        num_threads: int = 1,
        steps: Sequence[int] | None = None,
    ) -> list[dict[EmbedderId, QuantizedEmbedding]]:
        """Return a list as `quantize_fingerprint` does for each, encoding embedder by embedder.

        `steps` has the step of LADDER of each.
        """
        if not isinstance(fingerprints, (list, tuple)):
            actual = type(fingerprints).__name__
            raise InvalidInput(what="fingerprints", expected="a list", actual=actual)
        every = [require_mapping(one, "fingerprint") for one in fingerprints]
        steps = None if steps is None else require_items(steps, "steps")
        if steps is not None and len(steps) != len(every):
            raise InvalidInput(what="steps", expected=len(every), actual=len(steps))
        records = range(len(every))
        return encode_blocks(self._parts_of(every, steps), records, embeddings_of, num_threads)

    def _parts_of(
        self, fingerprints: Sequence[Mapping[EmbedderId, Any]], steps: Sequence[int] | None = None
    ) -> list[Part[Listed]]:
        """Return the embeddings of fingerprints, each at its step of LADDER, by their routes."""
        for step in steps or ():
            require_step(step)
        return listed(fingerprints, steps, self._route_of)

    def _require_rows(self, embeddings: Mapping[EmbedderId, Any]) -> None:
        """Raise InvalidInput, with the row to add, for an embedder that the profile lacks."""
        for name, embedding in embeddings.items():
            if parse_embedder(name) not in self.profile:
                raise self.profile.unknown(name, *form_of(embedding))

    def _numbered(self, quantized: Mapping[EmbedderId, Any]) -> dict[EmbedderId, Any]:
        """Return parts in the order of the numbers that the profile gives their embedders."""
        return {key: quantized[key] for key in sorted(map(self.profile.embedder, quantized))}

    def dequantize_fingerprints(
        self, quantized: Iterable[Mapping[EmbedderId, QuantizedEmbedding]]
    ) -> list[dict[EmbedderId, Any]]:
        """Return a list as `dequantize_fingerprint` does for each."""
        return [self.dequantize_fingerprint(one) for one in iterated(quantized, "quantized")]

    def codec(self, model_id: EmbedderName, step: int | None = None) -> Codec:
        """Return the codec of an embedder: of canonical layouts, or that of a step of LADDER."""
        encoder = self._encoder(model_id)
        return encoder.codec(model_id) if step is None else encoder.compact_codec(model_id, step)

    def decoder(self, quantized: QuantizedEmbedding | QuantizedBatch) -> Codec:
        """Return the codec that reads an embedding or a batch. Raises CodebookMissing."""
        method = getattr(quantized, "method", None)
        if not isinstance(method, QuantizationMethod):
            raise MethodMismatch(expected="a QuantizationMethod", actual=method)
        return self.encoders[method].decoder(quantized)

    def expected_size(self, model_id: EmbedderName, count: int | None = None) -> int:
        """Return the bytes of one embedding; `count` is that of its non-zeros or tokens."""
        return self._encoder(model_id).expected_size(model_id, count)

    def measure_recall_loss(self, model_id: EmbedderName, embeddings: Iterable[Any]) -> RecallLoss:
        """Return the mean loss of encoding embeddings, 1 - cosine; the worst is `.maximum`."""
        return self._encoder(model_id).measure_recall_loss(model_id, embeddings)

    def metrics(self) -> dict[str, dict[Any, Any]]:
        """Return what passed since the router was made, as three dicts.

        `encoded`: how many embeddings, by ModelId. `loss`: the RecallLoss, mean and `.maximum`, of
        the sampled ones among them, by ModelId; embedders without a sample are left out. `decoded`:
        how many, by QuantizationMethod.

        >>> router = QuantizationRouter()
        >>> router.quantize("E9", [1.0, -1.0] * 512).size_bytes
        128
        >>> router.metrics()["loss"]
        {<ModelId.HDC: 8>: RecallLoss(0.0, maximum=0.0)}
        """
        totals, worst = self.loss_totals(), self._by_embedder(lambda route: route.maximum_loss)
        loss = {
            one: RecallLoss(found.mean, max(worst[one]))
            for one, found in totals.items()
            if found.samples
        }
        encoded = {one: found.encoded for one, found in totals.items()}
        return {"encoded": encoded, "decoded": dict(self._decoded), "loss": loss}

    def loss_totals(self) -> dict[EmbedderId, LossTotals]:
        """Return the LossTotals of each embedder that was asked for, which add up over time."""
        found = self._by_embedder(Route.totals)
        return {one: reduce(LossTotals.plus, totals) for one, totals in found.items()}

    def _by_embedder(
        self, measure: Callable[[Route], Measured]
    ) -> dict[EmbedderId, list[Measured]]:
        tables = (self._routes, *self._compact)
        routes = [route for table in tables for route in list(table.values())]
        return by_embedder(routes, self.profile, measure)

    def _encoder(self, model_id: EmbedderName) -> Encoder:
        return self.encoders[self.profile.row(model_id).method]

    def _route(self, model_id: EmbedderName) -> Route:
        model_id = self.profile.embedder(model_id)
        with self._lock:
            if model_id not in self._routes:
                self._routes[model_id] = Route(model_id, self.codec(model_id), self.sample_every)
            return self._routes[model_id]

    def _route_of(self, model_id: EmbedderName, step: int = 0) -> Route:
        """Return the Route of an embedder in fingerprints, at a step of LADDER."""
        return self._compact[step].get(model_id) or self._compact_route(model_id, step)

    def _compact_route(self, model_id: EmbedderName, step: int = 0) -> Route:
        model_id, step = self.profile.embedder(model_id), require_step(step)
        with self._lock:
            if model_id not in self._compact[step]:
                codec = self.codec(model_id, step)
                # Steps that keep an embedder in the same form share what is known of it.
                known = [routes[model_id] for routes in self._compact if model_id in routes]
                same = next((route for route in known if route.codec == codec), None)
                self._compact[step][model_id] = same or Route(model_id, codec, self.sample_every)
            return self._compact[step][model_id]
