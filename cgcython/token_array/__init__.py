"""Tokens of many documents, at every precision: built, viewed, quantized, saved."""

from cgcython.token_array.array import TokenArray as TokenArray
from cgcython.token_array.precisions import PRECISIONS as PRECISIONS
