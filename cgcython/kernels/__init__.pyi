"""The families of kernels, bound to the level that runs."""

from cgcython.kernels import adc as adc
from cgcython.kernels import bits as bits
from cgcython.kernels import coverage as coverage
from cgcython.kernels import dense as dense
from cgcython.kernels import dispatch as dispatch
from cgcython.kernels import e4m3 as e4m3
from cgcython.kernels import e4m3_best as e4m3_best
from cgcython.kernels import eigen as eigen
from cgcython.kernels import kmeans as kmeans
from cgcython.kernels import limits as limits
from cgcython.kernels import maxsim as maxsim
from cgcython.kernels import maxsim_bf16 as maxsim_bf16
from cgcython.kernels import maxsim_codes as maxsim_codes
from cgcython.kernels import maxsim_integers as maxsim_integers
from cgcython.kernels import maxsim_pq as maxsim_pq
from cgcython.kernels import maxsim_screen as maxsim_screen
from cgcython.kernels import postings as postings
from cgcython.kernels import pq as pq
from cgcython.kernels import residual as residual
from cgcython.kernels import scalars as scalars
from cgcython.kernels import sections as sections
from cgcython.kernels import sign_blocks as sign_blocks
from cgcython.kernels import sparse as sparse
from cgcython.kernels import sparse_products as sparse_products
from cgcython.kernels import token_cells as token_cells
from cgcython.kernels import token_records as token_records
from cgcython.kernels import tokens as tokens

level: str
