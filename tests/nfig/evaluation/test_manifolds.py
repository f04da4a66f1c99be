"""Laws of precision, recall and nearest neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nfig.evaluation.manifolds import nearest, precision_recall


def vectors(count: int, *, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)


def test_a_set_covers_itself() -> None:
    found = precision_recall(vectors(300), vectors(300))
    assert (found.precision, found.recall) == (1, 1)


def test_vectors_that_are_all_equal_cover_each_other() -> None:
    found = precision_recall(np.ones((9, 8), np.float32), np.ones((9, 8), np.float32))
    assert (found.precision, found.recall) == (1, 1)


def test_sets_far_apart_cover_nothing_of_each_other() -> None:
    found = precision_recall(vectors(50), vectors(50, seed=1) + 100)
    assert (found.precision, found.recall) == (0, 0)


def test_samples_of_a_part_are_precise_but_do_not_recall_the_rest() -> None:
    real = np.concatenate([vectors(50), vectors(50, seed=1) + 100])
    found = precision_recall(real[:50], real)
    assert (found.precision, found.recall) == (1, 0.5)


def test_a_ball_reaches_to_the_third_neighbour() -> None:
    real = np.array([[0.0], [1], [2], [3], [40]], np.float32)
    # From 40 the third neighbour is 1, so that ball ends at 79.
    inside, outside = np.full((4, 1), 78.9, np.float32), np.full((4, 1), 79.1, np.float32)
    assert precision_recall(inside, real).precision == 1
    assert precision_recall(outside, real).precision == 0


def test_the_nearest_come_first_with_their_distances() -> None:
    among, queries = vectors(700), vectors(300, seed=1)
    found = nearest(queries, among, count=3)
    distances = np.linalg.norm(queries[:, None] - among, axis=2)
    expected = np.argsort(distances, axis=1)[:, :3]
    assert np.array_equal(found.rows_Nk, expected)
    np.testing.assert_allclose(
        found.distances_Nk, np.take_along_axis(distances, expected, axis=1), rtol=1e-5
    )


def test_a_copy_has_distance_nothing() -> None:
    among = vectors(50)
    found = nearest(among[10:12], among, count=1)
    assert found.rows_Nk.tolist() == [[10], [11]]
    assert found.distances_Nk.tolist() == [[0], [0]]
