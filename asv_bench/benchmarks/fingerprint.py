"""A whole memory: 2 ms to encode all thirteen embedders and at most 20,000 bytes at rest."""

from copy import copy

from cgcython import Fingerprint, ModelId, kernels
from cgcython.fingerprint import encode_all
from cgcython.parallel import each

from .gates import at_least, at_most, budget_us, target_us
from .inputs import FINGERPRINT, router, tokens
from .stopwatch import gain_beside, seconds_per_call, times_as_fast

PLAIN, ROTATED = router(None), router("pca")
MEMORY = Fingerprint(FINGERPRINT)
QUANTIZED = MEMORY.encode(ROTATED)
QUANTIZED_PLAIN = MEMORY.encode(PLAIN)
RECORD = QUANTIZED.to_bytes()
LONG = Fingerprint({**FINGERPRINT, ModelId.LATE_INTERACTION: tokens(512)})
LONG_RECORD = LONG.encode(PLAIN)
LONG_TOKENS = LONG_RECORD[ModelId.LATE_INTERACTION]
MEMORIES = [Fingerprint({one: copy(x) for one, x in FINGERPRINT.items()}) for _ in range(128)]
MANY = 4 * MEMORIES
PIECES, ROUNDS = range(4), 2_000_000  # of multiply-adds, which take as long as MANY memories


class Whole:
    @budget_us(2000)
    @target_us(60)
    def time_quantize_plain(self):
        PLAIN.quantize_fingerprint(MEMORY)

    @budget_us(2000)
    @target_us(120, "reads")
    def time_quantize_rotated(self):
        ROTATED.quantize_fingerprint(MEMORY)

    @budget_us(200 * len(MEMORY))
    @target_us(30)
    def time_dequantize_plain(self):
        PLAIN.dequantize_fingerprint(QUANTIZED_PLAIN)

    @budget_us(200 * len(MEMORY))
    @target_us(60, "reads")
    def time_dequantize_rotated(self):
        ROTATED.dequantize_fingerprint(QUANTIZED)

    def time_record(self):
        MEMORY.encode(ROTATED).to_bytes()

    @target_us(40, "reads")
    def track_batch_plain(self):
        return seconds_per_call(lambda: PLAIN.quantize_fingerprints(MEMORIES)) / len(MEMORIES)

    @target_us(40, "reads")
    def track_batch_rotated(self):
        return seconds_per_call(lambda: ROTATED.quantize_fingerprints(MEMORIES)) / len(MEMORIES)

    @budget_us(2000)
    def time_encode_512_tokens_within_the_budget(self):
        LONG.encode(PLAIN)

    @budget_us(200)
    def time_decode_512_tokens_alone(self):
        PLAIN.dequantize(LONG_TOKENS)

    @budget_us(200 * len(LONG))
    def time_decode_512_tokens(self):
        LONG_RECORD.decode(PLAIN)

    @at_most(20_000, "bytes")
    def track_record_of_512_tokens(self):
        return LONG_RECORD.size_bytes

    @at_most(14_000, "bytes")
    def track_record_of_32_tokens(self):
        return len(RECORD)


def records(num_threads=1):
    """Encode many memories into framed records."""
    return encode_all(MANY, ROTATED, num_threads=num_threads)


def codes():
    """Encode the same embeddings, and make nothing of it."""
    for part in ROTATED._parts_of(MANY):
        part.route.codec.encode_batch(part.source.batch(0, len(MANY)))


def multiply_adds(num_threads):
    """Do what two threads can share without memory, Python or each other."""
    each(lambda _: kernels.limits.fma(ROUNDS), PIECES, num_threads)


class Batch:
    """Whole records: sections, checksums and manifests too."""

    @target_us(60, "reads")
    def track_records(self):
        return seconds_per_call(records, rounds=9) / len(MANY)

    @at_least(0.6)  # of the rate of the encoders alone: a third of the time frames the records
    def track_beside_their_encoders(self):
        return times_as_fast(records, codes)

    @at_least(0.6, "of multiply-adds")  # what two threads gain beside them; framing is Python
    def track_gain_of_two_threads(self):
        return gain_beside(multiply_adds, records)
