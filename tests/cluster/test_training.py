"""Codebooks that workers train are those of one process, to the byte."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from cgcython.cli import main
from cgcython.cluster.training import train_all
from cgcython.cluster.training_tasks import TrainingJob, train_here

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::cgcython.CodebookWarning"),
]
PROFILE = """
E1 = { dimension = 16, method = "pq8" }
E4 = { dimension = 48, method = "pq8" }
E7 = { dimension = 16, method = "pq8", bytes = 8 }
"""
ALL = "train", "E1,E4,E7", "--input", "train.npz", "--profile", "profile.toml", "--force"


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("profile.toml").write_text(PROFILE)
    rng = np.random.default_rng(5)
    rows = {name: rng.standard_normal((300, dim)) for name, dim in (("E1", 16), ("E4", 48))}
    few = np.repeat(rng.standard_normal((4, 16)), 75, axis=0)
    np.savez("train.npz", **rows, E7=few + 0.01 * rng.standard_normal((300, 16)))


def trained(capsys, models, *words):
    """Return what `train` prints, without places, and the bytes of the codebooks that it wrote."""
    code = main([*ALL, "--models", models, *words])
    out, err = capsys.readouterr()
    books = {path.name: path.read_bytes() for path in Path(models).rglob("*.safetensors")}
    told = [line for line in err.splitlines() if not line.startswith("dashboard")]
    return code, out.replace(models, "models"), sorted(told), books


@pytest.mark.parametrize(
    "words", [("--sample", "280", "--rotation", "pca"), ("--json", "--rotation", "none")]
)
def test_workers_write_and_print_what_one_process_does(files, address, capsys, words):
    here = trained(capsys, "here", *words)
    assert (here[0], len(here[3])) == (0, 3)
    assert trained(capsys, "there", *words, "--scheduler", address) == here


def test_threads_write_the_same_codebooks(files, capsys):
    sizes = "--rotation", "none"
    here = trained(capsys, "here", *sizes)
    there = trained(capsys, "there", *sizes, "--scheduler", "threads", "--workers", "2")
    assert (there[0], there[1], there[3]) == (here[0], here[1], here[3])


def test_judged_queries_measure_on_workers(files, address, capsys):
    rows = np.load("train.npz")["E1"]
    np.save("docs.npy", rows[:200])
    np.save("queries.npy", rows[:20])
    np.save("qrels.npy", [[row, row, 1] for row in range(20)])
    judged = "--judged", "E1=docs.npy", "--queries", "E1=queries.npy", "--qrels", "qrels.npy"
    found = []
    for where in ((), ("--scheduler", address)):
        words = "train", "E1", "--input", "train.npz", *ALL[4:], "--models", "models"
        assert main([*words, *judged, "--rotation", "none", "--json", *where]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert found[0]["recall10_drop"] is not None


def test_an_embedder_that_is_refused_costs_no_other(files, address, capsys):
    words = *ALL[:-1], "--rotation", "none", "--bytes", "8", "--models", "models"
    assert main([*words, "--scheduler", address]) == 1
    assert "embedder E4: [EMB-E012]" in capsys.readouterr().err
    written = {path.name.split("_")[0] for path in Path("models").rglob("*.safetensors")}
    assert written == {"Semantic", "Code"}


def test_the_training_of_a_worker_that_is_killed_goes_to_another(files, processes):
    rows = f"E1={Path('train.npz').absolute()}"
    job = TrainingJob("E1", rows, PROFILE, "pq8", rotation=None)
    killed = []

    def kill_one(done, total):
        if done == 1 and not killed:
            killed.append(processes.pids()[0])
            os.kill(killed[0], signal.SIGKILL)

    ((book, trials),) = train_all([job], [0.05], processes.run, kill_one)
    expected = train_here(job, 0.05)
    assert (book.to_bytes(), trials) == (expected[0].to_bytes(), expected[1])
    assert killed
