"""Sends every embedder to its codec, counts what passes and samples what it costs."""

import warnings
from itertools import repeat

from cgcython import frames
from cgcython.base import ModelId, Profile, QuantizationMethod
from cgcython.embedders import (
    BinaryEncoder,
    Float8E4M3Encoder,
    PQ8Encoder,
    RecallLoss,
    SparseNativeEncoder,
    TokenPruningEncoder,
)
from cgcython.embedders.ladder import LADDER
from cgcython.errors import InvalidInput, MethodMismatch, QuantizationError
from cgcython.records import QuantizedEmbedding, SparseVector

ENOUGH_SAMPLES = 64  # of one embedder, before their mean loss says anything
DRIFT_TOLERANCE = 0.25  # by which part of it the loss may rise above what training measured
MOST_SAMPLES = 32  # of one batch, so that measuring never costs as much as encoding does


class DriftWarning(UserWarning):
    """Embeddings lose more than those that their codebook was trained on."""


class QuantizationRouter:
    """The encoders of all thirteen embedders; no embedder ever falls back to float32.

    `codebooks` is a mapping `ModelId -> PQ8Codebook` or the folder that holds `pq8_codebooks/`.
    One of `sample_every` encoded embeddings is decoded again to measure its loss (0: none); warns
    DriftWarning once per embedder that loses more than its codebook's training measured.

    >>> router = QuantizationRouter()
    >>> router.quantize(ModelId.HDC, [1.0, -1.0] * 512).size_bytes
    128
    """

    def __init__(self, codebooks=None, profile=None, pruning_ratio=0.5, sample_every=256):
        if not isinstance(sample_every, int) or sample_every < 0:
            raise InvalidInput(what="sample_every", expected="0 or more", actual=sample_every)
        self.profile = Profile.named(profile)
        self.encoders = {
            encoder.method: encoder
            for encoder in (
                PQ8Encoder(codebooks, profile),
                Float8E4M3Encoder(profile),
                BinaryEncoder(profile=profile),
                SparseNativeEncoder(profile),
                TokenPruningEncoder(pruning_ratio, profile),
            )
        }
        self.sample_every = sample_every
        self._routes, self._laid_out = {}, {}
        self._compact = [{} for _ in LADDER]
        self._decoded = dict.fromkeys(QuantizationMethod, 0)

    @property
    def codebooks(self):
        """The codebooks in use, loaded when first asked for."""
        return self.encoders[QuantizationMethod.PQ8].codebooks

    def require_all(self):
        """Load every codebook now. Raises CodebookMissing for the first that is missing."""
        self.codebooks.require()

    def quantize(self, model_id, embedding):
        """Return the QuantizedEmbedding of one embedding, in its method's canonical layout."""
        route = self._routes.get(model_id) or self._route(model_id)
        return route.quantize(embedding)

    def dequantize(self, quantized, out=None):
        """Return the embedding of a record, in `out` where the method can fill one."""
        if type(quantized) is not QuantizedEmbedding:
            actual = type(quantized).__name__
            raise InvalidInput(what="quantized", expected="a QuantizedEmbedding", actual=actual)
        method = quantized.method
        if not isinstance(method, QuantizationMethod):
            raise MethodMismatch(expected="a QuantizationMethod", actual=method)
        self._decoded[method] += 1
        decoder = self.encoders[method].decoder(quantized)
        return decoder.decode(quantized) if out is None else decoder.decode(quantized, out)

    def quantize_batch(self, model_id, embeddings, num_threads=1, compact=False, out=None, step=0):
        """Return the QuantizedBatch of many embeddings; `compact` chooses fingerprint layouts.

        They are those of a step of LADDER. The columns of the batch `out` are reused.
        """
        route = self._compact_route(model_id, step) if compact else self._route(model_id)
        return route.quantize_batch(embeddings, num_threads, out)

    def dequantize_batch(self, batch, num_threads=1, out=None):
        """Return the embeddings of a batch, in `out` where one is given."""
        self._decoded[batch.method] += len(batch)
        return self.encoders[batch.method].dequantize_batch(batch, num_threads, out)

    def quantize_fingerprint(self, fingerprint, step=0):
        """Return `{ModelId: QuantizedEmbedding}` of a mapping of embeddings, in compact layouts.

        They are those of a step of LADDER, 0 being the finest.
        """
        routes, make = self._compact[step], self._compact_route
        return {
            model_id: (routes.get(model_id) or make(model_id, step)).quantize(embedding)
            for model_id, embedding in fingerprint.items()
        }

    def steps_within(self, fingerprint, budget_bytes):
        """Return the range of the steps of LADDER from the finest that fits a budget on.

        The budget is that of all sections. The first step may miss it, with weights that f16 cannot
        hold; where none fits, only the last is left.
        """
        last = len(LADDER) - 1
        for step in range(last if budget_bytes is not None else 0):
            if self._fits(fingerprint, step, budget_bytes):
                return range(step, last + 1)
        return range(last if budget_bytes is not None else 0, last + 1)

    def _fits(self, fingerprint, step, budget_bytes):
        routes, make = self._compact[step], self._compact_route
        try:
            return budget_bytes >= sum(
                (routes.get(model_id) or make(model_id, step)).section_bytes(embedding)
                for model_id, embedding in fingerprint.items()
            )
        except QuantizationError:
            return True  # encoding says what is wrong

    def dequantize_fingerprint(self, quantized):
        """Return `{ModelId: embedding}` of a mapping of records."""
        return {model_id: self.dequantize(record) for model_id, record in quantized.items()}

    def quantize_fingerprints(self, fingerprints, num_threads=1, steps=None):
        """Return a list as `quantize_fingerprint` does for each, encoding embedder by embedder.

        `steps` has the step of LADDER of each.
        """
        quantized = [dict.fromkeys(one) for one in fingerprints]
        columns = {}
        for records, one, step in zip(quantized, fingerprints, steps or repeat(0)):
            routes, make = self._compact[step], self._compact_route
            for model_id, embedding in one.items():
                route = routes.get(model_id) or make(model_id, step)
                owners, column = columns.get(route) or columns.setdefault(route, ([], []))
                owners.append(records)
                column.append(embedding)
        for route, (owners, column) in columns.items():
            batch = route.quantize_batch(column, num_threads)
            for records, record in zip(owners, route.codec.rows(batch)):
                records[route.model_id] = record
        return quantized

    def dequantize_fingerprints(self, quantized):
        """Return a list as `dequantize_fingerprint` does for each."""
        return [self.dequantize_fingerprint(one) for one in quantized]

    def expected_size(self, model_id, count=None):
        """Return the bytes of one record of `count` non-zeros or tokens, of values by profile."""
        return self._encoder(model_id).expected_size(model_id, count)

    def measure_recall_loss(self, model_id, embeddings):
        """Return the mean loss of encoding embeddings, 1 - cosine; the worst is `.maximum`."""
        return self._encoder(model_id).measure_recall_loss(model_id, embeddings)

    def metrics(self):
        """Return what passed: `encoded` and sampled `loss` by embedder, `decoded` by method.

        >>> router = QuantizationRouter()
        >>> router.quantize(ModelId.HDC, [1.0, -1.0] * 512).size_bytes
        128
        >>> router.metrics()["loss"]
        {<ModelId.HDC: 8>: RecallLoss(0.0, maximum=0.0)}
        """
        encoded, loss = {}, {}
        for model_id in self.profile:
            every = (*self._routes.values(), *self._laid_out.values())
            routes = [route for route in every if route.model_id is model_id]
            if routes:
                encoded[model_id] = sum(route.encoded for route in routes)
            samples = sum(route.samples for route in routes)
            if samples:
                mean = sum(route.total_loss for route in routes) / samples
                loss[model_id] = RecallLoss(mean, max(route.maximum_loss for route in routes))
        decoded = {method: count for method, count in self._decoded.items() if count}
        return {"encoded": encoded, "decoded": decoded, "loss": loss}

    def _encoder(self, model_id):
        return self.encoders[self.profile[ModelId.parse(model_id)].method]

    def _route(self, model_id):
        model_id = ModelId.parse(model_id)
        if model_id not in self._routes:
            codec = self._encoder(model_id).codec(model_id)
            self._routes[model_id] = _Route(model_id, codec, self.sample_every)
        return self._routes[model_id]

    def _compact_route(self, model_id, step=0):
        model_id = ModelId.parse(model_id)
        routes = self._compact[step]
        if model_id not in routes:
            codec = self._encoder(model_id).compact_codec(model_id, step)
            # Steps that keep an embedder in the same layout share what is known of it.
            key = model_id, getattr(codec, "layout", None)
            known = self._laid_out.get(key)
            routes[model_id] = known or _Route(model_id, codec, self.sample_every)
            self._laid_out[key] = routes[model_id]
        return routes[model_id]


