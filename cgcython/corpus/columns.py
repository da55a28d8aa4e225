"""One embedder's inputs as arrays; they stand in `cgcython.inputs.columns`."""

from cgcython.inputs.columns import Column as Column
from cgcython.inputs.columns import DenseColumn as DenseColumn
from cgcython.inputs.columns import Embedding as Embedding
from cgcython.inputs.columns import SparseColumn as SparseColumn
from cgcython.inputs.columns import TokenColumn as TokenColumn
from cgcython.inputs.columns import kind_of as kind_of
