"""Laws of how the codebook learns."""

from __future__ import annotations

import torch
from torch import Tensor

from nfig.config import TokenizerConfig
from nfig.tokenizer import BandQuantizer
from nfig.training.codebook import STEPS_BETWEEN_REVIVALS, CodebookLearner


def quantizer(codes_VC: Tensor) -> BandQuantizer:
    size, channels = codes_VC.shape
    made = BandQuantizer(
        TokenizerConfig(image_size=8, grid_sides=(1,), codebook_size=size, latent_channels=channels)
    )
    made.codebook_VC.copy_(codes_VC)
    return made


def learn(learner: CodebookLearner, latent_BCHW: Tensor, *, steps: int, revive: bool) -> None:
    for _ in range(steps):
        learner.update(learner.quantizer(latent_BCHW), revive=revive)


def test_codes_move_to_the_mean_of_what_they_stand_for() -> None:
    latent = torch.tensor([[0.0, 0.0], [0.0, 2.0], [9.0, 9.0], [9.0, 7.0]]).view(4, 2, 1, 1)
    learner = CodebookLearner(quantizer(torch.tensor([[1.0, 1.0], [8.0, 9.0]])), learnt=True)
    learn(learner, latent, steps=1500, revive=False)
    expected = torch.tensor([[0.0, 1.0], [9.0, 8.0]])
    torch.testing.assert_close(learner.quantizer.codebook_VC, expected, atol=1e-3, rtol=0)
    assert learner.used == 1


def test_a_dead_code_is_put_onto_a_target() -> None:
    latent = torch.tensor([[0.0], [1.0], [2.0], [3.0]]).view(4, 1, 1, 1)
    learner = CodebookLearner(quantizer(torch.tensor([[1.5], [500.0], [900.0]])), learnt=True)
    learn(learner, latent, steps=2, revive=False)
    assert float(learner.quantizer.codebook_VC.max()) > 500.0
    learn(learner, latent, steps=500 + STEPS_BETWEEN_REVIVALS, revive=True)
    assert float(learner.quantizer.codebook_VC.max()) < 4
    assert learner.used == 1


def test_without_revival_a_dead_code_stays_dead_and_shows_in_the_use() -> None:
    latent = torch.zeros(4, 1, 1, 1)
    learner = CodebookLearner(quantizer(torch.tensor([[0.0], [500.0]])), learnt=True)
    learn(learner, latent, steps=500, revive=False)
    assert learner.used == 0.5


def test_it_starts_once_from_the_data() -> None:
    learner = CodebookLearner(quantizer(torch.full((8, 2), 1e3)), learnt=False)
    learner.start(torch.randn(16, 2, 1, 1))
    started = learner.quantizer.codebook_VC.clone()
    assert started.abs().max() < 10
    assert len(started.unique(dim=0)) == 8
    learner.start(100 + torch.randn(16, 2, 1, 1))
    assert torch.equal(learner.quantizer.codebook_VC, started)


def test_its_state_survives() -> None:
    latent = torch.randn(16, 2, 1, 1)
    first = CodebookLearner(quantizer(torch.randn(4, 2)), learnt=True)
    learn(first, latent, steps=3, revive=False)
    second = CodebookLearner(quantizer(first.quantizer.codebook_VC), learnt=False)
    second.restore(first.state())
    learn(first, latent, steps=3, revive=False)
    learn(second, latent, steps=3, revive=False)
    assert torch.equal(first.quantizer.codebook_VC, second.quantizer.codebook_VC)


def test_batches_that_make_one_step_move_the_codes_as_one_batch() -> None:
    codes, latent = torch.randn(4, 2), torch.randn(16, 2, 1, 1)
    whole = CodebookLearner(quantizer(codes), learnt=True)
    halves = CodebookLearner(quantizer(codes), learnt=True, accumulate=2)
    learn(whole, latent, steps=1, revive=False)
    for half in latent.chunk(2):
        assert torch.equal(halves.quantizer.codebook_VC, codes)
        learn(halves, half, steps=1, revive=False)
    torch.testing.assert_close(halves.quantizer.codebook_VC, whole.quantizer.codebook_VC)
    assert halves.step == whole.step
