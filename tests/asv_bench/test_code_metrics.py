"""The comparison of metrics prints a line for each size, and keeps the codebooks it trained."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "asv_bench" / "code_metrics.py"
SPEC = importlib.util.spec_from_file_location("code_metrics", PATH)
code_metrics = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(code_metrics)


@pytest.mark.filterwarnings("ignore::cgcython.CodebookWarning")
def test_it_compares_what_either_metric_finds(tmp_path, capsys):
    rng = np.random.default_rng(0)
    samples, rows, queries = (
        rng.standard_normal((n, 16)).astype(np.float16) for n in (300, 200, 5)
    )
    np.savez(tmp_path / "train.npz", t384=samples)
    np.savez(tmp_path / "pooled_cranfield.npz", docs384=rows, queries384=queries)
    arguments = [str(tmp_path), "--books", str(tmp_path / "books"), "--sizes", "8"]
    for _ in range(2):
        assert code_metrics.main([*arguments, "--rows", "500"]) == 0
        heading, line = capsys.readouterr().out.splitlines()
        assert heading.startswith("bytes     l2  cosine    gain [interval]")
        assert line.startswith("    8  0.")
    assert (tmp_path / "books" / "pq8.safetensors").is_file()
