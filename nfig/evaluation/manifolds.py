"""What sets of feature vectors cover of each other, and which vectors are nearest.

Precision and recall as in Kynkäänniemi et al. 2019: a set's manifold is the union of balls around
its vectors, each reaching to the vector's k-th neighbour within the set.

Shape legend: N M vectors of a set, F features, k neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Features = npt.NDArray[np.float32]

NEIGHBOURS = 3
ROWS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    precision: float
    """Share of samples on the real manifold."""
    recall: float
    """Share of real images on the manifold of the samples."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Nearest:
    """For each query its nearest vectors, nearest first."""

    rows_Nk: npt.NDArray[np.int64]
    distances_Nk: Features


def precision_recall(samples_NF: Features, real_MF: Features) -> PrecisionRecall:
    """Depends on the sizes of the sets: compare only where these are equal."""
    samples, real = torch.from_numpy(samples_NF), torch.from_numpy(real_MF)
    return PrecisionRecall(
        precision=_share_on_manifold(samples, real), recall=_share_on_manifold(real, samples)
    )


def nearest(queries_NF: Features, among_MF: Features, *, count: int) -> Nearest:
    """Euclidean, over all of `among`."""
    queries, among = torch.from_numpy(queries_NF), torch.from_numpy(among_MF)
    found = [_nearest_of_chunk(chunk, among, count) for chunk in queries.split(ROWS_AT_ONCE)]
    return Nearest(
        rows_Nk=torch.cat([rows for rows, _ in found]).numpy(),
        distances_Nk=torch.cat([distances for _, distances in found]).numpy(),
    )


def _share_on_manifold(points_NF: Tensor, set_MF: Tensor) -> float:
    # A vector is its own nearest, at distance 0.
    radii = [
        _distances(chunk, set_MF).kthvalue(NEIGHBOURS + 1, dim=1).values
        for chunk in set_MF.split(ROWS_AT_ONCE)
    ]
    radius_M = torch.cat(radii)
    inside = [
        (_distances(chunk, set_MF) <= radius_M).any(dim=1)
        for chunk in points_NF.split(ROWS_AT_ONCE)
    ]
    return float(torch.cat(inside).double().mean())


def _distances(a_NF: Tensor, b_MF: Tensor) -> Tensor:
    # By differences: the faster way by products does not give 0 for equal vectors.
    return torch.cdist(a_NF, b_MF, compute_mode="donot_use_mm_for_euclid_dist")


def _nearest_of_chunk(chunk_NF: Tensor, among_MF: Tensor, count: int) -> tuple[Tensor, Tensor]:
    # Products to find them, differences to say how far they are.
    closeness_NM = chunk_NF @ among_MF.T - among_MF.square().sum(1) / 2
    rows_Nk = closeness_NM.topk(count, dim=1).indices
    distances_Nk = (among_MF[rows_Nk] - chunk_NF.unsqueeze(1)).norm(dim=2)
    order_Nk = distances_Nk.argsort(dim=1, stable=True)
    return rows_Nk.gather(1, order_Nk), distances_Nk.gather(1, order_Nk)
