"""Trains a next-frequency transformer on the tokens of a finished tokenizer.

Shape legend: B batch rows, C latent channels, L all tokens, l tokens of one band, M tokens of the
bands from band 1 on, V codebook size, 3YX RGB image.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nfig.config import ModelConfig
from nfig.data import LabelledImages
from nfig.drawing import draw_many
from nfig.images import Pixels, image_grid
from nfig.model import NFIGModel
from nfig.tokenizer import FRVAE
from nfig.training import self_correction
from nfig.training.devices import device_of
from nfig.training.loop import StepLoss
from nfig.training.tokens import cached_tokens
from nfig.transformer import NextFrequencyTransformer

EVALUATION_BATCH = 100
PICTURE_CLASSES = 16
PICTURE_PER_CLASS = 4


class TransformerTask:
    """Predicts the tokens of images, all bands at once, by teacher forcing."""

    def __init__(
        self,
        model: NFIGModel,
        *,
        training: LabelledImages,
        held_out: LabelledImages,
        autocast: bool,
        token_cache: Path | None = None,
        self_correction: float = 0.0,
        compiled: bool = False,
    ) -> None:
        """`token_cache`: a file that keeps the tokens, for the same tokenizer and data only.

        `self_correction`: largest share of an image's tokens that are the transformer's own.

        `compiled`: by torch.compile, which takes a minute and a C++ compiler on a CPU.
        """
        self.module: nn.Module = model.transformer
        self.transformer = model.transformer
        self.tokenizer = model.tokenizer.eval()
        self.config = model.config
        self.device = device_of(model)
        self.autocast = autocast
        self.self_correction = self_correction
        self.forward: nn.Module = self.transformer
        if compiled:
            self.forward = torch.compile(self.transformer, dynamic=False)  # type: ignore[assignment]
        self.labels = torch.from_numpy(training.labels)
        self.held_out_labels = torch.from_numpy(held_out.labels)
        self.tokens_NL, self.held_out_tokens_NL = cached_tokens(
            self.tokenizer, [training, held_out], token_cache
        )

    @property
    def num_examples(self) -> int:
        return len(self.labels)

    def loss(self, rows: Tensor, *, progress: float) -> StepLoss:
        del progress
        labels_B = self.labels[rows].to(self.device)
        tokens_BL = self.tokens_NL[rows].to(self.device).long()
        inputs_BMC = teacher_inputs(self.tokenizer, tokens_BL)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            if self.self_correction > 0:
                inputs_BMC, tokens_BL = self._with_mistakes(labels_B, tokens_BL, inputs_BMC)
            logits_BLV = self.forward(labels_B, inputs_BMC)
        # Every token counts the same, as in VAR.
        total = F.cross_entropy(logits_BLV.flatten(0, 1), tokens_BL.flatten())
        return StepLoss(total=total, figures={"loss": round(total.item(), 4)})

    @torch.no_grad()
    def _with_mistakes(
        self, labels_B: Tensor, tokens_BL: Tensor, inputs_BMC: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Inputs that the transformer's own tokens are part of, and what is right after them."""
        last = self.config.tokenizer.grid_sides[-1] ** 2
        drawn_BP = self_correction.draw(self.forward(labels_B, inputs_BMC[:, :-last]))
        mistaken_BP = self_correction.mistakes(drawn_BP, largest_share=self.self_correction)
        with torch.autocast(self.device.type, enabled=False):
            return self_correction.lesson(
                self.tokenizer, tokens_BL, drawn_BP=drawn_BP, mistaken_BP=mistaken_BP
            )

    @torch.no_grad()
    def evaluate(self, averaged: nn.Module) -> Mapping[str, float]:
        """Cross entropy of held-out tokens in nats, over all tokens and for each band."""
        assert isinstance(averaged, NextFrequencyTransformer)
        losses_L = torch.zeros(self.config.tokenizer.num_tokens, device=self.device)
        for rows in torch.arange(len(self.held_out_labels)).split(EVALUATION_BATCH):
            tokens_BL = self.held_out_tokens_NL[rows].to(self.device).long()
            inputs_BMC = teacher_inputs(self.tokenizer, tokens_BL)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                logits_BLV = averaged(self.held_out_labels[rows].to(self.device), inputs_BMC)
            losses_BL = F.cross_entropy(logits_BLV.mT, tokens_BL, reduction="none")
            losses_L += losses_BL.sum(0)
        losses_L /= len(self.held_out_labels)
        per_band = losses_L.split([side**2 for side in self.config.tokenizer.grid_sides])
        return {
            "loss": round(losses_L.mean().item(), 4),
            **{f"loss_band_{k}": round(part.mean().item(), 4) for k, part in enumerate(per_band)},
        }

    @torch.no_grad()
    def picture(self, averaged: nn.Module) -> Pixels:
        """Images that nobody picked: the first seeds of each class, one class a row pair."""
        assert isinstance(averaged, NextFrequencyTransformer)
        model = assemble(self.config, self.tokenizer, averaged)
        classes = range(min(PICTURE_CLASSES, self.config.transformer.num_classes))
        labels = [label for label in classes for _ in range(PICTURE_PER_CLASS)]
        drawn = draw_many(model, labels, seed=0)
        return image_grid(drawn.pixels, columns=2 * PICTURE_PER_CLASS)

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        assert not state, state


def teacher_inputs(tokenizer: FRVAE, tokens_BL: Tensor) -> Tensor:
    """What the transformer sees before each band from 1 on, if all tokens are known (B, M, C)."""
    grids = [side**2 for side in tokenizer.config.grid_sides]
    canvas_BCHW: Tensor | None = None
    inputs: list[Tensor] = []
    with torch.no_grad():
        for band, tokens_Bl in enumerate(tokens_BL.split(grids, dim=1)):
            if canvas_BCHW is not None:
                inputs.append(tokenizer.next_input(band, canvas_BCHW))
            contribution_BCHW = tokenizer.embed_band(band, tokens_Bl)
            canvas_BCHW = (
                contribution_BCHW if canvas_BCHW is None else canvas_BCHW + contribution_BCHW
            )
    return torch.cat(inputs, dim=1)


def assemble(config: ModelConfig, tokenizer: nn.Module, transformer: nn.Module) -> NFIGModel:
    """One model in eval mode from parts that were trained apart; copies their weights."""
    model = NFIGModel(config)
    model.tokenizer.load_state_dict(tokenizer.state_dict())
    model.transformer.load_state_dict(transformer.state_dict())
    return model.eval().requires_grad_(False)
