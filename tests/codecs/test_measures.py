"""Losses and neighbours against their definitions, written out once more."""

import numpy as np

from cgcython.codecs.measures import cosine_losses, mean_interval, neighbours_kept

RNG = np.random.default_rng(3)


def test_losses_ignore_length_and_accept_zeros():
    rows = RNG.standard_normal((4, 8))
    rows[2] = 0
    np.testing.assert_allclose(cosine_losses(rows, 3 * rows), 0, atol=1e-15)
    np.testing.assert_allclose(cosine_losses(rows[:1], -rows[:1]), 2)


def test_a_loss_of_all_is_one():
    assert cosine_losses([[1.0, 2.0]], [[0.0, 0.0]]).tolist() == [1.0]


def test_neighbours_are_those_of_the_largest_cosines():
    rows = RNG.standard_normal((30, 6)).astype(np.float32)
    moved = rows + RNG.standard_normal(rows.shape).astype(np.float32)

    def nearest(query, others, own):
        cosines = others @ query / np.linalg.norm(others, axis=1)
        cosines[own] = -np.inf
        return set(np.argsort(-cosines)[:10])

    expected = [len(nearest(rows[i], rows, i) & nearest(rows[i], moved, i)) / 10 for i in range(30)]
    assert neighbours_kept(rows, moved).tolist() == expected


def test_an_interval_covers_the_mean_as_often_as_it_says():
    covered = [
        low <= 0 <= high
        for low, high in (mean_interval(RNG.standard_normal(100), draws=300) for _ in range(200))
    ]
    assert 0.88 <= np.mean(covered) <= 0.99


def test_an_interval_is_that_of_means_drawn_one_by_one():
    values, picks = RNG.standard_normal(9000), np.random.default_rng(5)
    means = [values[picks.integers(0, 9000, 9000)].mean() for _ in range(20)]
    assert mean_interval(values, draws=20, seed=5) == tuple(np.percentile(means, [2.5, 97.5]))
