"""Documents ranked in parts, on any workers, give the figures of one process."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from cgcython import QuantizationRouter, RecordStore, StoreWriter, open_corpus
from cgcython.base import Profile
from cgcython.errors import NonFiniteValue, UsageError
from cgcython.evaluation import ranking
from cgcython.evaluation.comparison import compare
from cgcython.evaluation.corpora import contenders
from cgcython.evaluation.eval_jobs import EvalJob, compare_by, plan_of

ROWS, QUERIES = 120, 7
JUDGED = [{one: 1, one + 5: 2} for one in range(QUERIES)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(ranking, "MOST_ROWS", 16)


@pytest.fixture
def files(tmp_path):
    """Return a corpus with equal rows, so that scores tie, and queries of some embedders."""
    rng = np.random.default_rng(3)
    tokens = rng.integers(1, 4, ROWS // 2)
    rows = np.tile(rng.standard_normal((ROWS // 3, 1024), dtype=np.float32), (3, 1))
    arrays = {
        "E9": rows,
        "E2": rng.standard_normal((ROWS, 512), dtype=np.float32),
        "E12.values": rng.standard_normal((tokens.sum(), 128), dtype=np.float32),
        "E12.offsets": np.cumsum([0, *tokens]),
        "E12.rows": np.arange(0, ROWS, 2),
    }
    np.savez(tmp_path / "corpus.npz", **arrays)
    asked = {
        "E9": rows[:QUERIES] + 0.1,
        "E2.values": arrays["E2"][:3],
        "E2.rows": np.arange(3),
        "E12.values": arrays["E12.values"][:QUERIES],
        "E12.offsets": np.arange(QUERIES + 1),
    }
    np.savez(tmp_path / "queries.npz", **asked)
    return str(tmp_path / "corpus.npz"), str(tmp_path / "queries.npz")


@pytest.fixture
def queries(files):
    return open_corpus(files[1])


@pytest.fixture
def job(files, queries):
    return EvalJob((files[0],), (files[1],), profile=Profile.named(None).to_toml())


def backwards(function, parts):
    """Do the last part first, each by itself as it travels."""
    for part in reversed(parts):
        travelled = pickle.loads(pickle.dumps((function, part)))
        yield part, pickle.loads(pickle.dumps(travelled[0](travelled[1])))


def figures(rows):
    return [replace(row, encode_us=None) for row in rows]


def compared_by(job, **options):
    return figures(compare_by(backwards, job, plan_of(job, 2), JUDGED, **options))


def test_parts_give_the_figures_of_one_process(job, files, queries):
    corpus, heard = open_corpus(files[0]), []
    asked = queries.fingerprints(0, QUERIES)
    whole = figures(compare(contenders(corpus, QuantizationRouter()), asked, JUDGED))
    assert compared_by(job, progress=heard.append) == whole
    assert [row.embedder for row in whole] == ["E2", "E9", "E12", "fused"]
    plan = plan_of(job, 2)
    assert len(plan.parts) == len(heard) > 6
    assert (plan.queries, plan.memories) == (QUERIES, ROWS)
    assert sum(heard) == ROWS * 2 + ROWS // 2


def test_records_of_a_store_are_ranked_in_parts_too(job, files, tmp_path):
    with StoreWriter(tmp_path / "store") as writer:
        writer.write_all(open_corpus(files[0]))
    stored = replace(job, store=str(tmp_path / "store"))
    assert compared_by(stored) == compared_by(job)


def test_a_memory_that_the_store_does_not_have_is_named(job, files, tmp_path):
    with StoreWriter(tmp_path / "store") as writer:
        writer.write_all(open_corpus(files[0]))
    with RecordStore.open(tmp_path / "store") as store:
        store.delete(100)
    with pytest.raises(UsageError, match="memory 100 of the corpus is not in"):
        compared_by(replace(job, store=str(tmp_path / "store")))


def test_the_error_of_a_part_names_its_memory_and_ends_the_comparison(job, files):
    arrays = dict(np.load(files[0]))
    arrays["E9"][77] = np.nan
    np.savez(files[0], **arrays)

    def run(function, parts):
        for part in parts:
            try:
                yield part, function(part)
            except NonFiniteValue as error:
                yield part, error

    with pytest.raises(NonFiniteValue) as raised:
        compare_by(run, job, plan_of(job), JUDGED)
    assert raised.value.__notes__ == ["(memory 77 of E9)"]


def test_a_job_shows_no_place(job):
    secret = replace(job, store="postgresql://me:secret@host/db", inputs=("s3://a:secret@b/c.npy",))
    assert "secret" not in repr(secret)
