"""Makes of a corpus what is compared: its embedders' codes, made now or taken from a store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from cgcython.base import EmbedderId
from cgcython.codecs.base import Codec, InputKind, codec_class, codec_of
from cgcython.codecs.codebook_base import Codebook
from cgcython.corpus.corpus import Corpus
from cgcython.errors import UsageError
from cgcython.evaluation.comparison import Judged, compare
from cgcython.evaluation.contenders import Contender
from cgcython.evaluation.ranking import Embedding
from cgcython.evaluation.representations import Codes, Stored
from cgcython.metadata import codebook_id_of
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter
from cgcython.store import RecordStore
from cgcython.store.ids import id_of
from cgcython.token_array import TokenArray
from cgcython.types import Int64Array


def contenders(
    corpus: Corpus,
    router: QuantizationRouter,
    *,
    step: int = 0,
    metric: str = "cosine",
    store: RecordStore | None = None,
) -> list[Contender]:
    """Return a Contender for each embedder of a corpus, with the codes that a router makes of it.

    They are in the layouts of a step of the ladder. With a store its records take their place.
    Raises UsageError for an embedder without embeddings, and later for a memory that the store
    does not have.
    """
    how: Any = {"step": step, "metric": metric, "store": store}
    return [contender(corpus, model_id, router, **how) for model_id in corpus]


def contender(
    corpus: Corpus,
    model_id: EmbedderId,
    router: QuantizationRouter,
    *,
    step: int = 0,
    metric: str = "cosine",
    store: RecordStore | None = None,
) -> Contender:
    """Return the Contender of one embedder, as `contenders` does."""
    column = corpus[model_id]
    if not len(column.embeddings):
        raise UsageError(f"{model_id.short} has no embeddings to evaluate")
    memories = column.memories(0, len(column.embeddings))
    codec = router.codec(model_id, step)
    coded = Codes(codec)
    if store is not None:
        coded = Stored(codec, router, _fetch(store, corpus, model_id, memories))
    return Contender(model_id, column.embeddings, memories, coded, metric)


def _fetch(
    store: RecordStore, corpus: Corpus, model_id: EmbedderId, memories: Int64Array
) -> Callable[[int, int], list[QuantizedEmbedding]]:
    """Return the function that reads a block of an embedder's records; each must be there.

    It makes the codebooks of their codes, of whatever generation, known to the store's router.
    """
    ids = corpus.ids.as_known(store)

    def fetch(first: int, count: int) -> list[QuantizedEmbedding]:
        wanted = memories[first : first + count].tolist()
        keys = [key for memory in wanted for key in ids[memory : memory + 1]]
        found = []
        for memory, one in zip(wanted, store.quantized_many(map(id_of, keys), model_id)):
            if one is None:
                raise UsageError(f"memory {memory} of the corpus is not in {store.place}")
            found.append(one)
        for codebook_id in {codebook_id_of(one.metadata) for one in found}:
            if codebook_id is not None:
                store.router.codebooks.add(store.codebook(codebook_id))
        return found

    return fetch


def codebook_judge(
    corpus: Corpus,
    model_id: EmbedderId,
    queries: Sequence[Mapping[EmbedderId, Embedding]],
    relevant: Sequence[Judged],
    num_threads: int = 1,
) -> Callable[[Codebook | Codec], dict[str, Any]]:
    """Return a function from a codebook or codec to facts: what retrieval loses on judged queries.

    It raises UsageError where no query is judged.
    """
    column = corpus[model_id]
    memories = column.memories(0, len(column.embeddings))

    def facts(codebook: Codebook | Codec) -> dict[str, Any]:
        coded = Codes(codebook if isinstance(codebook, Codec) else codec_of(codebook))
        one = Contender(model_id, column.embeddings, memories, coded)
        (row,) = compare([one], queries, relevant, num_threads)
        if row.recall10 is None or row.ndcg10 is None:
            raise UsageError("the judgements judge no query")
        changes = {"ndcg10": asdict(row.ndcg10), "recall10": asdict(row.recall10)}
        return {"judged": changes, "recall10_drop": row.recall10.drop}

    return facts


def tokens_of(corpus: Corpus) -> TokenArray:
    """Return the tokens of each memory, none where it has none; raises UsageError without any."""
    kinds = {one: codec_class(corpus.profile[one].method).inputs for one in corpus}
    model_id = next((one for one in corpus if kinds[one] is InputKind.TOKENS), None)
    if model_id is None or not len(corpus[model_id].embeddings):
        raise UsageError("there are no tokens; name them as E12=FILE:values,offsets")
    column, dim = corpus[model_id], corpus.profile[model_id].dimension
    texts = column.embeddings.batch(0, len(column.embeddings))
    placed = [np.empty((0, dim), np.float32)] * corpus.num_memories
    for memory, text in zip(column.memories(0, len(texts)).tolist(), texts):
        placed[memory] = text
    return TokenArray.from_list(placed)
