"""Reads the judgements that arguments name."""

from cgcython.corpus.named_array import named_array
from cgcython.evaluation.metrics import judgements


def read_judgements(
    text: str | None, num_queries: int, num_memories: int
) -> list[dict[int, int]] | None:
    """Return `{memory: gain}` for each query from `FILE[:ARRAY]`, None where none is named."""
    if text is None:
        return None
    return judgements(named_array(text), num_queries, num_memories)
