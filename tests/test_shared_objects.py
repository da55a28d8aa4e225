"""Eight threads that share an object get what one alone gets."""

import sys
import threading
from uuid import UUID

import numpy as np
import pytest

from cgcython import CodeIndex, PQ8Codebook, TokenArray
from cgcython.base import ModelId
from cgcython.embedders.codebooks import Codebooks
from cgcython.search import FingerprintStore
from cgcython.similarity import PreparedQuery, max_sim_batch

RNG = np.random.default_rng(12)
CODEBOOK = PQ8Codebook(RNG.standard_normal((8, 256, 2)).astype(np.float32))
VECTORS = RNG.standard_normal((500, 16)).astype(np.float32)
DOCUMENTS = [RNG.standard_normal((n % 7 + 1, 16)).astype(np.float32) for n in range(60)]
THREADS = 8


@pytest.fixture
def in_threads(request):
    """Return `in_threads(make)`: each thread's results of the calls that `make` returns anew."""
    rounds = 60 if request.config.getoption("--whole") else 6
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def run(make):
        for _ in range(rounds):
            calls, results, failures = make(), [[] for _ in range(THREADS)], []
            begin = threading.Barrier(THREADS)

            def work(number, calls=calls, results=results, failures=failures, begin=begin):
                begin.wait()
                try:
                    for shift in range(len(calls)):
                        place = (shift + number) % len(calls)
                        results[number].append((place, calls[place]()))
                except BaseException as error:
                    failures.append(repr(error))

            threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
            for one in threads:
                one.start()
            for one in threads:
                one.join(60)
            assert failures == []
            alone = [call() for call in make()]
            for place, found in (pair for one in results for pair in one):
                assert same(found, alone[place]), place

    yield run
    sys.setswitchinterval(before)


def same(one, other):
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, tuple) and not hasattr(one, "_fields"):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_a_code_index_is_searched_by_many(in_threads):
    def make():
        index = CodeIndex(CODEBOOK, CODEBOOK.encode(VECTORS))
        return [lambda q=q: tuple(index.search(VECTORS[q], 9)) for q in range(6)]

    in_threads(make)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8", "e4m3"])
def test_a_token_array_is_scored_by_many(in_threads, precision):
    def make():
        tokens = TokenArray.from_list(DOCUMENTS).quantize(precision)
        calls = [lambda q=q: max_sim_batch(DOCUMENTS[q], tokens) for q in range(4)]
        return [*calls, lambda: tokens.inverse_norms.copy(), lambda: tokens.take([3, 1])[0].copy()]

    in_threads(make)


def test_a_prepared_query_is_used_by_many(in_threads):
    def make():
        query, tokens = PreparedQuery(DOCUMENTS[6]), TokenArray.from_list(DOCUMENTS)
        return [lambda n=n: max_sim_batch(query, tokens[n : n + 20]) for n in range(4)]

    in_threads(make)


def test_codebooks_are_loaded_by_many(in_threads, tmp_path, memories):
    memories.codebooks[ModelId.SEMANTIC].save(
        tmp_path / "pq8_codebooks" / "Semantic_codebook.safetensors"
    )

    def make():
        books = Codebooks(tmp_path, memories.profile)
        ids = [memories.codebooks[ModelId.SEMANTIC].codebook_id]
        return [lambda: books["E1"], lambda: books.by_id(ids[0]), lambda: tuple(books)]

    in_threads(make)


@pytest.fixture
def filled(memories, tmp_path):
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((UUID(int=i + 1), memories.make(i)) for i in range(40))
    return tmp_path / "s"


@pytest.mark.parametrize("how", [{"read_only": True}, {"follow": True}, {}])
def test_columns_and_graphs_are_made_once_for_many(in_threads, filled, memories, how):
    stores = []

    def make():
        for store in stores:
            store.close()
        stores[:] = [FingerprintStore.open(filled, **how)]
        (store,) = stores
        dense = memories.make(3, ["E2", "E9"])
        return [
            lambda: store.search(memories.make(3), k=5),
            lambda: store.search(dense, k=5, approximate=True),
            lambda: store.search(dense, k=5, approximate="graph"),
            lambda: store.search(memories.make(7), k=5, rerank="E12"),
            lambda: store.retrieve(UUID(int=5)),
            lambda: list(store),
        ]

    pytest.importorskip("usearch")
    in_threads(make)
    stores[0].close()


def test_a_follower_catches_up_beside_many_readers(filled, memories):
    failures, stop = [], threading.Event()
    with FingerprintStore.open(filled) as writer, FingerprintStore.open(filled, follow=True) as one:

        def read():
            number = 0
            try:
                while not stop.is_set():
                    number += 1
                    assert one.retrieve(UUID(int=number % 40 + 1)) is not None
                    assert len(one.search(memories.make(number % 9), k=3)) == 3
            except BaseException as error:
                failures.append(repr(error))

        threads = [threading.Thread(target=read) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for number in range(25):
            writer.store(UUID(int=1000 + number), memories.make(number))
            one.catch_up()
        stop.set()
        for thread in threads:
            thread.join(60)
        assert failures == []
        assert len(one) == 65