class _Route:
    """One embedder's codec, how often it encoded and what the sampled embeddings lost."""

    def __init__(self, model_id, codec, sample_every):
        self.model_id, self.codec, self.sample_every = model_id, codec, sample_every
        self.encode, self.layout = codec.encode, getattr(codec, "layout", None)
        self.overhead = frames.overhead(codec.method, self.layout)
        self.encoded, self.next_sample = 0, 0 if sample_every else -1
        self.samples, self.total_loss, self.maximum_loss = 0, 0.0, 0.0
        codebook = getattr(codec, "codebook", None)
        self.trained_loss = codebook and codebook.metadata.get("held_out_loss")

    def quantize(self, embedding):
        try:
            record = self.encode(embedding)
        except QuantizationError as error:
            error.about(self.model_id)
            raise
        if self.encoded == self.next_sample:
            self.sample(embedding, record)
            self.next_sample += self.sample_every
        self.encoded += 1
        return record

    def section_bytes(self, embedding):
        if self.layout is None:
            return self.overhead + self.codec.expected_size()
        count = embedding.nnz if isinstance(embedding, SparseVector) else len(embedding)
        return self.overhead + self.codec.expected_size(count)

    def quantize_batch(self, embeddings, num_threads, out=None):
        try:
            batch = self.codec.encode_batch(embeddings, num_threads, out)
        except QuantizationError as error:
            error.about(self.model_id)
            raise
        # A tuple holds columns, whose rows would have to be put together first.
        if self.sample_every and not isinstance(embeddings, tuple):
            self.sample_batch(embeddings, batch)
        self.encoded += len(batch)
        return batch

    def sample_batch(self, embeddings, batch):
        first = self.next_sample - self.encoded
        rows = range(first, len(batch), self.sample_every)
        self.next_sample += len(rows) * self.sample_every
        for i in rows[:: 1 + len(rows) // MOST_SAMPLES]:
            self.sample(embeddings[i], self.codec.row(batch, i))

    def sample(self, embedding, record):
        loss = self.codec.loss(embedding, self.codec.decode(record))
        self.samples += 1
        self.total_loss += loss
        self.maximum_loss = max(self.maximum_loss, loss)
        trained = self.trained_loss
        if trained is not None and self.samples >= ENOUGH_SAMPLES:
            self.watch(trained)

    def watch(self, trained):
        """Warn, once, where the sampled loss is well above that of training."""
        mean = self.total_loss / self.samples
        if mean > trained * (1 + DRIFT_TOLERANCE):
            self.trained_loss = None
            warnings.warn(
                f"{self.model_id.label}: {self.samples} sampled embeddings lose {mean:.2%}, "
                f"training measured {trained:.2%}; train a codebook on the new kind "
                "(see cgcython drift)",
                DriftWarning,
                stacklevel=5,
            )
