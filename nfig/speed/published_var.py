"""The `as_published` baseline: VAR from a class label to pixels, the way its authors run it.

Weights in float32, and for 16 bits automatic casts around all of it, as their example has it; the
sampler sorts the whole codebook. Random weights serve: what a generation takes does not depend on
their values. Beside the authors' code it is to run as fast, see benchmarks/README.md.

Shape legend: B batch rows, C latent channels, H W latent grid, h w grid of one band, l tokens of
one band, V codebook size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.config import ModelConfig, SamplingDefaults
from nfig.generation import guidance_at
from nfig.speed.clock import now
from nfig.speed.published_decoder import PublishedDecoder
from nfig.speed.published_transformer import PublishedTransformer
from nfig.tokenizer.phi import NUM_PHI, phi_of_band

Sample = Callable[[Tensor], Tensor]
"""Guided logits (B, l, V) to tokens (B, l)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedStep:
    """One band of the batch; `canvas_BCHW` goes on changing with the next band, as published."""

    tokens_Bl: Tensor
    canvas_BCHW: Tensor
    seconds: float
    """Transformer, sampling, embedding and the next band's input; no pixels."""


class PublishedVAR(nn.Module):
    """Transformer, codebook, phi and decoder; no encoder, which drawing does not need."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.tokenizer.latent_channels
        self.transformer = PublishedTransformer(config.transformer, config.tokenizer)
        self.codebook = nn.Embedding(config.tokenizer.codebook_size, channels)
        self.phi = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(NUM_PHI)
        )
        self.decoder = PublishedDecoder(config.tokenizer)
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def draw(
        self,
        labels_B: Tensor,
        *,
        sampling: SamplingDefaults,
        seed: int = 0,
        sample: Sample | None = None,
    ) -> Iterator[PublishedStep]:
        """One step per band; `sample` takes the sampler's place. Only one draw at a time."""
        if sample is None:
            sample = published_sampler(sampling, seed=seed, device=labels_B.device)
        sides = self.config.tokenizer.grid_sides
        started = now(labels_B.device)
        class_BD, places_LD, x_BlD = self.transformer.start(labels_B)
        canvas_BCHW = class_BD.new_zeros(
            len(labels_B), self.config.tokenizer.latent_channels, sides[-1], sides[-1]
        )
        self.transformer.forget()
        stop = sides[0] ** 2
        for band, side in enumerate(sides):
            logits_BlV = self._guided(band, self.transformer(x_BlD, class_BD), sampling)
            tokens_Bl = sample(logits_BlV)
            self._add(band, side, tokens_Bl, canvas_BCHW)
            if band + 1 < len(sides):
                start, stop = stop, stop + sides[band + 1] ** 2
                down = F.interpolate(canvas_BCHW, size=(sides[band + 1],) * 2, mode="area")
                x_BlD = self.transformer.embed(down.flatten(2).mT, places_LD[start:stop])
            else:
                self.transformer.forget()
            seconds = now(labels_B.device) - started
            yield PublishedStep(tokens_Bl=tokens_Bl, canvas_BCHW=canvas_BCHW, seconds=seconds)
            started = now(labels_B.device)

    def _guided(self, band: int, logits_BlV: Tensor, sampling: SamplingDefaults) -> Tensor:
        num_bands = self.config.tokenizer.num_bands
        guidance = guidance_at(band, num_bands=num_bands, guidance_scale=sampling.guidance_scale)
        conditional_BlV, unconditional_BlV = logits_BlV.chunk(2)
        return (1 + guidance) * conditional_BlV - guidance * unconditional_BlV

    def _add(self, band: int, side: int, tokens_Bl: Tensor, canvas_BCHW: Tensor) -> None:
        codes_BlC = self.codebook(tokens_Bl)
        drawn = codes_BlC.transpose_(1, 2).reshape(*canvas_BCHW.shape[:2], side, side)
        if side != canvas_BCHW.shape[-1]:
            drawn = F.interpolate(drawn, size=canvas_BCHW.shape[-2:], mode="bicubic")
        phi = self.phi[phi_of_band(band, num_bands=self.config.tokenizer.num_bands)]
        canvas_BCHW.add_(drawn.mul(0.5) + phi(drawn).mul_(0.5))

    @torch.inference_mode()
    def decode(self, canvas_BCHW: Tensor) -> Tensor:
        """Pixels in [0, 1], (B, 3, side, side)."""
        images: Tensor = self.decoder(canvas_BCHW)
        return images.add_(1).mul_(0.5)


def published_sampler(sampling: SamplingDefaults, *, seed: int, device: torch.device) -> Sample:
    """Top-k, top-p and one generator of random numbers for the whole batch."""
    generator = torch.Generator(device).manual_seed(seed)

    def sample(logits_BlV: Tensor) -> Tensor:
        probabilities = filtered(logits_BlV, sampling).softmax(-1)
        drawn = torch.multinomial(
            probabilities.view(-1, logits_BlV.shape[-1]), 1, replacement=True, generator=generator
        )
        return drawn.view(logits_BlV.shape[:2])

    return sample


def filtered(logits_BlV: Tensor, sampling: SamplingDefaults) -> Tensor:
    """Changes the logits in place: -inf where top-k or top-p leaves a code out."""
    if 0 < sampling.top_k < logits_BlV.shape[-1]:
        least = logits_BlV.topk(sampling.top_k, sorted=False).values.amin(-1, keepdim=True)
        logits_BlV.masked_fill_(logits_BlV < least, -torch.inf)
    if sampling.top_p < 1:
        ascending, codes = logits_BlV.sort(dim=-1)
        out = ascending.softmax(-1).cumsum_(-1) <= 1 - sampling.top_p
        out[..., -1:] = False
        logits_BlV.masked_fill_(out.scatter(-1, codes, out), -torch.inf)
    return logits_BlV
