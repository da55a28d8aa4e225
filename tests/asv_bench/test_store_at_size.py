"""The run at size makes the same records again, finds what is wrong and refuses a small disk."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from cgcython import PQ8Codebook
from cgcython.base import Profile, QuantizationMethod
from cgcython.codecs.codebook_file import codebook_path
from cgcython.store import RecordStore

FOLDER = Path(__file__).parents[2] / "asv_bench"
BATCH = 32


@pytest.fixture
def modules(monkeypatch):
    """Return the three modules, with small batches; they import each other by plain names."""
    monkeypatch.syspath_prepend(FOLDER)
    names = "realistic", "store_phases", "store_at_size"
    loaded = [importlib.import_module(name) for name in names]
    for module in loaded:
        monkeypatch.setattr(module, "BATCH", BATCH)
    yield loaded
    for name in names:
        del sys.modules[name]


@pytest.fixture
def source(modules, data):
    return modules[0].Realistic(data)


@pytest.fixture
def given(tmp_path):
    """Return the facts of a phase, beside codebooks that need no training."""
    for row in Profile.named().values():
        if row.method is QuantizationMethod.PQ8:
            rng = np.random.default_rng(row.model_id)
            book = PQ8Codebook(rng.standard_normal((8, 256, row.dimension // 8)) / 32)
            book.save(codebook_path(tmp_path / "models", row.model_id.title), force=True)
    facts = {"pq_bytes": 8, "threads": 1, "embedders": ["E1", "E8", "E9"]}
    return {"path": str(tmp_path / "store"), "records": 2 * BATCH, **facts}


@pytest.mark.real
def test_a_batch_can_be_made_again_and_differs_from_others(source):
    first, again, other = (source.fingerprints(number) for number in (3, 3, 4))
    assert first == again
    assert first[0] != other[0]
    assert source.ids(3) == source.ids(3) != source.ids(4)
    assert len(first[0]) == 13


@pytest.mark.real
def test_sparse_vectors_are_as_dense_as_asked(source):
    for sparse, least, most in (("5%", 1400, 1526), ("bm25", 20, 400)):
        source.sparse = sparse
        nnz = [one["E6"].nnz for one in source.fingerprints(0)]
        assert least <= min(nnz)
        assert max(nnz) <= most
        indices = source.fingerprints(0)[0]["E13"].indices
        assert np.all(np.diff(indices.astype(int)) > 0)


@pytest.mark.real
def test_it_writes_measures_and_goes_on(modules, source, given):
    _, phases, _ = modules
    assert phases.write(source, given)["added"] == 2 * BATCH
    found = phases.measure(source, given)
    assert found["wrong"] == 0
    assert 10_000 < found["record_bytes"] < 14_000
    assert phases.write(source, {**given, "records": 3 * BATCH})["added"] == BATCH
    with pytest.raises(SystemExit, match="holds more"):
        phases.write(source, given)


@pytest.mark.real
def test_a_record_that_changed_is_wrong(modules, source, given):
    _, phases, _ = modules
    phases.write(source, given)
    with RecordStore.open(given["path"]) as store:
        store.store(source.ids(0)[0], source.fingerprints(1)[0])
    assert phases.measure(source, given)["wrong"] > 0


def test_a_disk_too_small_is_refused_before_any_work(modules, tmp_path):
    with pytest.raises(SystemExit, match="GiB more in"):
        modules[2].main(["--records", str(10**12), "--path", str(tmp_path), "--data", "x"])


def test_the_table_has_a_column_for_each_size_and_for_its_growth(modules, capsys):
    at_size = modules[2]
    percentiles = {"p50_s": 1e-3, "p99_s": 2e-3}
    names = "get_one get_record get_record_cold search_1 search_2".split()
    figures = "record_bytes disk_bytes open_cold_s open_warm_s columns_s mapped_s".split()
    figures += ["iterate_per_s", "verify_per_s"]
    one = dict.fromkeys(names, percentiles) | dict.fromkeys(figures, 2.0)
    one |= {f"{name}_rss_bytes": 1e6 for name in ("write", "read", "search")} | {"wrong": 0}
    one |= {"added": 10, "seconds": {"encode": 1.0, "write": 2.0}}
    args = at_size._parser().parse_args(["--path", "x"])
    at_size._print([{**one, "records": 10}, {**one, "records": 100, "columns_s": 8.0}], args)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["records", "10", "100", "x", "10"]
    assert next(one for one in lines if one.startswith("columns")).split()[-1] == "4.00"
