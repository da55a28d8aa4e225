"""Hot loops keep the width of their level.

Vector types never show in a compiler's report, so the disassembly is read: each function below must
hold instructions on whole vectors, about half as many as it has today. One that fell back to
scalars, or to half vectors, has close to none.
"""

import re
import shutil
import subprocess
from functools import cache

import pytest

from cgcython.kernels import dispatch

REGISTERS = {"v3": "%ymm", "v4": "%zmm", "v4n": "%zmm", "v4x": "%zmm"}
LEVELS = [level for level in dispatch.available() if level in REGISTERS]
# Without wide permutations there is no screen of codes, and sums of table entries are scalar.
SCALAR = {("v3", "adc")}
HOT = [
    ("e4m3", "e4m3_encode", 40),
    ("e4m3", "encode_times", 20),
    ("e4m3", "decode_times", 4),
    ("e4m3", "scan_scan_rows", 110),
    ("e4m3", "inverse_norms", 40),
    ("bits", "bits_pack", 20),
    ("bits", "bits_unpack", 30),
    ("bits", "bits_hamming_rows", 8),
    ("pq", "pq_encode_subvector", 140),
    ("pq", "cg_pq_multiply", 50),
    ("adc", "adc_topk", 40),
    ("kmeans", "accumulate", 10),
    ("residual", "cg_pq_multiply_rows_rounded", 40),
    ("residual", "residual_search", 20),
    ("sparse", "sparse_read", 25),
    ("coverage", "coverage_coverage_cover", 40),
    ("coverage", "cg_cosines", 50),
    ("coverage", "cg_lower", 5),
    ("tokens", "entropies_of", 60),
    ("tokens", "tokens_score", 8),
    ("token_records", "cg_turn_block", 85),
    ("token_records", "encode_turned", 110),
    ("maxsim", "cg_finish", 50),
    ("maxsim", "copy_tile", 45),
    ("maxsim_bf16", "cg_finish_half_pairs", 90),
    ("maxsim_integers", "integers_score", 500),
    ("maxsim_screen", "finish_pairs", 16),
    ("maxsim_codes", "best_of_codes", 230),
    ("token_cells", "token_cells_nearest", 150),
    ("dense", "product_block", 120),
    ("dense", "dense_cosine", 12),
]

pytestmark = [
    pytest.mark.slow,  # the figures are those of one compiler, so only CI asks
    pytest.mark.skipif(not shutil.which("objdump"), reason="needs objdump"),
]


@cache
def functions(family, level):
    """Return `{symbol: disassembly}` of a compiled module."""
    path = dispatch.load(family, level).__file__
    command = ["objdump", "-d", "--no-show-raw-insn", path]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts = re.split(r"^[0-9a-f]+ <(.+)>:$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def whole_vectors(family, level, name):
    """Return the most lines on whole vectors in any function whose symbol holds the name."""
    found = [text for symbol, text in functions(family, level).items() if name in symbol]
    return max((len(re.findall(f"{REGISTERS[level]}.*", text)) for text in found), default=0)


@pytest.mark.parametrize(("family", "name", "least"), HOT, ids=lambda value: str(value))
@pytest.mark.parametrize("level", LEVELS)
def test_hot_loops_keep_their_width(family, name, least, level):
    if (level, family) in SCALAR:
        pytest.skip("scalar at this level")
    assert whole_vectors(family, level, name) >= least


@pytest.mark.parametrize("level", LEVELS)
def test_scalar_code_would_be_noticed(level):
    assert whole_vectors("sparse", level, "sparse_size") == 0
