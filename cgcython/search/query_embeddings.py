"""The embeddings of queries: as they were given, and as a record would hold them."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from cgcython.base import EmbedderId
from cgcython.errors import QuantizationError
from cgcython.fingerprint import Fingerprint
from cgcython.router import QuantizationRouter
from cgcython.search.arguments import Query, Request
from cgcython.search.many import numbered
from cgcython.search.scan import Embedding

Embeddings: TypeAlias = Mapping[EmbedderId, tuple[Embedding, Embedding]]  # as given, as stored


def embeddings_of(request: Request, router: QuantizationRouter) -> Embeddings:
    """Return the embeddings of the query of a request, which a router encodes."""
    given = {one: request.query[one] for one in request.embedders}
    stored = router.dequantize_fingerprint(router.quantize_fingerprint(given))
    return {one: (given[one], stored[one]) for one in given}


def all_queries(first: Request, rows: Sequence[Query]) -> list[Fingerprint]:
    """Return each of many queries, of which `first` is the request of the first."""
    queries = [first.query]
    for number, row in enumerate(rows[1:], 1):
        with numbered(number):
            queries.append(Fingerprint.of(row))
    return queries


def all_embeddings_of(
    request: Request, queries: Sequence[Query], router: QuantizationRouter
) -> list[Embeddings]:
    """Return those of each of many queries, encoded together; an error has the query's number."""
    every = [{one: query[one] for one in request.embedders} for query in queries]
    try:
        encoded = router.quantize_fingerprints(every, request.num_threads)
    except QuantizationError:
        for number, query in enumerate(every):
            with numbered(number):
                router.quantize_fingerprint(query)
        raise
    stored = router.dequantize_fingerprints(encoded)
    pairs = zip(every, stored)
    return [{key: (one, like[key]) for key, one in given.items()} for given, like in pairs]
