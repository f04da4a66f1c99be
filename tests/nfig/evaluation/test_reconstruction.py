"""Laws of what the tokenizer loses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nfig import checkpoint
from nfig.data import load_images
from nfig.evaluation.reconstruction import (
    Reconstructions,
    psnr,
    reconstruct,
    reconstruction_figures,
    take_spectra,
)
from nfig.images import to_pixels, to_tensor
from nfig.training.reporting import Reporter

SIDES = (1, 2, 3, 4, 6, 8)


def test_psnr_has_a_closed_form() -> None:
    black = np.zeros((2, 8, 8, 3), np.uint8)
    assert psnr(black + 255, black) == pytest.approx(0)
    assert psnr(black + 5, black) == pytest.approx(20 * math.log10(255 / 5))
    assert psnr(black, black + 5) == psnr(black + 5, black)


def test_the_last_band_is_the_whole_reconstruction(
    tiny_checkpoint: Path, data_file: Path, reporter: Reporter
) -> None:
    _, tokenizer = checkpoint.load_tokenizer(tiny_checkpoint)
    originals = load_images(data_file).pixels[:8]
    found = reconstruct(tokenizer, originals, reporter=reporter)
    whole = to_pixels(tokenizer.decode(tokenizer.encode(to_tensor(originals))))
    assert len(found.upto_band) == 6
    assert np.array_equal(found.whole, whole)
    assert 0 < found.codebook_used <= 1


def test_perfect_reconstructions_have_no_error(data_file: Path) -> None:
    originals = load_images(data_file).pixels[:8]
    perfect = Reconstructions(originals=originals, upto_band=[originals] * 6, codebook_used=1.0)
    figures = reconstruction_figures(perfect, take_spectra(perfect, SIDES))
    assert figures["psnr"] > 100
    assert {band["spectrum_error"] for band in figures["bands"]} == {0.0}
    assert {band["spectrum_error_upto_band"] for band in figures["bands"]} == {0.0}
    assert figures["spectrum_error_above_all_bands"] == 0
