"""The timing of the screen on real tokens compares every result before it speaks of speed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "asv_bench" / "screen.py"
SPEC = importlib.util.spec_from_file_location("screen", PATH)
screen = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(screen)


@pytest.fixture
def tokens(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "tokens.npz"
    rows, offsets = rng.standard_normal((300, 16), dtype=np.float32), np.arange(0, 301, 20)
    np.savez(path, doc_tok=rows, doc_off=offsets, q_tok=rows[:30], q_off=[0, 10, 30])
    return path


def test_it_says_how_fast_the_same_bits_are_found(tokens, capsys):
    assert screen.main([str(tokens)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 queries of 15 tokens, TokenArray(documents=15, tokens=300")
    assert out.endswith("the same bits\n")


def test_other_bits_are_an_error(tokens, monkeypatch, capsys):
    monkeypatch.setattr(screen, "same", lambda *_: False)
    assert screen.main([str(tokens)]) == 1
    assert capsys.readouterr().out.endswith("RESULTS DIFFER\n")
