"""Trains an FR-VAE on images.

Shape legend: B batch rows, C latent channels, H W latent grid, 3YX RGB image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.data import LabelledImages
from nfig.images import Pixels
from nfig.tokenizer import FRVAE, Quantized
from nfig.training.codebook import CodebookLearner
from nfig.training.devices import device_of
from nfig.training.loop import StepLoss
from nfig.training.losses import ReconstructionWeights, psnr, reconstruction_loss, squared_error
from nfig.training.perceptual import load_perceptual
from nfig.training.reconstructions import psnr_per_band, reconstruction_picture
from nfig.training.terms import LossTerms

COMMITMENT = 0.25
STOPPED_SHARE = 0.25
"""Rows of a batch whose canvas stops at a random band, because a generation may.

Paper: says nothing of canvases that are not whole.
"""
STOPPED_WEIGHT = 0.15
REVIVE_UNTIL = 0.8
"""Progress after which codes stay where they are, so that the averaged weights fit them."""


class TokenizerTask:
    """Reconstructs images through their tokens."""

    def __init__(
        self,
        tokenizer: FRVAE,
        *,
        training: LabelledImages,
        held_out: LabelledImages,
        autocast: bool,
        learnt_codebook: bool = False,
        accumulate: int = 1,
        weights: ReconstructionWeights | None = None,
        terms: LossTerms | None = None,
    ) -> None:
        self.module: nn.Module = tokenizer
        self.tokenizer = tokenizer
        self.device = device_of(tokenizer)
        self.training = training
        self.held_out = held_out
        self.autocast = autocast
        self.weights = weights or ReconstructionWeights()
        self.terms = terms or LossTerms()
        self.perceptual = None
        if self.terms.perceptual:
            self.perceptual = load_perceptual(autocast=autocast, device=self.device)
        self.codebook = CodebookLearner(
            tokenizer.quantizer, learnt=learnt_codebook, accumulate=accumulate
        )

    @property
    def num_examples(self) -> int:
        return len(self.training)

    def loss(self, rows: Tensor, *, progress: float) -> StepLoss:
        images_B3YX = _flip_some(self.training.images(rows)).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            latent_BCHW = self.tokenizer.encoder(images_B3YX)
        # Distances and residuals need all bits.
        latent_BCHW = latent_BCHW.float()
        self.codebook.start(latent_BCHW)
        quantized = self.tokenizer.quantizer(latent_BCHW)
        self.codebook.update(quantized, revive=progress < REVIVE_UNTIL)
        stopped = int(len(rows) * STOPPED_SHARE)
        canvas_BCHW = self._straight_through(latent_BCHW, quantized, stopped=stopped)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            decoded_B3YX = self.tokenizer.decoder(canvas_BCHW)
        commitment = self._commitment(latent_BCHW, quantized)
        reconstruction = self._reconstruction(decoded_B3YX.float(), images_B3YX, stopped=stopped)
        total = self.terms.pixel * reconstruction + COMMITMENT * commitment
        if self.terms.latent:
            total = total + self.terms.latent * _latent_error(latent_BCHW, quantized)
        if self.perceptual is not None:
            seen = self.perceptual(decoded_B3YX[stopped:].float(), images_B3YX[stopped:])
            total = total + self.terms.perceptual * seen
        if self.tokenizer.quantizer.phi is not None:
            total = total + self._phi_error(latent_BCHW, quantized)
        figures = {
            "loss": total.item(),
            "psnr": psnr(squared_error(decoded_B3YX[stopped:], images_B3YX[stopped:])),
            "commitment": commitment.item(),
            "codes_used": self.codebook.used,
        }
        return StepLoss(total=total, figures={k: round(v, 4) for k, v in figures.items()})

    def _reconstruction(self, decoded_B3YX: Tensor, images_B3YX: Tensor, *, stopped: int) -> Tensor:
        loss = reconstruction_loss(decoded_B3YX[stopped:], images_B3YX[stopped:], self.weights)
        if not stopped:
            return loss
        # The decoder must make sense of a canvas at any band; its target is the whole image.
        part = reconstruction_loss(decoded_B3YX[:stopped], images_B3YX[:stopped], self.weights)
        return loss + STOPPED_WEIGHT * part

    def _straight_through(
        self, latent_BCHW: Tensor, quantized: Quantized, *, stopped: int
    ) -> Tensor:
        """Canvases with the latent's gradients; the first `stopped` end at one random band."""
        bands = self.tokenizer.quantizer.bands
        band = int(torch.randint(max(bands.num_bands - 1, 1), ()))
        reached_BCHW = torch.cat([bands.goal(band, latent_BCHW[:stopped]), latent_BCHW[stopped:]])
        canvas_BCHW = torch.cat(
            [quantized.canvases_BCHW[band][:stopped], quantized.canvases_BCHW[-1][stopped:]]
        )
        through_BCHW = reached_BCHW + (canvas_BCHW - reached_BCHW).detach()
        if canvas_BCHW.requires_grad:
            # Paper: in VAR phi learns from the quantisation error alone; here from the pixels too.
            through_BCHW = through_BCHW + (canvas_BCHW - canvas_BCHW.detach())
        return through_BCHW

    def _commitment(self, latent_BCHW: Tensor, quantized: Quantized) -> Tensor:
        """Keeps what the encoder says near what the tokens can say: the mean of all |R_k|^2."""
        bands = self.tokenizer.quantizer.bands
        errors = [
            F.mse_loss(bands.goal(band, latent_BCHW), canvas_BCHW.detach())
            for band, canvas_BCHW in enumerate(quantized.canvases_BCHW)
        ]
        return torch.stack(errors).mean()

    def _phi_error(self, latent_BCHW: Tensor, quantized: Quantized) -> Tensor:
        """The same mean, for phi to make small: VAR's codebook loss."""
        goal_BCHW = latent_BCHW.detach()
        errors = [F.mse_loss(canvas_BCHW, goal_BCHW) for canvas_BCHW in quantized.canvases_BCHW]
        return torch.stack(errors).mean()

    @torch.no_grad()
    def evaluate(self, averaged: nn.Module) -> Mapping[str, float]:
        """PSNR of held-out images after each band, and the share of codes that they use."""
        assert isinstance(averaged, FRVAE)
        used_V = torch.zeros(averaged.config.codebook_size, dtype=torch.bool)

        def redrawn(rows: Tensor) -> list[Tensor]:
            tokens_Bl = averaged.encode(self.held_out.images(rows).to(self.device))
            used_V[torch.cat(tokens_Bl, dim=1).flatten().cpu()] = True
            return _after_each_band(averaged, tokens_Bl)

        figures = psnr_per_band(self.held_out, redrawn)
        return {**figures, "codes_used": round(float(used_V.float().mean()), 4)}

    @torch.no_grad()
    def picture(self, averaged: nn.Module) -> Pixels:
        assert isinstance(averaged, FRVAE)

        def redrawn(rows: Tensor) -> list[Tensor]:
            images_B3YX = self.held_out.images(rows).to(self.device)
            return _after_each_band(averaged, averaged.encode(images_B3YX))

        return reconstruction_picture(self.held_out, redrawn)

    def state(self) -> dict[str, Any]:
        return self.codebook.state()

    def restore(self, state: dict[str, Any]) -> None:
        self.codebook.restore(state)


def _latent_error(latent_BCHW: Tensor, quantized: Quantized) -> Tensor:
    """The paper's latent L2 (appendix B.1): what the whole canvas is off.

    It pulls at the encoder, and at phi; codes learn by moving averages.
    """
    return F.mse_loss(latent_BCHW, quantized.canvases_BCHW[-1])


def _after_each_band(tokenizer: FRVAE, tokens_Bl: list[Tensor]) -> list[Tensor]:
    return [tokenizer.decode(tokens_Bl, upto=band) for band in range(len(tokens_Bl))]


def _flip_some(images_B3YX: Tensor) -> Tensor:
    """Mirrors half of the rows, at random."""
    flipped_B111 = torch.rand(len(images_B3YX), 1, 1, 1) < 0.5
    return torch.where(flipped_B111, images_B3YX.flip(3), images_B3YX)
