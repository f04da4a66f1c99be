"""Lessons with mistakes in them: a transformer that learns to mend what it draws.

Paper: learns from true tokens alone (section 3.3). Such teaching shows true canvases only, and a
drawn canvas is none: the tokens of a band are drawn apart from each other and need not agree. So a
few tokens are replaced by ones that the transformer itself has drawn, and those after them become
the tokens that bring the canvas back to the image (Infinity, arXiv 2412.04431, flips random bits
instead). Band k codes all that the canvas lacks up to its cut-off, the mistakes of lower bands
included, so later bands can mend them.

Shape legend: B batch rows, C latent channels, L all tokens, l tokens of one band, M tokens of the
bands from band 1 on, P tokens of all bands but the last, V codebook size, HW latent grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nfig.tokenizer import FRVAE


def draw(logits_BPV: Tensor) -> Tensor:
    """A token per place (B, P), by the Gumbel-max rule and torch's own generator."""
    noise_BPV = torch.empty_like(logits_BPV).exponential_().log_().neg_()
    return (logits_BPV + noise_BPV).argmax(-1)


def mistakes(drawn_BP: Tensor, *, largest_share: float) -> Tensor:
    """True (B, P) where a drawn token replaces a true one: in each row a share of its own."""
    shares_B1 = torch.rand(len(drawn_BP), 1, device=drawn_BP.device) * largest_share
    return torch.rand_like(drawn_BP, dtype=torch.float32) < shares_B1


@torch.no_grad()
def lesson(
    tokenizer: FRVAE, tokens_BL: Tensor, *, drawn_BP: Tensor, mistaken_BP: Tensor
) -> tuple[Tensor, Tensor]:
    """Inputs (B, M, C) with these mistakes, and the tokens (B, L) that are right after them.

    Up to a row's first mistake, and in rows without one, the tokens are those given.
    """
    quantizer = tokenizer.quantizer
    grids = [side**2 for side in tokenizer.config.grid_sides]
    tokens_Bl = tokens_BL.split(grids, dim=1)
    drawn_Bl = drawn_BP.split(grids[:-1], dim=1)
    mistaken_Bl = mistaken_BP.split(grids[:-1], dim=1)
    # The image as its tokens have it: what is left of the latent beside them is not to be learnt.
    image_BCHW = tokenizer.canvas(tokens_Bl)
    canvas_BCHW, residual_BCHW = torch.zeros_like(image_BCHW), torch.zeros_like(image_BCHW)
    off_B1 = torch.zeros(len(tokens_BL), 1, dtype=torch.bool, device=tokens_BL.device)
    inputs: list[Tensor] = []
    right: list[Tensor] = []
    for band, band_BCHW in enumerate(quantizer.bands.split(image_BCHW)):
        if band > 0:
            inputs.append(tokenizer.next_input(band, canvas_BCHW))
        residual_BCHW = residual_BCHW + band_BCHW
        nearest_Bl = quantizer.nearest(quantizer.flatten(quantizer.bands.down(band, residual_BCHW)))
        right_Bl = torch.where(off_B1, nearest_Bl, tokens_Bl[band])
        right.append(right_Bl)
        if band == len(grids) - 1:
            break
        used_Bl = torch.where(mistaken_Bl[band], drawn_Bl[band], right_Bl)
        off_B1 = off_B1 | (used_Bl != right_Bl).any(1, keepdim=True)
        contribution_BCHW = tokenizer.embed_band(band, used_Bl)
        canvas_BCHW = canvas_BCHW + contribution_BCHW
        residual_BCHW = residual_BCHW - contribution_BCHW
    return torch.cat(inputs, dim=1), torch.cat(right, dim=1)
