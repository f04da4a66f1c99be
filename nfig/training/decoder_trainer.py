"""Trains the decoder of a finished model, and nothing else.

Encoder and codebook stay as they are, so every token keeps its meaning and the transformer stays
valid. The decoder learns to draw what belongs to the tokens and looks real, where pixel losses
alone give the mean of all images that fit, which is a blur.

Shape legend: B batch rows, C latent channels, H W latent grid, L all tokens, 3YX RGB image.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nfig.data import LabelledImages
from nfig.images import Pixels
from nfig.tokenizer import FRVAE
from nfig.training.adversary import Adversary, balance
from nfig.training.devices import device_of
from nfig.training.loop import StepLoss
from nfig.training.losses import ReconstructionWeights, psnr, reconstruction_loss, squared_error
from nfig.training.reconstructions import psnr_per_band, reconstruction_picture
from nfig.training.tokenizer_trainer import STOPPED_SHARE, STOPPED_WEIGHT
from nfig.training.tokens import cached_tokens

ADVERSARIAL = 0.5
"""The adversary's pull as a share of the pixels' (paper, appendix B.1)."""
WARM_UP = 0.05
"""Progress at which the adversary has come to its full weight."""


class _Drawn(NamedTuple):
    """Decoded images beside their originals."""

    decoded_B3YX: Tensor
    images_B3YX: Tensor


class DecoderTask:
    """Draws images from their tokens."""

    def __init__(
        self,
        tokenizer: FRVAE,
        *,
        training: LabelledImages,
        held_out: LabelledImages,
        autocast: bool,
        token_cache: Path | None = None,
        accumulate: int = 1,
    ) -> None:
        self.tokenizer = tokenizer.eval().requires_grad_(False)
        self.module: nn.Module = tokenizer.decoder.requires_grad_(True)
        self.device = device_of(tokenizer)
        self.adversary = Adversary(autocast=autocast, accumulate=accumulate, device=self.device)
        self.weights = ReconstructionWeights()
        self.training, self.held_out, self.autocast = training, held_out, autocast
        self.tokens_NL, self.held_out_tokens_NL = cached_tokens(
            tokenizer, [training, held_out], token_cache
        )

    @property
    def num_examples(self) -> int:
        return len(self.training)

    def loss(self, rows: Tensor, *, progress: float) -> StepLoss:
        images_B3YX = self.training.images(rows).to(self.device)
        stopped = int(len(rows) * STOPPED_SHARE)
        canvas_BCHW = self._canvases(self.tokens_NL[rows], stopped=stopped)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            decoded_B3YX = self.module(canvas_BCHW)
        whole = _Drawn(decoded_B3YX[stopped:].float(), images_B3YX[stopped:])
        pixels = reconstruction_loss(whole.decoded_B3YX, whole.images_B3YX, self.weights)
        total, figures = self._judged(whole, pixels, progress=progress)
        if stopped:
            # By their pixels alone: nobody knows what a lower band's sharp image would be.
            part = decoded_B3YX[:stopped].float()
            part_loss = reconstruction_loss(part, images_B3YX[:stopped], self.weights)
            total = total + STOPPED_WEIGHT * part_loss
        return StepLoss(total=total, figures={k: round(v, 4) for k, v in figures.items()})

    def _judged(
        self, whole: _Drawn, pixels: Tensor, *, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """The pixels' loss with the adversary's beside it, after a step of its own."""
        decoded_B3YX, images_B3YX = whole
        discriminator = self.adversary.learn(decoded_B3YX, images_B3YX)
        adversarial = self.adversary.loss(decoded_B3YX, images_B3YX)
        weight = ADVERSARIAL * min(progress / WARM_UP, 1.0)
        weight *= balance(pixels, adversarial, at=decoded_B3YX)
        figures = {
            "loss": pixels.item(),
            "psnr": psnr(squared_error(decoded_B3YX, images_B3YX)),
            "adversarial": adversarial.item(),
            "discriminator": discriminator,
        }
        return pixels + weight * adversarial, figures

    def _canvases(self, tokens_BL: Tensor, *, stopped: int) -> Tensor:
        """Whole canvases, but for the first `stopped`, which end at one random band."""
        tokens_Bl = self._bands(tokens_BL)
        band = int(torch.randint(max(len(tokens_Bl) - 1, 1), ()))
        whole_BCHW = self.tokenizer.canvas([tokens[stopped:] for tokens in tokens_Bl])
        if not stopped:
            return whole_BCHW
        part_BCHW = self.tokenizer.canvas([tokens[:stopped] for tokens in tokens_Bl], upto=band)
        return torch.cat([part_BCHW, whole_BCHW])

    def _bands(self, tokens_BL: Tensor) -> list[Tensor]:
        sides = self.tokenizer.config.grid_sides
        return list(tokens_BL.to(self.device).long().split([side**2 for side in sides], dim=1))

    @torch.no_grad()
    def evaluate(self, averaged: nn.Module) -> Mapping[str, float]:
        """PSNR of held-out images after each band."""
        return psnr_per_band(self.held_out, partial(self._redrawn, averaged))

    @torch.no_grad()
    def picture(self, averaged: nn.Module) -> Pixels:
        return reconstruction_picture(self.held_out, partial(self._redrawn, averaged))

    def _redrawn(self, decoder: nn.Module, rows: Tensor) -> list[Tensor]:
        tokens_Bl = self._bands(self.held_out_tokens_NL[rows])
        canvases = [self.tokenizer.canvas(tokens_Bl, upto=band) for band in range(len(tokens_Bl))]
        return [decoder(canvas_BCHW).clamp(-1, 1) for canvas_BCHW in canvases]

    def state(self) -> dict[str, Any]:
        return self.adversary.state()

    def restore(self, state: dict[str, Any]) -> None:
        self.adversary.restore(state)
