"""Learns the codebook by moving averages, and brings codes back that nobody uses.

Each code moves to the mean of the targets it stands for (van den Oord et al., VQ-VAE, appendix A).
A code whose use falls to almost nothing is put onto a random target of the current batch. Uses
and sums are those of all processes, so that all hold the same codebook.

Shape legend: C latent channels, V codebook size, T targets of a batch, all bands together.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nfig.tokenizer import BandQuantizer, Quantized
from nfig.training import processes

DECAY = 0.99
FIRST_DECAY = 0.9
"""While the latent still moves fast."""
FIRST_STEPS = 200
STEPS_BETWEEN_REVIVALS = 20
DEAD_BELOW = 0.05
"""Uses per step."""


class CodebookLearner:
    """Updates a quantizer's codebook in place, step by step."""

    def __init__(self, quantizer: BandQuantizer, *, learnt: bool, accumulate: int = 1) -> None:
        """`learnt`: the codebook is a good one already; else it starts from the first batch.

        `accumulate`: the codes move with every so many batches only.
        """
        self.quantizer = quantizer
        self.started = learnt
        self.step = FIRST_STEPS if learnt else 0
        self.uses_V = quantizer.codebook_VC.new_ones(len(quantizer.codebook_VC))
        self.sums_VC = quantizer.codebook_VC.clone()
        self._accumulate, self._turn = accumulate, 0
        self._new_uses_V = torch.zeros_like(self.uses_V)
        self._new_sums_VC = torch.zeros_like(self.sums_VC)

    @torch.no_grad()
    def start(self, latent_BCHW: Tensor) -> None:
        """Puts the codes onto random vectors of the latent's bands, if that is still to be done."""
        if self.started:
            return
        targets = self.quantizer.bands.exact_targets(latent_BCHW)
        vectors_TC = torch.cat(
            [self.quantizer.flatten(target_BChw).flatten(0, 1) for target_BChw in targets]
        )
        picked_VC = vectors_TC[torch.randint(len(vectors_TC), (len(self.uses_V),))]
        # Apart from each other also where the batch has fewer vectors than the codebook entries.
        picked_VC = picked_VC + 0.01 * vectors_TC.std() * torch.randn_like(picked_VC)
        picked_VC = processes.dealt(picked_VC)
        self.quantizer.codebook_VC.copy_(picked_VC)
        self.sums_VC.copy_(picked_VC)
        self.started = True

    @torch.no_grad()
    def update(self, quantized: Quantized, *, revive: bool) -> None:
        """Moves the codes towards what they stood for, once all batches of a step are seen."""
        targets_TC = torch.cat([targets.flatten(0, 1) for targets in quantized.targets_BlC])
        tokens_T = torch.cat([tokens.flatten() for tokens in quantized.tokens_Bl])
        self._new_uses_V += torch.bincount(tokens_T, minlength=len(self.uses_V)).float()
        self._new_sums_VC.index_add_(0, tokens_T, targets_TC)
        self._turn = (self._turn + 1) % self._accumulate
        if self._turn:
            return
        self._move()
        if revive and self.step % STEPS_BETWEEN_REVIVALS == 0:
            self._revive(targets_TC)
        self.step += 1

    def _move(self) -> None:
        decay = DECAY if self.step >= FIRST_STEPS else FIRST_DECAY
        self.uses_V.lerp_(processes.summed(self._new_uses_V), 1 - decay)
        self.sums_VC.lerp_(processes.summed(self._new_sums_VC), 1 - decay)
        codes_VC = self.sums_VC / self.uses_V.clamp_min(1e-5).unsqueeze(1)
        self.quantizer.codebook_VC.copy_(codes_VC)
        self._new_uses_V.zero_()
        self._new_sums_VC.zero_()

    @property
    def used(self) -> float:
        """Share of codes that are in use."""
        return float((self.uses_V >= DEAD_BELOW).float().mean())

    def state(self) -> dict[str, Any]:
        return {
            "started": self.started,
            "step": self.step,
            "uses_V": self.uses_V,
            "sums_VC": self.sums_VC,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.started, self.step = state["started"], state["step"]
        self.uses_V.copy_(state["uses_V"])
        self.sums_VC.copy_(state["sums_VC"])

    def _revive(self, targets_TC: Tensor) -> None:
        (dead,) = torch.nonzero(self.uses_V < DEAD_BELOW, as_tuple=True)
        picked = processes.dealt(targets_TC[torch.randint(len(targets_TC), (len(dead),))])
        self.quantizer.codebook_VC[dead] = picked
        self.sums_VC[dead] = picked
        self.uses_V[dead] = 1.0
