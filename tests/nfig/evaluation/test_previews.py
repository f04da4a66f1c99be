"""Laws of what is measured of previews."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nfig import checkpoint
from nfig.data import load_images
from nfig.evaluation.previews import preview_figures
from nfig.images import Pixels
from nfig.tokenizer import FRVAE
from nfig.tokenizer.preview_decoder import PreviewDecoder
from nfig.training.reporting import Reporter


@pytest.fixture
def tokenizer(tiny_checkpoint: Path) -> FRVAE:
    return checkpoint.load_tokenizer(tiny_checkpoint)[1]


@pytest.fixture
def originals(data_file: Path) -> Pixels:
    return load_images(data_file).pixels[:8]


class Perfect(PreviewDecoder):
    """Shows what the decoder shows, as far as its resolution allows."""

    teacher: FRVAE

    def forward(self, band: int, canvas_BCHW: Tensor) -> Tensor:
        return self.shrink(band, self.teacher.decode_canvas(canvas_BCHW))


def test_a_perfect_preview_decoder_reaches_the_limit(
    tokenizer: FRVAE, originals: Pixels, reporter: Reporter
) -> None:
    perfect = Perfect(tokenizer.config)
    # Not a part of it, which would go round in a circle.
    object.__setattr__(perfect, "teacher", tokenizer)
    tokenizer.preview_decoder = perfect
    figures: Any = preview_figures(tokenizer, originals, reporter=reporter)
    for band in figures["bands"]:
        assert band["psnr"] == pytest.approx(band["psnr_limit"], abs=0.01)
        # It is as dear as what it imitates.
        assert band["flops_share"] > 1


def test_a_worse_preview_decoder_is_said_to_be_worse(
    tokenizer: FRVAE, originals: Pixels, reporter: Reporter
) -> None:
    before: Any = preview_figures(tokenizer, originals, reporter=reporter)
    assert tokenizer.preview_decoder is not None
    with torch.no_grad():
        for parameter in tokenizer.preview_decoder.parameters():
            parameter.add_(torch.randn_like(parameter))
    after: Any = preview_figures(tokenizer, originals, reporter=reporter)
    for good, bad in zip(before["bands"], after["bands"], strict=True):
        assert bad["psnr"] < good["psnr"]
        assert bad["psnr_limit"] == pytest.approx(good["psnr_limit"])
        assert bad["flops_share"] == good["flops_share"]


def test_a_model_without_one_has_no_figures(
    tokenizer: FRVAE, originals: Pixels, reporter: Reporter
) -> None:
    tokenizer.preview_decoder = None
    assert preview_figures(tokenizer, originals, reporter=reporter) is None
