"""Laws of the Fréchet distance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from nfig.evaluation.frechet import estimate, frechet_distance, gaussian_distance

Floats = npt.NDArray[np.float64]


def vectors(count: int, features: int, *, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((features, features))
    return generator.standard_normal((count, features)) @ mixing


@pytest.mark.parametrize("count", [5, 40, 300])
def test_a_set_has_no_distance_to_itself(count: int) -> None:
    a = vectors(count, 40, seed=0)
    scale = np.square(a).sum(1).mean()
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * scale)


def test_the_distance_is_symmetric() -> None:
    a, b = vectors(100, 12, seed=0), vectors(70, 12, seed=1)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))
    assert frechet_distance(a, b) > 0


def test_covariances_that_commute_have_a_closed_form() -> None:
    rotation = np.linalg.qr(vectors(6, 6, seed=2)).Q
    variances_a, variances_b = np.array([1, 4, 9, 0, 2, 5.0]), np.array([4, 4, 1, 3, 0, 5.0])
    mean_a, mean_b = np.zeros(6), np.arange(6.0)
    distance = gaussian_distance(
        *(mean_a, (rotation * variances_a) @ rotation.T),
        *(mean_b, (rotation * variances_b) @ rotation.T),
    )
    expected = 55 + np.square(np.sqrt(variances_a) - np.sqrt(variances_b)).sum()
    assert distance == pytest.approx(expected)


def test_covariances_that_do_not_commute_have_the_trace_of_the_general_root() -> None:
    a, b = np.cov(vectors(50, 5, seed=3).T), np.cov(vectors(50, 5, seed=4).T)
    # Of a product of two positive matrices, whose eigenvalues are real and positive.
    root = np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    zeros = np.zeros(5)
    expected = np.trace(a) + np.trace(b) - 2 * root
    assert gaussian_distance(zeros, a, zeros, b) == pytest.approx(expected)


def test_a_shift_adds_its_square() -> None:
    a = vectors(80, 10, seed=5)
    assert frechet_distance(a, a + 3) == pytest.approx(10 * 9)


def test_fewer_vectors_than_features_give_the_same_as_the_full_covariance() -> None:
    a, b = vectors(10, 60, seed=6), vectors(12, 60, seed=7)
    expected = gaussian_distance(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_an_interval_holds_its_distance_and_narrows_with_more_images() -> None:
    few = estimate(vectors(60, 4, seed=8), vectors(60, 4, seed=9))
    many = estimate(vectors(3000, 4, seed=8), vectors(3000, 4, seed=9))
    for each in (few, many):
        assert 0 <= each.low < each.distance < each.high
    assert many.high - many.low < few.high - few.low
    assert few.counts == (60, 60)


def test_pairs_are_resampled_as_pairs() -> None:
    a = vectors(50, 4, seed=10)
    same = estimate(a, a + 1, paired=True)
    assert same.high - same.low == pytest.approx(0, abs=1e-6)
    assert estimate(a, a + 1).high - estimate(a, a + 1).low > 0.01
