"""Chooses how many bytes an embedding gets: the fewest that cost no more than a limit.

Every size of a method is tried with a quick codebook on some of the samples; the chosen one is then
trained in full. The cost of a size is the loss of samples held out or, where a judge is at hand,
the drop of Recall@10 against human judgements. Other methods are tried beside it on request.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from cgcython.checks import require_real
from cgcython.codecs.base import Codec, codec_class
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.measures import cosine_losses, neighbours_kept
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.codecs.residual_training import SIZES as ADDITIVE_SIZES
from cgcython.codecs.row_settings import BITS
from cgcython.codecs.samples import as_source, some_rows
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


class Trial(NamedTuple):
    """What a method costs at one size, tried quickly: the bytes of an embedding, and fractions.

    `settings` are those of a profile's row of this method and size.
    """

    method: str
    code_size: int  # a scale of each embedding among them
    held_out_loss: float
    held_out_recall10: float
    recall10_drop: float | None = None
    settings: Mapping[str, Any] = {}

    @property
    def cost(self) -> float:
        """The drop of Recall@10 where it was judged, else the loss."""
        return self.held_out_loss if self.recall10_drop is None else self.recall10_drop


Judge: TypeAlias = Callable[[Any], Mapping[str, Any]]  # of a codebook, or of a codec without one
Train: TypeAlias = Callable[[str, Array, int, str | None], Codebook]


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
    shared = {"sample": most, "num_threads": num_threads, "progress": progress, "model": model}

    def trained(method: str, rows: Array, size: int, rotation: str | None) -> Codebook:
        book = train(method, rows, size, seed, rotation, **shared)
        return book.with_facts({"samples_given": source.shape[0], **(judge(book) if judge else {})})

    limit, rows = require_real(max_cost, "max_cost", 0), some_rows(source, most, seed)
    search = _Search(method, source.shape[1], limit, trained)
    some = some_rows(rows, TRIAL_ROWS, seed)
    try:
        search.run(rows, some, rotation)
    except KeyboardInterrupt:
        return _interrupted(search), _in_order(map(_trial, search.tried))
    others = [one for one in compared if one != method]
    beside = _others(others, trained, judge, some, seed, QUICK[rotation])
    return search.found[-1], _in_order([*map(_trial, search.tried), *beside])


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


def _interrupted(search: "_Search") -> Codebook:
    """Return the best codebook of a search that Ctrl-C ended, and warn."""
    book = search.best().with_facts({"interrupted": True})
    message = f"interrupted: {book.code_size} bytes are the best of what was tried so far"
    warnings.warn(message, CodebookWarning, stacklevel=3)
    return book


class _Search:
    """The codebooks tried quickly, and those trained in full."""

    def __init__(self, method: str, dim: int, max_cost: float, trained: Train) -> None:
        self.method, self.sizes = method, sizes_of(dim, method)
        self.max_cost, self.trained = max_cost, trained
        self.tried: list[Codebook] = []
        self.found: list[Codebook] = []

    def run(self, rows: Float32Array, some: Float32Array, rotation: str | None) -> None:
        """Try all sizes, then train the smallest that fits; raises KeyboardInterrupt."""
        for size in self.sizes:
            self._keep(self.tried, self.trained(self.method, some, size, QUICK[rotation]))
        fitting = [book.code_size for book in self.tried if self._fits(book)]
        first = fitting[0] if fitting else self.sizes[-1]
        for size in self.sizes[self.sizes.index(first) :]:
            self._keep(self.found, self.trained(self.method, rows, size, rotation))
            if self._fits(self.found[-1]):
                break

    def _keep(self, books: list[Codebook], book: Codebook) -> None:
        books.append(book)
        if book.metadata.get("interrupted"):
            raise KeyboardInterrupt

    def _fits(self, book: Codebook) -> bool:
        return _cost_of(book) <= self.max_cost

    def best(self) -> Codebook:
        """Return the smallest codebook that fits, or the one that costs least.

        Raises KeyboardInterrupt where there is none.
        """
        books = self.found + self.tried
        if not books:
            raise KeyboardInterrupt
        fitting = [book for book in books if self._fits(book)]
        if fitting:
            return min(fitting, key=lambda book: (book.code_size, _cost_of(book)))
        return min(books, key=_cost_of)


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


def _others(
    methods: Iterable[str],
    trained: Train,
    judge: Judge | None,
    some: Float32Array,
    seed: int,
    rotation: str | None,
) -> list[Trial]:
    """Return the trials of methods at all their sizes, as many as there are when Ctrl-C comes."""
    found: list[Trial] = []
    held_out = drawn_from(some, len(some), seed).held_out  # those of the codebooks' training
    try:
        for method in methods:
            if method not in TRAINED:
                found += [_untrained(one, held_out, judge) for one in _codecs(method, some)]
                continue
            for size in _possible_sizes(some, method):
                book = trained(method, some, size, rotation)
                if book.metadata.get("interrupted"):
                    return found
                found.append(_trial(book))
    except KeyboardInterrupt:
        warnings.warn("interrupted: not all methods were tried", CodebookWarning, stacklevel=3)
    return found


def _possible_sizes(rows: Float32Array, method: str) -> list[int]:
    """Return the sizes to try: none of residual codes where so few rows cannot teach them."""
    if method == "rq8" and len(rows) < ENOUGH_SAMPLES:
        return []
    try:
        return sizes_of(rows.shape[1], method)
    except InvalidInput:
        return []


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


def _cost_of(book: Codebook) -> float:
    return math.inf if book.cost is None else book.cost


def _trial(book: Codebook) -> Trial:
    facts, size = book.metadata, book.code_size
    costs = facts["held_out_loss"], facts["held_out_recall10"], facts.get("recall10_drop")
    return Trial(book.method.value, size, *costs, {"bytes": size})


def _in_order(trials: Iterable[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda one: (one.code_size, one.cost))
