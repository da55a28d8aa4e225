"""Reads the two sides of a comparison; errors tell which of them is wrong."""

from cgcython import kernels
from cgcython.arrays import as_tokens
from cgcython.errors import QuantizationError
from cgcython.types import Float32Array, TokensLike


def query_tokens(tokens: TokensLike) -> Float32Array:
    """Return the token matrix of a query; errors have the note `(the query)`."""
    return _tokens(tokens, "query")


def document_tokens(tokens: TokensLike) -> Float32Array:
    """Return the token matrix of a document; errors have the note `(the document)`."""
    return _tokens(tokens, "document")


def _tokens(tokens: TokensLike, side: str) -> Float32Array:
    plain = kernels.maxsim.matrix_of(tokens)  # None where it is no list of plain rows
    try:
        return as_tokens(tokens if plain is None else plain)
    except QuantizationError as error:
        error.add_note(f"(the {side})")
        raise
