"""The Fréchet distance of two sets of feature vectors, each taken for a Gaussian.

|mean_a - mean_b|^2 + trace(C_a + C_b - 2 (C_a C_b)^(1/2)), in float64. The trace of the root needs
no general matrix root: C_a C_b has the eigenvalues of the symmetric C_a^(1/2) C_b C_a^(1/2).

Shape legend: N M vectors of a set, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RESAMPLES = 20
BOOTSTRAP_SEED = 0
METHOD = (
    f"95 % interval: distance +- 1.96 standard deviations of {RESAMPLES} bootstrap resamples of "
    "both sets (of pairs, for reconstructions and their originals)"
)


@dataclass(frozen=True, kw_only=True)
class DistanceEstimate:
    """A distance and its 95 % interval, by METHOD."""

    distance: float
    low: float
    high: float
    counts: tuple[int, ...]
    """Vectors in each set; distances of sets of other sizes are not comparable."""


class Gaussian:
    """What several others are compared with: the root of its covariance is taken once."""

    def __init__(self, mean_F: Floats, cov_FF: Floats) -> None:
        self._mean_F, self._root_FF = mean_F, _root(cov_FF)
        self._trace = np.trace(cov_FF)

    def distance(self, mean_F: Floats, cov_FF: Floats) -> float:
        product_FF = self._root_FF @ cov_FF @ self._root_FF
        eigenvalues_F = np.linalg.eigvalsh((product_FF + product_FF.T) / 2).clip(min=0)
        trace = self._trace + np.trace(cov_FF) - 2 * np.sqrt(eigenvalues_F).sum()
        return max(float(np.square(self._mean_F - mean_F).sum() + trace), 0.0)


def gaussian_distance(
    mean_a_F: Floats, cov_a_FF: Floats, mean_b_F: Floats, cov_b_FF: Floats
) -> float:
    """Of two Gaussians; covariances may be singular."""
    return Gaussian(mean_a_F, cov_a_FF).distance(mean_b_F, cov_b_FF)


def frechet_distance(a_NF: npt.ArrayLike, b_MF: npt.ArrayLike) -> float:
    """Of two sets of at least two vectors each."""
    return _distance(*_in_joint_span(np.asarray(a_NF, np.float64), np.asarray(b_MF, np.float64)))


def estimate(a_NF: npt.ArrayLike, b_MF: npt.ArrayLike, *, paired: bool = False) -> DistanceEstimate:
    """The distance with its interval; `paired` if row i of both sets is the same image."""
    a, b = _in_joint_span(np.asarray(a_NF, np.float64), np.asarray(b_MF, np.float64))
    distance, generator = _distance(a, b), np.random.default_rng(BOOTSTRAP_SEED)
    resampled = []
    for _ in range(RESAMPLES):
        rows_a = generator.integers(len(a), size=len(a))
        rows_b = rows_a if paired else generator.integers(len(b), size=len(b))
        resampled.append(_distance(a[rows_a], b[rows_b]))
    return _with_interval(distance, resampled, counts=(len(a), len(b)))


def estimate_from(reference: Gaussian, a_NF: npt.ArrayLike) -> DistanceEstimate:
    """Of a set from what is known by its mean and covariance alone; only the set is resampled."""
    a = np.asarray(a_NF, np.float64)
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    resampled = []
    for _ in range(RESAMPLES):
        chosen = a[generator.integers(len(a), size=len(a))]
        resampled.append(reference.distance(chosen.mean(0), _covariance(chosen)))
    distance = reference.distance(a.mean(0), _covariance(a))
    return _with_interval(distance, resampled, counts=(len(a),))


def _with_interval(
    distance: float, resampled: list[float], *, counts: tuple[int, ...]
) -> DistanceEstimate:
    # Not their percentiles: a resample has fewer distinct vectors, which alone adds to a distance.
    margin = 1.96 * float(np.std(resampled, ddof=1))
    return DistanceEstimate(
        distance=distance,
        low=max(distance - margin, 0.0),
        high=distance + margin,
        counts=counts,
    )


def _distance(a_NF: Floats, b_MF: Floats) -> float:
    return gaussian_distance(a_NF.mean(0), _covariance(a_NF), b_MF.mean(0), _covariance(b_MF))


def _covariance(x_NF: Floats) -> Floats:
    centred_NF = x_NF - x_NF.mean(0)
    covariance: Floats = centred_NF.T @ centred_NF / (len(x_NF) - 1)
    return covariance


def _root(cov_FF: Floats) -> Floats:
    """The symmetric root; what rounding made negative counts as zero."""
    eigenvalues_F, vectors_FF = np.linalg.eigh(cov_FF)
    root: Floats = (vectors_FF * np.sqrt(eigenvalues_F.clip(min=0))) @ vectors_FF.T
    return root


def _in_joint_span(a_NF: Floats, b_MF: Floats) -> tuple[Floats, Floats]:
    """The same sets in fewer coordinates where there are fewer vectors than features."""
    if len(a_NF) + len(b_MF) >= a_NF.shape[1]:
        return a_NF, b_MF
    basis = np.linalg.qr(np.concatenate([a_NF, b_MF]).T).Q
    return a_NF @ basis, b_MF @ basis
