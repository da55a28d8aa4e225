"""The sample that a migration trains on."""

import numpy as np

from cgcython.corpus.legacy_training import sample


def test_training_samples_are_sound_bounded_and_fair():
    rows = [np.full(8, i, np.float32) for i in range(1000)]
    rows[3] = np.full(8, np.nan)
    rows[4] = np.ones(7)
    taken = sample(rows, 100)
    assert taken.shape == (100, 8)
    assert 300 < taken.mean() < 700
    assert len(np.unique(taken)) == 100
    assert sample(rows, 2000).shape == (998, 8)
    assert sample([], 10).shape[0] == 0
