"""Drift is told from the loss of new embeddings and what training measured."""

import numpy as np
import pytest
from structured import clustered

from cgcython import InvalidInput, PQ8Codebook
from cgcython.codecs.measures import cosine_losses
from cgcython.codecs.samples import chosen
from cgcython.evaluation.drift import MOST_ROWS, drift

pytestmark = pytest.mark.filterwarnings("ignore::cgcython.CodebookWarning")
ROWS = clustered(32, 2000)


@pytest.fixture(scope="module")
def book():
    return PQ8Codebook.train(ROWS, rotation="pca")


def test_the_loss_is_that_of_the_decoded_rows(book):
    found = drift(book, ROWS[:100])
    assert found.loss == cosine_losses(ROWS[:100], book.decode(book.encode(ROWS[:100]))).mean()
    assert not found.drifted


def test_one_row_again_and_again_leaves_nearly_all_centroids_unused(book):
    assert drift(book, np.repeat(ROWS[:1], 50, axis=0)).unused_centroids == 255 / 256


def test_many_rows_are_sampled(book):
    assert drift(book, np.repeat(ROWS, 6, axis=0)).rows == MOST_ROWS


def test_of_many_rows_no_other_is_read(book):
    rows = np.full((3 * MOST_ROWS, 32), np.nan, np.float16)
    rows[chosen(len(rows), MOST_ROWS, seed=0)] = np.repeat(ROWS, 5, axis=0)
    assert not drift(book, rows).drifted


def test_noise_has_drifted(book):
    noise = np.random.default_rng(0).standard_normal((300, 32), dtype=np.float32)
    assert drift(book, noise).drifted


def test_what_cannot_be_compared_is_refused(book):
    with pytest.raises(InvalidInput, match="2 or more"):
        drift(book, ROWS[:1])
    with pytest.raises(InvalidInput, match="training measured"):
        drift(PQ8Codebook(book.centroids), ROWS)
