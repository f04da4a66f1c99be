"""The adversarial part of the loss (paper, appendix B.1): a network that tells drawn from real.

Paper: a discriminator on DINO features. Ours judges patches of pixels and learns from nothing but
the images themselves, so that it needs no weights of others. Its features serve as the perceptual
term, too (feature matching, Wang et al., pix2pixHD).

Shape legend: B batch rows, 3YX RGB image in [-1, 1], h w grid of patches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from nfig.training import processes

CHANNELS = (64, 128, 256)
LEAK = 0.2
LEARNING_RATE = 4e-4
BETAS = (0.5, 0.95)
FEATURE_MATCHING = 5.0


class PatchDiscriminator(nn.Module):
    """Judges patches of about a third of an image of 64 pixels; above 0 means real."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        width = 3
        for channels in CHANNELS:
            self.layers.append(spectral_norm(nn.Conv2d(width, channels, 4, stride=2, padding=1)))
            width = channels
        self.verdict = spectral_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, images_B3YX: Tensor) -> list[Tensor]:
        """The features of each layer, then the verdicts (B, 1, h, w)."""
        features = [images_B3YX.contiguous(memory_format=torch.channels_last)]
        for layer in self.layers:
            features.append(F.leaky_relu(layer(features[-1]), LEAK))
        return [*features[1:], self.verdict(features[-1])]


class Adversary:
    """A discriminator that learns beside what it judges; the same one in all processes."""

    def __init__(
        self, *, autocast: bool, accumulate: int = 1, device: torch.device | str = "cpu"
    ) -> None:
        """`accumulate`: it takes a step with every so many batches only."""
        self.discriminator = PatchDiscriminator().to(device)
        self._optimizer = torch.optim.AdamW(
            self.discriminator.parameters(), lr=LEARNING_RATE, betas=BETAS, weight_decay=0.0
        )
        self._autocast = autocast
        self._accumulate, self._turn = accumulate, 0

    def learn(self, decoded_B3YX: Tensor, images_B3YX: Tensor) -> float:
        """Towards telling them apart; returns its hinge loss (2 is a coin's)."""
        both = torch.cat([decoded_B3YX.detach(), images_B3YX])
        drawn, real = self._judge(both)[-1].float().chunk(2)
        loss = F.relu(1 + drawn).mean() + F.relu(1 - real).mean()
        if self._turn == 0:
            self._optimizer.zero_grad()
        (loss / self._accumulate).backward()
        self._turn = (self._turn + 1) % self._accumulate
        if self._turn == 0:
            processes.average_gradients(self.discriminator.parameters())
            self._optimizer.step()
        return loss.item()

    def loss(self, decoded_B3YX: Tensor, images_B3YX: Tensor) -> Tensor:
        """What the decoder minimises: to pass for real, and to have the original's features."""
        self.discriminator.requires_grad_(False)
        *drawn, verdicts = self._judge(decoded_B3YX)
        with torch.no_grad():
            *real, _ = self._judge(images_B3YX)
        self.discriminator.requires_grad_(True)
        pairs = zip(drawn, real, strict=True)
        matching = torch.stack([F.l1_loss(ours.float(), theirs.float()) for ours, theirs in pairs])
        return FEATURE_MATCHING * matching.mean() - verdicts.float().mean()

    def state(self) -> dict[str, Any]:
        return {
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.discriminator.load_state_dict(state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])

    def _judge(self, images_B3YX: Tensor) -> list[Tensor]:
        with torch.autocast(images_B3YX.device.type, torch.bfloat16, enabled=self._autocast):
            judged: list[Tensor] = self.discriminator(images_B3YX)
        return judged


def balance(loss: Tensor, other: Tensor, *, at: Tensor) -> float:
    """The weight at which `other` pulls at the tensor `at` as hard as `loss` does (Esser et al.,
    VQGAN, equation 7)."""
    pull, other_pull = (
        torch.autograd.grad(each, at, retain_graph=True)[0].norm() for each in (loss, other)
    )
    return float(pull / (other_pull + 1e-8))
