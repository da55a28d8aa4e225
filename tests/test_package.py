"""What `import cgcython` offers, and what it costs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cgcython

STUB = Path(cgcython.__file__).with_suffix(".pyi")
SPECIFIED = """
    ModelId QuantizationMethod QuantizedEmbedding SparseVector TokenEmbeddings TokenArray
    Float8E4M3Encoder BinaryEncoder SparseNativeEncoder TokenPruningEncoder PQ8Encoder PQ8Codebook
    QuantizationRouter TokenPruningConfig TokenPruningQuantizer ImportanceScoringMethod
    PrunedEmbeddings TokenAlignment max_sim symmetric_max_sim approximate_max_sim token_alignments
    cosine_similarity Fingerprint FingerprintStore QuantizationError DimensionMismatch
    StorageCorruption CodebookMissing RecallLossExceeded InvalidQuantizedData SparseTooDense
    NonFiniteValue
    MethodMismatch BudgetExceeded
""".split()


@pytest.mark.parametrize("name", SPECIFIED)
def test_specified_names_are_exported(name):
    assert name in cgcython.__all__


@pytest.mark.parametrize("name", cgcython.__all__)
def test_every_exported_name_is_there(name):
    assert getattr(cgcython, name).__module__.startswith("cgcython.")
    assert name in dir(cgcython)


def test_metadata_of_every_method_are_exported():
    kinds = {name for name in vars(cgcython.metadata) if re.fullmatch(r"[A-Z]\w+Metadata", name)}
    assert len(kinds) >= 7
    assert kinds <= set(cgcython.__all__)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        cgcython.nothing  # noqa: B018


def test_type_checkers_see_the_same_names():
    found = re.findall(r"^from ([\w.]+) import (\w+) as \2$", STUB.read_text(), re.M)
    homes = {name: f"cgcython.{module}" for name, module in cgcython._HOME.items()}
    assert {name: module for module, name in found} == homes


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, cgcython; print(any(m in sys.modules for m in ('numpy', 'tomllib')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
