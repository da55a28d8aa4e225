"""Chooses how many bytes an embedding gets: the fewest that cost no more than a limit.

Every size of a method is tried with a quick codebook on some of the samples; the chosen one is then
trained in full. The cost of a size is the loss of samples held out or, where a judge is at hand,
the drop of Recall@10 against human judgements. Other methods are tried beside it on request.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from cgcython.codecs.base import Codec, codec_class
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.measures import cosine_losses, neighbours_kept
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.codecs.residual_training import SIZES as ADDITIVE_SIZES
from cgcython.codecs.row_settings import BITS
from cgcython.codecs.samples import as_source, some_rows
from cgcython.codecs.size_search import Search, Trial, Wanted, in_order, trial_of
from cgcython.codecs.training import (
    ENOUGH_SAMPLES,
    SUBVECTORS,
    CodebookWarning,
    drawn_from,
    require_rotation,
    require_sample,
)
from cgcython.errors import InvalidInput
from cgcython.types import Array, ArrayLike, Float32Array, RowSource, TrainingProgress

TRIAL_ROWS = 16_384
QUICK = {"opq": "pca", "pca": "pca", None: None}  # a refined rotation loses a little less still
TRAINED = ("pq8", "rq8")  # methods whose codebooks can be trained
METHODS = (*TRAINED, "scalar", "float8_e4m3")  # that dense embeddings may be kept by


Judge: TypeAlias = Callable[[Any], Mapping[str, Any]]  # of a codebook, or of a codec without one
Train: TypeAlias = Callable[[Wanted, Array], Codebook]


def train_smallest(
    samples: ArrayLike | RowSource,
    max_cost: float,
    *,
    method: str = "pq8",
    compared: Iterable[str] = (),
    judge: Judge | None = None,
    seed: int = 0,
    rotation: str | None = "opq",
    sample: int | None = None,
    num_threads: int = 1,
    progress: TrainingProgress | None = None,
    model: str = "",
) -> tuple[Codebook, list[Trial]]:
    """Return a method's codebook of the fewest bytes that cost at most max_cost, and all Trials.

    Where none does, the codebook is the largest: `save` will refuse it. `judge(codebook)` returns
    facts for the codebook's metadata, `recall10_drop` among them. `sample` and `progress` as in
    `PQ8Codebook.train`, for each codebook anew. `compared` are METHODS that are tried too, for
    their Trials, residual codes only on 9,984 rows or more; `judge` is then called with codecs of
    those without a codebook. Ctrl-C ends it with the best codebook so far, tried or in full.
    """
    source, most = as_source(samples), require_sample(sample)
    require_rotation(rotation)
    how = {"sample": most, "num_threads": num_threads, "progress": progress, "model": model}

    def trained(one: Wanted, rows: Array) -> Codebook:
        return train_wanted(one, rows, source.shape[0], seed, rotation, judge, **how)

    search = Search(method, sizes_of(source.shape[1], method), max_cost)
    some = quick_rows(rows := some_rows(source, most, seed), seed)
    try:
        while wanted := search.wanted():
            for one in wanted:
                search.keep(one, trained(one, some if one.quick else rows))
    except KeyboardInterrupt:
        return interrupted(search), in_order(map(trial_of, search.tried))
    others = [one for name in compared if name != method for one in tries(name, some.shape)]
    beside = _tried(others, trained, judge, some, seed)
    return search.found[-1], in_order([*map(trial_of, search.tried), *beside])


def train(
    method: str,
    samples: ArrayLike | RowSource,
    size: int,
    seed: int,
    rotation: str | None,
    **how: Any,
) -> Codebook:
    """Return the codebook of a method and a size; `rotation` is that of product quantization.

    `how` as in `PQ8Codebook.train`. Raises InvalidInput.
    """
    if method == "rq8":
        return RQ8Codebook.train(samples, size, seed, **how)
    return PQ8Codebook.train(samples, size, seed, rotation, **how)


def train_wanted(
    one: Wanted,
    rows: Array,
    given: int,
    seed: int,
    rotation: str | None,
    judge: Judge | None = None,
    **how: Any,
) -> Codebook:
    """Return the codebook that a search wants, of rows drawn from as many as were given."""
    kind = QUICK[rotation] if one.quick else rotation
    book = train(one.method, rows, one.size, seed, kind, **how)
    return book.with_facts({"samples_given": given, **(judge(book) if judge else {})})


def quick_rows(rows: Float32Array, seed: int) -> Float32Array:
    """Return those of the drawn rows on which sizes are tried."""
    return some_rows(rows, TRIAL_ROWS, seed)


def interrupted(search: Search) -> Codebook:
    """Return the best codebook of a search that Ctrl-C ended, and warn."""
    book = search.best().with_facts({"interrupted": True})
    message = f"interrupted: {book.code_size} bytes are the best of what was tried so far"
    warnings.warn(message, CodebookWarning, stacklevel=3)
    return book


def sizes_of(dim: int, method: str = "pq8") -> list[int]:
    """Return the bytes that a method's codes of a dimension can have, ascending.

    >>> sizes_of(384)
    [8, 16, 24, 32, 48, 64, 96, 128, 192]
    >>> sizes_of(384, "rq8")
    [8, 16, 24]
    """
    if method == "rq8":
        return list(ADDITIVE_SIZES)
    found = [size for size in SUBVECTORS if dim % size == 0]
    if not found:
        expected = f"a multiple of {SUBVECTORS[0]}"
        raise InvalidInput(what="values of an embedding", expected=expected, actual=dim)
    return found


def _tried(
    wanted: Iterable[Wanted],
    trained: Train,
    judge: Judge | None,
    some: Float32Array,
    seed: int,
) -> list[Trial]:
    """Return the trials of methods beside the one sought, as many as there are at Ctrl-C."""
    found: list[Trial] = []
    try:
        for one in wanted:
            if one.method not in TRAINED:
                found += untrained(one.method, some, seed, judge)
                continue
            book = trained(one, some)
            if book.metadata.get("interrupted"):
                return found
            found.append(trial_of(book))
    except KeyboardInterrupt:
        tell_untried()
    return found


def tell_untried() -> None:
    """Warn that Ctrl-C came before all methods were tried."""
    warnings.warn("interrupted: not all methods were tried", CodebookWarning, stacklevel=4)


def tries(method: str, shape: tuple[int, ...]) -> list[Wanted]:
    """Return how a method is tried beside another, on rows of a shape.

    Residual codes are not where so few rows cannot teach them.
    """
    if method not in TRAINED:
        return [Wanted(method, 0, quick=True)]
    if method == "rq8" and shape[0] < ENOUGH_SAMPLES:
        return []
    try:
        return [Wanted(method, size, quick=True) for size in sizes_of(shape[1], method)]
    except InvalidInput:
        return []


def untrained(
    method: str, some: Float32Array, seed: int, judge: Judge | None = None
) -> list[Trial]:
    """Return the trials of a method without codebooks, at each of its sizes."""
    held_out = drawn_from(some, len(some), seed).held_out  # those of the codebooks' training
    return [_untrained(codec, held_out, judge) for codec in _codecs(method, some)]


def _codecs(method: str, rows: Float32Array) -> Iterator[Codec]:
    """Yield the codecs of a method without codebooks, at each of its sizes."""
    kind = codec_class(method)
    sizes: list[dict[str, Any]] = [{"bits": bits} for bits in BITS]
    for settings in sizes if "bits" in kind.row_settings else [{}]:
        yield kind.for_dimension(rows.shape[1], **settings)


def _untrained(codec: Codec, held_out: Float32Array, judge: Judge | None) -> Trial:
    batch = codec.encode_batch(held_out)
    decoded = codec.decode_batch(batch)
    loss = float(cosine_losses(held_out, decoded).mean())
    kept = float(neighbours_kept(held_out, decoded).mean())
    drop = None if judge is None else judge(codec).get("recall10_drop")
    settings = {name: getattr(codec, name) for name in codec.settings}
    return Trial(codec.method.value, batch.nbytes // len(batch), loss, kept, drop, settings)
