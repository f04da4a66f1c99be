"""The authors' code is timed part by part, and leaves torch as it was. A stub stands in for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from typer import BadParameter

from benchmarks import authors_var
from nfig.config import preset_named

STUB = """
from torch import nn

class Quantizer(nn.Module):
    def get_next_autoregressive_input(self, band):
        return band

class VAR(nn.Module):
    def __init__(self, vae, sides):
        super().__init__()
        self.vae, self.sides = vae, sides

    def autoregressive_infer_cfg(self, **options):
        for band in range(len(self.sides)):
            self.vae.quantize.get_next_autoregressive_input(band)

def build_vae_var(patch_nums, **sizes):
    nn.Linear.reset_parameters = lambda self: None
    vae = nn.Module()
    vae.quantize = Quantizer()
    return vae, VAR(vae, patch_nums)
"""


def test_every_band_and_the_decoder_have_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text(STUB)
    monkeypatch.setattr(sys, "path", list(sys.path))
    config = preset_named("var-d16")
    theirs = authors_var.AuthorsVAR(tmp_path, config, device="cpu", dtype="bf16")
    monkeypatch.delitem(sys.modules, "models")
    for _ in range(2):
        times = theirs.time_image()
        assert len(times.parts) == config.tokenizer.num_bands + 1
        assert sum(times.parts) == pytest.approx(times.total)
    torch.manual_seed(0)
    assert nn.Linear(3, 2).weight.abs().sum() > 0


def test_a_folder_that_is_no_clone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="clone"):
        authors_var.main(tmp_path)
