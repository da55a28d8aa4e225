"""Values for odd calls: those of every kind that a caller may have, and those that suit a name.

A text may become a path that is written to, so none leads out of the folder of the calls.
"""

import datetime
import decimal
import fractions
import runpy
import uuid
from pathlib import Path

import numpy as np

import cgcython
from cgcython import ModelId, QuantizationMethod
from cgcython.search.code_index import CodeIndex
from cgcython.store.journal import Journal

F32 = np.float32
NAN, INF = float("nan"), float("inf")
MEMORIES = Path(__file__).with_name("memories.py")


class World:
    """Objects of the public classes, small, with a store of a few memories in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.memories = runpy.run_path(str(MEMORIES))["make_memories"]()
        self.book = self.memories.codebooks[ModelId.SEMANTIC]
        self.router = self.memories.router
        self.fingerprints = [self.memories.make(seed) for seed in range(6)]
        self.records = [one.encode(self.router) for one in self.fingerprints]
        self.ids = [uuid.UUID(int=number) for number in range(6)]
        self.store = cgcython.FingerprintStore.open(
            folder / "s", self.memories.codebooks, self.memories.profile
        )
        self.store.store_many(list(zip(self.ids, self.fingerprints)))
        self.rows = np.random.default_rng(0).standard_normal((20, 16)).astype(F32)
        self.tokens = cgcython.TokenArray.from_list([self.rows[:3, :8], self.rows[3:9, :8]])
        self.index = CodeIndex(self.book, self.book.encode(self.rows))
        self.things = {**self._codecs(), **self._values()}

    def _codecs(self):
        profile = self.memories.profile
        stages = np.random.default_rng(8).standard_normal((3, 256, 4))
        residual = cgcython.RQ8Codebook(stages, np.eye(12, 4), np.zeros(12))
        return {
            "float8_codec": cgcython.Float8Codec(12),
            "binary_codec": cgcython.BinaryCodec(20),
            "pq8_codec": cgcython.PQ8Codec(self.book),
            "rq8_codec": cgcython.RQ8Codec(residual),
            "sparse_codec": cgcython.SparseCodec(400),
            "compact_sparse_codec": cgcython.SparseCodec(400, "compact_f16"),
            "token_codec": cgcython.TokenPruningCodec(8),
            "int4_codec": cgcython.TokenPruningCodec(8, layout="compact_int4"),
            "float8_encoder": cgcython.Float8E4M3Encoder(profile),
            "binary_encoder": cgcython.BinaryEncoder(profile=profile),
            "pq8_encoder": cgcython.PQ8Encoder(self.memories.codebooks, profile),
            "sparse_encoder": cgcython.SparseNativeEncoder(profile),
            "token_encoder": cgcython.TokenPruningEncoder(profile=profile),
            "quantizer": cgcython.TokenPruningQuantizer(cgcython.TokenPruningConfig(min_tokens=2)),
        }

    def _values(self):
        return {
            "book": self.book,
            "router": self.router,
            "store": self.store,
            "index": self.index,
            "journal": Journal(self.store._keeper, self.store.profile),
            "tokens": self.tokens,
            "int8_tokens": self.tokens.quantize("int8"),
            "screened_tokens": self.tokens.with_screen(),
            "cells": cgcython.TokenCells.of(self.tokens),
            "query": cgcython.PreparedQuery.of(self.rows[:2, :8]),
            "fingerprint": self.fingerprints[0],
            "record": self.records[0],
            "section": self.records[0][ModelId.SEMANTIC],
            "sparse": self.fingerprints[0][ModelId.SPARSE],
            "profile": self.memories.profile,
            "codebooks": cgcython.Codebooks(self.memories.codebooks, self.memories.profile),
            "corpus": cgcython.open_corpus({"E2": self.rows[:, :12]}, self.memories.profile),
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.store.close()


def array_of(dtype, shape=(4,)):
    return lambda world: np.zeros(shape, dtype)


def released(world):
    view = memoryview(bytearray(16))
    view.release()
    return view


def frozen(world):
    array = np.ones(16, F32)
    array.flags.writeable = False
    return array


def misaligned(world):
    return np.frombuffer(b"x" + np.ones(16, F32).tobytes(), F32, offset=1)


CONSTANTS = [
    None, True, False, np.True_, np.False_, 0, 1, -1, 2, 7, 255, 2**31, 2**32, 2**40, 2**62,
    2**63, 2**64, -(2**63), 10**30, 0.0, -0.0, 0.5, 1.5, NAN, INF, -INF, 1e308, 1e-310, 1e39, 1j,
    np.int64(2), np.int8(-1), np.uint64(2**63), np.float32(0.5), np.float16(NAN), np.float64(3),
    np.datetime64("NaT", "ns"), "", "E1", "E9", "E14", "semantic", "x" * 600, "\ud800", "a\0b", "é",
    "cosine", "mean", "int8", "pq", "float32", ".", "no/such/path", b"", b"x", b"x" * 16,
    b"\xff" * 40, np.str_("E2"), np.bytes_(b"x"), ModelId.HDC, ModelId.SPARSE,
    QuantizationMethod.BINARY, Path("no-such"), Path("."), uuid.UUID(int=1),
    datetime.datetime(2024, 1, 1), datetime.timedelta(days=1), decimal.Decimal("0.5"),
    fractions.Fraction(1, 2), object(), object, int, len, Ellipsis, NotImplemented, range(3),
    slice(None), (), (1, 2), (None,), frozenset({1}),
    cgcython.InvalidInput(what="x", expected="y", actual="z"),
]  # fmt: skip
MADE = [
    lambda world: [],
    lambda world: {},
    lambda world: set(),
    lambda world: {1, 2, 3},
    lambda world: {"a": 1},
    lambda world: {None: None},
    lambda world: {ModelId.HDC: None},
    lambda world: {"E9": [1.0] * 20},
    lambda world: {"E2": np.ones(12), "E1": NAN},
    lambda world: [1, 2, 3],
    lambda world: [1.0] * 16,
    lambda world: [NAN] * 16,
    lambda world: ["1", "2"],
    lambda world: [None],
    lambda world: [[]],
    lambda world: [[1.0], [1.0, 2.0]],
    lambda world: [[[1.0]]],
    lambda world: [object()],
    lambda world: [b"x" * 16],
    lambda world: (number for number in (1, 2, 3)),
    lambda world: (row for row in np.ones((3, 8))),
    lambda world: iter([]),
    lambda world: map(str, [1]),
    lambda world: zip([1], [2]),
    lambda world: bytearray(16),
    lambda world: memoryview(b"x" * 16),
    lambda world: memoryview(b""),
    lambda world: memoryview(np.ones(16, "f8")),
    lambda world: memoryview(np.ones((4, 4), F32)),
    released,
    frozen,
    misaligned,
    lambda world: np.array(3),
    lambda world: np.array(0.5, F32),
    lambda world: np.array(None),
    lambda world: np.array([]),
    *(
        array_of(kind)
        for kind in (
            "f2",
            "f4",
            "f8",
            "g",
            ">f4",
            "i1",
            "u1",
            "i8",
            "u8",
            "?",
            "c8",
            "O",
            "U3",
            "S3",
            "M8[s]",
            "m8[s]",
            "V4",
        )
    ),
    *(
        array_of(F32, shape)
        for shape in (
            (0, 8),
            (3, 0),
            (3, 8),
            (3, 16),
            (1, 1, 1),
            (2, 3, 8),
            (16,),
            (12,),
            (20,),
            (1,) * 20,
        )
    ),
    lambda world: np.full(16, NAN, F32),
    lambda world: np.full((3, 16), INF, "f8"),
    lambda world: np.full(16, 1e300),
    lambda world: np.ones((16, 16), F32).T[::2],
    lambda world: np.ones(32, F32)[::-2],
    lambda world: np.ma.masked_array(np.ones(16, F32), mask=[0] * 15 + [1]),
    lambda world: np.ma.masked_array(np.ones(16, F32), mask=False),
    lambda world: np.ma.masked_array([1, 2, 3], mask=[0, 1, 0]),
    lambda world: np.ma.masked,
    lambda world: np.array([1.0, None, "x"], dtype=object),
    lambda world: np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]),
    lambda world: np.array([-1, 5]),
    lambda world: np.array([2**63], "u8"),
    lambda world: np.broadcast_to(F32(0), (2**33,)),
    lambda world: np.broadcast_to(np.uint8(0), (2**33, 8)),
    lambda world: np.arange(8, dtype=F32).view(np.recarray),
    lambda world: world.folder,
    lambda world: str(world.folder / "file"),
    *(
        lambda world, name=name: world.things[name]
        for name in (
            "book router store index tokens int8_tokens query fingerprint record section sparse "
            "profile codebooks corpus float8_codec binary_encoder quantizer"
        ).split()
    ),
    lambda world: world.fingerprints,
    lambda world: world.ids,
    lambda world: zip(world.ids, world.fingerprints),
    lambda world: world.records[0].to_bytes(),
    lambda world: world.records[0].to_bytes()[:-1],
]
ODD = [*(lambda world, value=value: value for value in CONSTANTS), *MADE]


def constants(*values):
    return [lambda world, value=value: value for value in values]


def dense(*shape):
    return lambda world: np.random.default_rng(1).standard_normal(shape).astype(F32)


def tiny_and_huge(*shape):
    """Return values whose squares, and squares of squares, leave float32."""
    return lambda world: (dense(*shape)(world) * np.logspace(-44, 37, shape[-1])).astype(F32)


FLAGS = constants(True, False, None, 0, 1, "", "no", np.True_, np.False_, [], object())
VECTORS = [
    dense(8),
    dense(12),
    dense(16),
    dense(20),
    lambda world: [0.5] * 16,
    tiny_and_huge(16),
    tiny_and_huge(12),
]
MATRICES = [
    dense(3, 8),
    dense(3, 12),
    dense(3, 16),
    dense(3, 20),
    dense(300, 16),
    tiny_and_huge(300, 16),
]
SPARSE = [lambda world: world.things["sparse"], lambda world: cgcython.SparseVector([], [], 400)]
TOKENS = [
    dense(5, 8),
    lambda world: world.tokens,
    lambda world: [dense(2, 8)(world), dense(0, 8)(world)],
]
ANY = [*VECTORS, *MATRICES, *SPARSE, *TOKENS]
EMBEDDERS = constants("E1", "E2", "E6", ModelId.HDC, "E12")
IDS = [
    lambda world: world.ids[1],
    lambda world: str(world.ids[2]),
    lambda world: world.ids[3].bytes,
]
PATHS = [
    lambda world: world.folder / "f",
    lambda world: str(world.folder / "g"),
    lambda world: world.folder / "s",
]
MANY_RECORDS = [
    lambda world: world.fingerprints,
    lambda world: list(zip(world.ids, world.fingerprints)),
]
QUANTIZED = [lambda world, i=i: list(world.records[0].values())[i] for i in range(5)]
RECORDS = [
    lambda world: world.records[0],
    lambda world: world.fingerprints[0],
    lambda world: {"E9": [1.0] * 20},
]
DENSE_OR_NOT = "values query embedding vector vectors a b original decoded"
WHOLE = "num_threads k count oversample batch_size min_tokens"
SUITS = [
    (DENSE_OR_NOT, ANY),
    ("tokens document documents embeddings samples rows", ANY),
    ("model_id embedders rerank key", EMBEDDERS),
    ("record_id", IDS),
    ("record_ids ids", [lambda world: world.ids, lambda world: [0, 1], lambda world: {1, 2}]),
    ("path folder", PATHS),
    ("quantized record", QUANTIZED),
    ("fingerprint parts", RECORDS),
    ("fingerprints items", MANY_RECORDS),
    ("codebook codebooks", [lambda world: world.book, lambda world: world.memories.codebooks]),
    ("router", [lambda world: world.router]),
    ("profile", [lambda world: world.memories.profile, *constants(None, "default")]),
    (WHOLE, constants(1, 2, 3)),
    ("step", constants(0, 1, 3)),
    ("dim dimension num_bits embedding_dim original_dim", constants(8, 12, 16, 20, 400)),
    ("num_subvectors", constants(8, 16)),
    ("codes", [lambda world: world.book.encode(world.rows), lambda world: bytes(8)]),
    ("indices", [lambda world: np.arange(4)]),
    ("weights", [dense(4), lambda world: {"E9": 0.5}, *constants(None)]),
    ("offsets", [lambda world: np.array([0, 1, 3])]),
    ("lengths", [lambda world: np.array([1, 2])]),
    ("precision", constants("int8", "float32", "int4")),
    ("metric", constants("cosine", "dot")),
    ("reduction", constants("mean", "sum")),
    ("layout", constants("canonical", "compact_f16", "compact_int4")),
    ("budget_bytes", constants(None, 20_000)),
    ("metadata", [lambda world: {"a": 1}, *constants(None)]),
    ("out", [*constants(None), dense(16)]),
    ("data", [lambda world: world.records[0].to_bytes(), lambda world: bytes(16)]),
    ("progress", constants(None)),
    ("seed", constants(0, 1)),
    ("rotation", constants(None, "pca")),
    ("prefix", constants("", "0000")),
    ("inputs", [lambda world: {"E2": world.rows[:, :12]}]),
]
SUITABLE = {name: values for names, values in SUITS for name in names.split()}
