"""Eight threads that share an object get what one alone gets, with a GIL and without."""

import subprocess
import sys
import sysconfig
import threading
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from cgcython import CodeIndex, PQ8Codebook, TokenArray, kernels
from cgcython.base import ModelId
from cgcython.cli import main
from cgcython.codecs.scalar import ScalarCodec
from cgcython.embedders.codebooks import Codebooks
from cgcython.kernels import dispatch
from cgcython.router import QuantizationRouter
from cgcython.search import FingerprintStore
from cgcython.search.shards import ShardSearcher
from cgcython.similarity import PreparedQuery, max_sim, max_sim_batch

RNG = np.random.default_rng(12)
CODEBOOK = PQ8Codebook(RNG.standard_normal((8, 256, 2)).astype(np.float32))
VECTORS = RNG.standard_normal((500, 16)).astype(np.float32)
DOCUMENTS = [RNG.standard_normal((n % 7 + 1, 16)).astype(np.float32) for n in range(60)]
THREADS = 8
LEVELS = dispatch.available()[-2:]


@pytest.fixture
def in_threads(request):
    """Return `in_threads(make)`: each thread's results of the calls that `make` returns anew."""
    rounds = 60 if request.config.getoption("--whole") else 6
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

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


IMPORTS_ALL = """
import sys
from cgcython import kernels
for family in kernels.dispatch.FAMILIES:
    getattr(kernels, family)
print(kernels.level, sys._is_gil_enabled())
"""


def test_every_module_is_built_to_run_without_a_gil():
    source = (Path(__file__).parents[1] / "setup.py").read_text()
    assert 'DIRECTIVES["freethreading_compatible"] = True' in source


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL")
def test_the_gil_stays_off():
    # Warnings are errors: an import that brings the GIL back warns.
    command = [sys.executable, "-W", "error", "-c", IMPORTS_ALL]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert told.stdout.split() == [kernels.level, "False"], told.stderr


def test_a_router_encodes_and_decodes_for_many(in_threads, memories):
    routers = []

    def make():
        routers.append(QuantizationRouter(memories.codebooks, memories.profile, sample_every=4))
        one = memories.make(5)
        calls = [lambda key=key: routers[-1].quantize(key, one[key]) for key in one]
        calls += [lambda key=key: routers[-1].dequantize(made[key]) for key in one]
        return [*calls, lambda: routers[-1].quantize_batch("E1", VECTORS).columns["codes"]]

    made = memories.router.quantize_fingerprint(memories.make(5))
    in_threads(make)
    # Behind those of eight threads stands the one that works alone.
    encoded = [sum(router.metrics()["encoded"].values()) for router in routers]
    alone = 5 + len(VECTORS)
    assert encoded == [THREADS * alone, alone] * (len(routers) // 2)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_codec_is_used_by_many(in_threads, bits):
    codec = ScalarCodec(16, bits)

    def make():
        batch = codec.encode_batch(VECTORS)
        calls = [lambda q=q: codec.encode(VECTORS[q]) for q in range(3)]
        return [
            *calls,
            lambda: codec.decode_batch(batch),
            lambda: codec.decode(codec.row(batch, 7)),
        ]

    in_threads(make)


def test_lists_of_tokens_are_scored_by_many(in_threads):
    rows = [one.tolist() for one in DOCUMENTS[:8]]
    in_threads(lambda: [lambda n=n: max_sim(rows[6], rows[n]) for n in range(8)])


def test_the_level_changes_beside_kernels(in_threads):
    def make():
        calls = [lambda q=q: CODEBOOK.encode(VECTORS[q : q + 9]) for q in range(4)]
        return [*calls, *(lambda one=one: dispatch.use(one) for one in LEVELS)]

    with level_kept():
        in_threads(make)


def test_threads_that_change_the_level_leave_one(in_threads):
    seen = []

    def switched():
        for level in LEVELS:
            dispatch.use(level)

    def make():
        seen.append({getattr(kernels, one).__name__.split(".")[2] for one in dispatch.FAMILIES})
        return [switched]

    with level_kept():
        in_threads(make)
    assert all(len(levels) == 1 for levels in seen)


@contextmanager
def level_kept():
    before = kernels.level
    try:
        yield
    finally:
        dispatch.use(before)


def test_a_code_index_is_searched_while_rows_are_added(in_threads):
    def make():
        index = CodeIndex(CODEBOOK, CODEBOOK.encode(VECTORS[:100]), ids=np.arange(100))
        more = CODEBOOK.encode(VECTORS[100:200])

        def add():
            with lock:
                if len(index) == 100:
                    index.add(more, ids=np.arange(100, 200))

        # The nearest of the rows that were there first, which stay the nearest among themselves.
        calls = [lambda q=q: index.search(VECTORS[q], 5, among=np.arange(100)) for q in range(5)]
        return [*calls, add]

    lock = threading.Lock()
    in_threads(make)


def test_a_codebook_is_known_by_its_id_before_it_is_found_loaded(tmp_path, memories, monkeypatch):
    memories.codebooks[ModelId.SEMANTIC].save(
        tmp_path / "pq8_codebooks" / "Semantic_codebook.safetensors"
    )
    loaded, add = [], Codebooks.add

    def noted(books, codebook):
        loaded.append(set(books._loaded))
        add(books, codebook)

    monkeypatch.setattr(Codebooks, "add", noted)
    books = Codebooks(tmp_path, memories.profile)
    assert books["E1"] is books["E1"]
    assert loaded == [set()]


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


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("shards"), np.random.default_rng(3)
    np.savez(
        path / "corpus.npz", E2=rng.standard_normal((50, 12)), E9=rng.standard_normal((50, 20))
    )
    rows = [
        'E2 = { dimension = 12, method = "float8_e4m3" }',
        'E9 = { dimension = 20, method = "binary" }',
    ]
    (path / "profile.toml").write_text("\n".join(rows))
    words = ["encode", path / "corpus.npz", "--profile", path / "profile.toml"]
    assert main([*map(str, [*words, "--out", path / "out", "--shard-size", 16])]) == 0
    return path / "out"


def test_shards_are_opened_once_and_searched_by_many(in_threads, shards, memories):
    def make():
        searcher = ShardSearcher(shards)
        queries = [memories.make(n, ["E2", "E9"]) for n in range(4)]
        return [lambda q=q: searcher.search(q, k=5) for q in queries]

    in_threads(make)


@pytest.fixture
def filled(memories, tmp_path):
    pytest.importorskip("rocksdict")
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
