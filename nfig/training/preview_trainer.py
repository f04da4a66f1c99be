"""Distils the light decoder of previews from a model's decoder; nothing else of the model changes.

The lesson is what the decoder makes of the canvas of each band but the last, at the preview's own
resolution. Images enter only as tokens: a preview is to be what the decoder would show, not what a
better one could.

Shape legend: B batch rows, C latent channels, H W latent grid, L all tokens, 3YX RGB image, 3yx the
same at a preview's own resolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nfig.data import LabelledImages
from nfig.images import Pixels, image_grid, to_pixels
from nfig.tokenizer import FRVAE
from nfig.tokenizer.preview_decoder import PreviewDecoder
from nfig.training.loop import StepLoss
from nfig.training.losses import ReconstructionWeights, psnr, reconstruction_loss, squared_error
from nfig.training.reconstructions import EVALUATION_BATCH, PICTURE_ROWS
from nfig.training.tokens import cached_tokens

WEIGHTS = ReconstructionWeights(edges=0)
"""Squared and absolute differences."""


class PreviewTask:
    """Draws previews of all bands but the last."""

    def __init__(
        self,
        tokenizer: FRVAE,
        *,
        training: LabelledImages,
        held_out: LabelledImages,
        autocast: bool,
        token_cache: Path | None = None,
    ) -> None:
        assert tokenizer.preview_decoder is not None
        self.tokenizer = tokenizer.eval().requires_grad_(False)
        self.module: nn.Module = tokenizer.preview_decoder.requires_grad_(True)
        self.autocast = autocast
        self.num_previews = tokenizer.config.num_bands - 1
        self.tokens_NL, self.held_out_tokens_NL = cached_tokens(
            tokenizer, [training, held_out], token_cache
        )

    @property
    def num_examples(self) -> int:
        return len(self.tokens_NL)

    def loss(self, rows: Tensor, *, progress: float) -> StepLoss:
        """Every band has an equal share of the rows: the cheap ones teach as much as the dear."""
        del progress
        parts = [part for part in enumerate(rows.tensor_split(self.num_previews)) if len(part[1])]
        canvases = [self._canvas(self.tokens_NL[part], band) for band, part in parts]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            with torch.no_grad():
                taught_B3YX = self.tokenizer.decoder(torch.cat(canvases)).clamp(-1, 1)
            drawn = [
                self.module(band, canvas) for (band, _), canvas in zip(parts, canvases, strict=True)
            ]
        taught = taught_B3YX.float().split([len(part) for _, part in parts])
        losses = [
            reconstruction_loss(small.float(), _shrunk(self.module, band, images), WEIGHTS)
            for (band, _), small, images in zip(parts, drawn, taught, strict=True)
        ]
        total = torch.stack(losses).mean()
        return StepLoss(total=total, figures={"loss": round(total.item(), 5)})

    @torch.no_grad()
    def evaluate(self, averaged: nn.Module) -> Mapping[str, float]:
        """PSNR of the previews of held-out images, against what the decoder makes of each."""
        errors = np.zeros(self.num_previews)
        count = len(self.held_out_tokens_NL)
        for tokens_BL in self.held_out_tokens_NL.split(EVALUATION_BATCH):
            for band in range(self.num_previews):
                full_B3YX, preview_B3YX = self._both(averaged, band, tokens_BL)
                share = len(tokens_BL) / count
                errors[band] += share * squared_error(preview_B3YX, full_B3YX)
        return {f"psnr_band_{band}": round(psnr(error), 3) for band, error in enumerate(errors)}

    @torch.no_grad()
    def picture(self, averaged: nn.Module) -> Pixels:
        """One held-out image a row: for each band, the decoder's picture and the preview."""
        count = min(PICTURE_ROWS, len(self.held_out_tokens_NL))
        rows = torch.linspace(0, len(self.held_out_tokens_NL) - 1, count).long()
        tokens_BL = self.held_out_tokens_NL[rows]
        pairs = [self._both(averaged, band, tokens_BL) for band in range(self.num_previews)]
        columns = [to_pixels(images) for pair in pairs for images in pair]
        pixels: Pixels = np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])
        return image_grid(pixels, columns=len(columns))

    def _both(self, module: nn.Module, band: int, tokens_BL: Tensor) -> Sequence[Tensor]:
        """The decoder's pictures and the previews, (B, 3, Y, X) each."""
        assert isinstance(module, PreviewDecoder)
        canvas_BCHW = self._canvas(tokens_BL, band)
        preview_B3YX = module.enlarge(band, module(band, canvas_BCHW)).clamp(-1, 1)
        return self.tokenizer.decode_canvas(canvas_BCHW), preview_B3YX

    def _canvas(self, tokens_BL: Tensor, band: int) -> Tensor:
        sides = self.tokenizer.config.grid_sides
        tokens_Bl = tokens_BL.long().split([side**2 for side in sides], dim=1)
        return self.tokenizer.canvas(tokens_Bl, upto=band)

    def state(self) -> dict[str, Any]:
        """Nothing: what is random is the order of the data alone."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        del state


def _shrunk(module: nn.Module, band: int, images_B3YX: Tensor) -> Tensor:
    assert isinstance(module, PreviewDecoder)
    return module.shrink(band, images_B3YX)
