"""Lessons with mistakes: nothing changes without any, and what follows one mends it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nfig.config import ModelConfig, TokenizerConfig
from nfig.tokenizer import FRVAE
from nfig.training import self_correction
from nfig.training.transformer_trainer import teacher_inputs

ROWS = 6


@pytest.fixture(params=["frequency", "area"])
def tokenizer(request: pytest.FixtureRequest, config: ModelConfig) -> FRVAE:
    torch.manual_seed(0)
    options = {**vars(config.tokenizer), "quantization": request.param}
    return FRVAE(TokenizerConfig(**options)).eval().requires_grad_(False)


@pytest.fixture
def tokens_BL(tokenizer: FRVAE) -> Tensor:
    side = tokenizer.config.image_size
    return torch.cat(tokenizer.encode(torch.rand(ROWS, 3, side, side) * 2 - 1), dim=1)


def others(tokenizer: FRVAE, tokens_BL: Tensor) -> Tensor:
    """Tokens of all bands but the last, none of them right."""
    last = tokenizer.config.grid_sides[-1] ** 2
    return (tokens_BL[:, :-last] + 1) % tokenizer.config.codebook_size


def test_without_mistakes_a_lesson_is_what_a_teacher_shows(
    tokenizer: FRVAE, tokens_BL: Tensor
) -> None:
    drawn_BP = others(tokenizer, tokens_BL)
    none_BP = torch.zeros_like(drawn_BP, dtype=torch.bool)
    inputs_BMC, right_BL = self_correction.lesson(
        tokenizer, tokens_BL, drawn_BP=drawn_BP, mistaken_BP=none_BP
    )
    assert torch.equal(right_BL, tokens_BL)
    torch.testing.assert_close(inputs_BMC, teacher_inputs(tokenizer, tokens_BL))


def test_only_what_follows_a_mistake_changes(tokenizer: FRVAE, tokens_BL: Tensor) -> None:
    drawn_BP = others(tokenizer, tokens_BL)
    mistaken_BP = torch.zeros_like(drawn_BP, dtype=torch.bool)
    mistaken_BP[0, 1] = True
    inputs_BMC, right_BL = self_correction.lesson(
        tokenizer, tokens_BL, drawn_BP=drawn_BP, mistaken_BP=mistaken_BP
    )
    assert torch.equal(right_BL[1:], tokens_BL[1:])
    first, second = (side**2 for side in tokenizer.config.grid_sides[:2])
    assert torch.equal(right_BL[0, : first + second], tokens_BL[0, : first + second])
    true_BMC = teacher_inputs(tokenizer, tokens_BL)
    torch.testing.assert_close(inputs_BMC[1:], true_BMC[1:])
    torch.testing.assert_close(inputs_BMC[0, :second], true_BMC[0, :second])
    assert not torch.allclose(inputs_BMC[0, second:], true_BMC[0, second:])


def test_the_right_tokens_after_a_mistake_mend_it(tokenizer: FRVAE, tokens_BL: Tensor) -> None:
    drawn_BP = others(tokenizer, tokens_BL)
    mistaken_BP = torch.zeros_like(drawn_BP, dtype=torch.bool)
    mistaken_BP[:, 0] = True
    _, right_BL = self_correction.lesson(
        tokenizer, tokens_BL, drawn_BP=drawn_BP, mistaken_BP=mistaken_BP
    )
    grids = [side**2 for side in tokenizer.config.grid_sides]

    def distance(rest_BL: Tensor) -> float:
        with_mistake_BL = torch.cat([drawn_BP[:, :1], rest_BL[:, 1:]], dim=1)
        canvas_BCHW = tokenizer.canvas(with_mistake_BL.split(grids, dim=1))
        wanted_BCHW = tokenizer.canvas(tokens_BL.split(grids, dim=1))
        return (canvas_BCHW - wanted_BCHW).square().mean().item()

    assert distance(right_BL) < distance(tokens_BL)


def test_a_row_has_about_the_largest_share_of_mistakes_at_most() -> None:
    torch.manual_seed(0)
    mistaken_BP = self_correction.mistakes(torch.zeros(400, 1000), largest_share=0.3)
    shares_B = mistaken_BP.float().mean(1)
    assert shares_B.max() < 0.36
    assert shares_B.min() < 0.02
    assert 0.13 < shares_B.mean() < 0.17


def test_tokens_are_drawn_as_often_as_their_logits_say() -> None:
    torch.manual_seed(0)
    wanted_V = torch.tensor([0.7, 0.2, 0.1])
    drawn = self_correction.draw(wanted_V.log().expand(1, 20_000, 3))
    shares_V = torch.bincount(drawn.flatten(), minlength=3) / 20_000
    torch.testing.assert_close(shares_V, wanted_V, atol=0.02, rtol=0)
