"""MaxSim of a 32-token query with documents of 128 dimensions, at every precision."""

import numpy as np

from cgcython import PQ8Codebook, PreparedQuery, TokenArray, max_sim, max_sim_batch
from cgcython.similarity.scorers import SCORERS

from .gates import at_least
from .inputs import RNG, unit
from .limits import share_of_fma
from .stopwatch import times_as_fast

QUERY = unit(RNG.standard_normal((32, 128), dtype=np.float32))
DOCUMENTS = unit(RNG.standard_normal((64, 256, 128), dtype=np.float32))
TOKENS = TokenArray.from_list(DOCUMENTS)
PREPARED = PreparedQuery.of(QUERY)
# What a codebook holds does not matter to the time of its scan.
CODEBOOK = PQ8Codebook(RNG.standard_normal((32, 256, 4), dtype=np.float32))
STORED = {name: TOKENS.quantize(name, CODEBOOK if name == "pq" else None) for name in SCORERS}
TOPICS = unit(RNG.standard_normal((64, 1, 128), dtype=np.float32))
ABOUT_TOPICS = TokenArray.from_list(unit(DOCUMENTS + TOPICS))
SCREENED = ABOUT_TOPICS.with_screen()
ABOUT_ONE = PreparedQuery.of(unit(QUERY + TOPICS[7]))
# Whole numbers are no faster there, so that scores are left to MaxSim.
NO_FASTER = {"v3": 0.85, "v4": 0.85}
LISTS = QUERY.tolist(), DOCUMENTS[0].tolist()
FLOPS = 2 * QUERY.shape[0] * DOCUMENTS.size


def pair():
    return max_sim(QUERY, DOCUMENTS[0])


def pair_by_numpy():
    """Multiply and take the maximum, which needs unit rows to be a cosine."""
    return (QUERY @ DOCUMENTS[0].T).max(axis=1).mean()


def pair_of_lists():
    return max_sim(*LISTS)


def batch():
    return max_sim_batch(QUERY, TOKENS)


def batch_at(precision):
    return max_sim_batch(PREPARED, STORED[precision])


def batch_by_numpy():
    return [(QUERY @ document.T).max(axis=1).mean() for document in DOCUMENTS]


def about_one(tokens, k=None):
    return max_sim_batch(ABOUT_ONE, tokens, k=k)


def times_as_fast_as_float32(precision, tolerance):
    """Return float32's time over this precision's, once it scores as what it decodes to."""
    decoded = max_sim_batch(PREPARED, STORED[precision].dequantize())
    np.testing.assert_allclose(batch_at(precision), decoded, atol=tolerance)
    return times_as_fast(lambda: batch_at(precision), batch)


class Pair:
    def time_max_sim(self):
        pair()

    @at_least(1.5)
    def track_against_numpy_matmul_and_max(self):
        assert abs(pair() - pair_by_numpy()) < 1e-6
        return times_as_fast(pair, pair_by_numpy)

    @at_least(0.25)
    def track_lists_against_arrays(self):
        assert pair_of_lists() == pair()
        return times_as_fast(pair_of_lists, pair)


class Batch:
    @at_least(2)
    def track_against_numpy_matmul_and_max(self):
        np.testing.assert_allclose(batch(), batch_by_numpy(), atol=1e-6)
        return times_as_fast(batch, batch_by_numpy)

    @at_least(0.9, "of FMA", v3=0.65, v4=0.65, v4n=0.65)  # these start four instructions a cycle
    def track_share_of_the_fma_rate(self):
        return share_of_fma(FLOPS, batch)


class Precisions:
    params, param_names = [list(SCORERS)], ["precision"]

    def time_batch(self, precision):
        batch_at(precision)

    def track_bytes_per_token(self, precision):
        return (STORED[precision].nbytes - 8 * (len(TOKENS) + 1)) / TOKENS.num_tokens

    track_bytes_per_token.unit = "bytes"  # asv cannot print a table of figures without one


class AgainstFloat32:
    """v4n and v4x multiply bytes in one instruction, v4x also bfloat16; others widen them first."""

    @at_least(1.6, v2=0.7, v3=0.75, v4=0.7, v4n=0.7)
    def track_bfloat16(self):
        return times_as_fast_as_float32("bfloat16", 0.004)

    @at_least(1.4, v2=0.6, v3=0.65, v4=0.65, v4n=0.65)
    def track_e4m3(self):
        return times_as_fast_as_float32("e4m3", 0.004)

    @at_least(0.88, v2=0.7, v3=0.75, v4=0.75, v4n=0.75)
    def track_e4m3_against_bfloat16(self):
        return times_as_fast(lambda: batch_at("e4m3"), lambda: batch_at("bfloat16"))

    @at_least(2.5, v2=1.2, v3=0.8, v4=0.85)
    def track_int8(self):
        return times_as_fast_as_float32("int8", 0.01)

    @at_least(2.5, v2=2, v3=1.5, v4=1.4)
    def track_int2(self):
        return times_as_fast_as_float32("int2", 0.01)

    @at_least(2.5, v2=2, v3=1.5, v4=1.4)
    def track_sign(self):
        return times_as_fast_as_float32("sign", 0.01)


class Screen:
    """Documents that are each about one thing, through the int8 copy: the same bits, sooner."""

    @at_least(1.3, v4n=0.95, **NO_FASTER)
    def track_scores_against_float32(self):
        np.testing.assert_array_equal(about_one(SCREENED), about_one(ABOUT_TOPICS))
        return times_as_fast(lambda: about_one(SCREENED), lambda: about_one(ABOUT_TOPICS))

    @at_least(1.8, v4n=1.5, **NO_FASTER)
    def track_best_against_float32(self):
        np.testing.assert_array_equal(about_one(SCREENED, k=1), about_one(ABOUT_TOPICS, k=1))
        return times_as_fast(lambda: about_one(SCREENED, k=1), lambda: about_one(ABOUT_TOPICS, k=1))
