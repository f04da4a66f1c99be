"""Who pulls at whom when a decoder has an adversary."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from nfig.training.adversary import Adversary, balance


@pytest.fixture
def adversary() -> Adversary:
    torch.manual_seed(0)
    return Adversary(autocast=False)


def images(*, brightness: float) -> torch.Tensor:
    return torch.rand(8, 3, 16, 16) * 0.1 + brightness


def test_it_learns_to_tell_drawn_from_real(adversary: Adversary) -> None:
    figures = [adversary.learn(images(brightness=-0.5), images(brightness=0.5)) for _ in range(30)]
    assert figures[0] == pytest.approx(2, abs=0.5)
    assert figures[-1] < 0.5


def test_its_loss_moves_the_images_and_not_itself(adversary: Adversary) -> None:
    decoded = images(brightness=0.0).requires_grad_()
    adversary.loss(decoded, images(brightness=0.5)).backward()
    assert decoded.grad is not None and bool(decoded.grad.any())
    for parameter in adversary.discriminator.parameters():
        assert parameter.grad is None


def test_features_are_matched(adversary: Adversary) -> None:
    real = images(brightness=0.5)
    # Spectral norms move with every call in training.
    adversary.discriminator.eval()
    verdicts = adversary.discriminator(real)[-1].mean()
    assert adversary.loss(real, real).item() == pytest.approx(-verdicts.item(), abs=1e-5)


def test_a_restored_one_goes_on_as_before(adversary: Adversary) -> None:
    torch.manual_seed(1)
    adversary.learn(images(brightness=-0.5), images(brightness=0.5))
    other = Adversary(autocast=False)
    other.restore(deepcopy(adversary.state()))
    drawn, real = images(brightness=-0.2), images(brightness=0.2)
    assert adversary.learn(drawn, real) == other.learn(drawn, real)
    assert adversary.learn(drawn, real) == other.learn(drawn, real)


def test_balance_is_the_ratio_of_pulls() -> None:
    at = torch.tensor([1.0, 2.0], requires_grad=True)
    assert balance((3 * at).sum(), at.sum(), at=at) == pytest.approx(3)


def test_it_waits_for_all_batches_of_a_step() -> None:
    adversary = Adversary(autocast=False, accumulate=2)
    weight = next(adversary.discriminator.parameters())
    before = weight.detach().clone()
    adversary.learn(images(brightness=-0.5), images(brightness=0.5))
    assert torch.equal(weight, before)
    adversary.learn(images(brightness=-0.5), images(brightness=0.5))
    assert not torch.equal(weight, before)
