"""The frozen values that travel between layers: embeddings, one by one and as columns."""

from cgcython.records.batch import QuantizedBatch as QuantizedBatch
from cgcython.records.embeddings import QuantizedEmbedding as QuantizedEmbedding
from cgcython.records.embeddings import SparseVector as SparseVector
from cgcython.records.embeddings import TokenEmbeddings as TokenEmbeddings
from cgcython.records.embeddings import as_bytes as as_bytes
from cgcython.records.stored import stored_batch as stored_batch
