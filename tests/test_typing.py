"""A type checker tells wrong calls from right ones, before they run."""

from pathlib import Path

import pytest

import cgcython

api = pytest.importorskip("mypy.api")
pytestmark = pytest.mark.slow
CALLS = """
from uuid import UUID

import numpy as np

from cgcython import FingerprintStore, Hit, ModelId


def search(store: FingerprintStore, ids: list[UUID]) -> list[Hit]:
    store.search({})
    store.search({"E9": [1.0, -1.0]}, k=5, embedders="E9", weights={"E9": 2})
    store.search({ModelId.HDC: np.zeros(4)}, 5, ["E9", ModelId.GRAPH], among=ids, rerank=11)
    store.search({}, k="ten")  # wrong
    store.search([1.0, 2.0])  # wrong
    store.search({}, among=UUID(int=1))  # wrong
    store.search({}, weights=[1.0])  # wrong
    store.search({}, metrics="dot")  # wrong
    hit: Hit = store.search({})  # wrong
    return store.search({}, approximate=200, num_threads=2)
"""


def test_the_wrong_calls_and_no_others_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(Path(cgcython.__file__).parents[1]))
    source = tmp_path / "calls.py"
    source.write_text(CALLS)
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={tmp_path}", "--config-file="]
    report, problems, _ = api.run([*options, str(source)])
    found = {int(line.split(":")[1]) for line in report.splitlines() if ": error:" in line}
    lines = CALLS.splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert (found, problems) == (wrong, ""), report
