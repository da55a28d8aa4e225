"""How alike two embeddings are: cosines, and late interaction (MaxSim) between tokens."""

from cgcython.similarity.alignment import TokenAlignment as TokenAlignment
from cgcython.similarity.alignment import token_alignments as token_alignments
from cgcython.similarity.batch import max_sim_batch as max_sim_batch
from cgcython.similarity.pairs import approximate_max_sim as approximate_max_sim
from cgcython.similarity.pairs import cosine_similarity as cosine_similarity
from cgcython.similarity.pairs import max_sim as max_sim
from cgcython.similarity.pairs import symmetric_max_sim as symmetric_max_sim
from cgcython.similarity.query import PreparedQuery as PreparedQuery
from cgcython.similarity.token_cells import TokenCells as TokenCells
from cgcython.similarity.top import top_k as top_k
