"""The fewest bytes under a limit, by held-out loss or by whatever a judge says."""

from itertools import pairwise

import numpy as np
import pytest
from structured import clustered

from cgcython.adapters.chunks import row_bytes
from cgcython.codecs import sizes
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.sizes import sizes_of, train_smallest
from cgcython.errors import InvalidInput, RecallLossExceeded

pytestmark = pytest.mark.filterwarnings("ignore::cgcython.CodebookWarning")
OF_ALL = "rq8", "scalar", "float8_e4m3"
NOISE = np.random.default_rng(0).standard_normal((300, 512), dtype=np.float32)


def test_clusters_fit_into_the_smallest_size():
    book, trials = train_smallest(clustered(64, 600), 0.05, rotation="pca")
    assert book.num_subvectors == 8
    assert [trial.code_size for trial in trials] == [8, 16, 32, 64]
    assert all(a.held_out_loss > b.held_out_loss for a, b in pairwise(trials))
    assert all(0 <= trial.held_out_recall10 <= 1 for trial in trials)


def test_noise_fits_into_no_size_and_is_not_saved(tmp_path):
    book, _ = train_smallest(NOISE, 0.05, rotation=None)
    assert book.num_subvectors == 128
    with pytest.raises(RecallLossExceeded, match=r"more than the 5\.00% allowed"):
        book.save(tmp_path / "noise.safetensors")


def test_a_judge_decides_whatever_the_loss(tmp_path):
    drops = {8: 0.2, 16: 0.051, 24: 0.01}

    def judge(book):
        return {"recall10_drop": drops.get(book.num_subvectors, 0.0)}

    book, trials = train_smallest(NOISE[:, :48], 0.05, judge=judge, rotation=None)
    assert book.num_subvectors == 24
    assert [trial.recall10_drop for trial in trials] == [0.2, 0.051, 0.01, 0.0]
    book.save(tmp_path / "judged.safetensors")


def test_a_size_that_fits_only_while_tried_gives_way_to_the_next():
    asked = []

    def judge(book):
        asked.append(book.num_subvectors)
        return {"recall10_drop": 0.2 if asked.count(8) == 2 and asked[-1] == 8 else 0.0}

    book, _ = train_smallest(NOISE[:, :32], 0.05, judge=judge, rotation=None)
    assert (book.num_subvectors, asked) == (16, [8, 16, 32, 8, 16])


@pytest.mark.parametrize(
    ("calls", "size"),
    [(1, 8), (14, 16), (28, 16), (37, 16), (60, 16)],
    ids=["first try", "second try", "third try", "in full", "after it"],
)
def test_ctrl_c_keeps_the_best_of_what_was_tried(calls, size):
    heard, costs = [], {8: 0.3, 16: 0.04, 32: 0.0}

    def progress(*_):
        heard.append(1)
        if len(heard) == calls:
            raise KeyboardInterrupt

    def judge(book):
        return {"recall10_drop": costs[book.num_subvectors]}

    book, _ = train_smallest(
        NOISE[:, :32], 0.05, judge=judge, rotation=None, sample=280, progress=progress
    )
    assert book.num_subvectors == size
    assert book.metadata.get("interrupted", False) == (calls <= 48)
    assert (book.metadata["samples"], book.metadata["samples_given"]) == (280, 300)


def test_other_methods_are_tried_beside_it(monkeypatch):
    monkeypatch.setattr(sizes, "ENOUGH_SAMPLES", 300)
    monkeypatch.setattr(sizes, "ADDITIVE_SIZES", (8,))
    rows = NOISE[:, :16]
    book, trials = train_smallest(rows, 0.05, compared=OF_ALL, rotation=None, judge=judged)
    assert (book.method.value, book.code_size) == ("pq8", 16)
    assert {trial.method for trial in trials} == {"pq8", *OF_ALL}
    assert [one.settings for one in trials if one.method == "rq8"] == [{"bytes": 8}]
    assert [one.settings["bits"] for one in trials if one.method == "scalar"] == [2, 4, 6, 8]
    assert [one.code_size for one in trials] == sorted(one.code_size for one in trials)
    assert all(trial.recall10_drop == 0.5 / trial.code_size for trial in trials)


def judged(book):
    size = book.code_size if isinstance(book, Codebook) else row_bytes(book)
    return {"recall10_drop": 0.5 / size}


def test_few_rows_teach_no_residual_codes():
    _, trials = train_smallest(NOISE[:, :16], 0.05, compared=OF_ALL, rotation=None)
    assert {trial.method for trial in trials} == {"pq8", *OF_ALL[1:]}


def test_ctrl_c_before_any_size_was_tried_passes_on():
    def judge(book):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_smallest(NOISE[:, :32], 0.05, judge=judge, rotation=None)


def test_dimensions_without_a_size_are_refused():
    with pytest.raises(InvalidInput, match="multiple of 8"):
        sizes_of(12)
