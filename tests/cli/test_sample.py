"""The sample the repository ships: small, real, and cut from the data as its script says."""

import subprocess
import sys
from pathlib import Path

import numpy as np

SAMPLE = Path(__file__).parents[2] / "examples" / "cranfield"


def load(path):
    found = np.load(path)
    return dict(found) if path.suffix == ".npz" else {"": found}


def test_it_takes_less_than_three_megabytes():
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 3_000_000


def test_no_training_vector_is_encoded():
    train, memories = load(SAMPLE / "train.npz")["E1"], load(SAMPLE / "memories.npz")["E1"]
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in memories}


def test_judgements_name_queries_and_memories_of_the_sample():
    qrels = load(SAMPLE / "qrels.npy")[""]
    queries, memories = (len(load(SAMPLE / f"{n}.npz")["E1"]) for n in ("queries", "memories"))
    assert set(qrels[:, 0]) == set(range(queries))
    assert qrels[:, 1].max() < memories
    assert qrels[:, 2].min() > 0


def test_the_script_cuts_the_same_sample(data, tmp_path):
    script = SAMPLE / "make_sample.py"
    subprocess.run([sys.executable, script, data, tmp_path], check=True)
    for path in sorted(tmp_path.iterdir()):
        expected, actual = load(SAMPLE / path.name), load(path)
        assert expected.keys() == actual.keys()
        for name, array in actual.items():
            np.testing.assert_array_equal(expected[name], array)
