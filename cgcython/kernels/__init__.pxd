"""The pointer-and-length functions of every family, for `from cgcython.kernels cimport ...`.

They follow the level that is bound when the importing module loads.
"""
from cgcython.kernels.adc cimport *
from cgcython.kernels.bits cimport *
from cgcython.kernels.coverage cimport *
from cgcython.kernels.dense cimport *
from cgcython.kernels.e4m3 cimport *
from cgcython.kernels.e4m3_best cimport *
from cgcython.kernels.kmeans cimport *
from cgcython.kernels.maxsim cimport *
from cgcython.kernels.maxsim_bf16 cimport *
from cgcython.kernels.maxsim_codes cimport *
from cgcython.kernels.maxsim_integers cimport *
from cgcython.kernels.maxsim_pq cimport *
from cgcython.kernels.maxsim_screen cimport *
from cgcython.kernels.pq cimport *
from cgcython.kernels.residual cimport *
from cgcython.kernels.scalars cimport *
from cgcython.kernels.sign_blocks cimport *
from cgcython.kernels.sparse cimport *
from cgcython.kernels.sparse_products cimport *
from cgcython.kernels.token_cells cimport *
from cgcython.kernels.token_records cimport *
from cgcython.kernels.tokens cimport *
