"""The preview decoder beside the decoder: how close on the same canvases, at which share of cost.

Shape legend: N images, C latent channels, H W latent grid.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nfig.evaluation.features import in_batches
from nfig.images import Pixels, to_tensor
from nfig.tokenizer import FRVAE
from nfig.tokenizer.preview_decoder import PreviewDecoder
from nfig.training.losses import psnr, squared_error
from nfig.training.reporting import Reporter

BATCH = 64
ROUNDS = 25
"""Of timing; the median counts."""

Decode = Callable[[Tensor], Tensor]


@torch.no_grad()
def preview_figures(
    tokenizer: FRVAE, originals: Pixels, *, reporter: Reporter
) -> dict[str, Any] | None:
    """One entry per band but the last, whose canvas is the image's; None without a preview decoder.

    `psnr` is of previews against the decoder's pictures, `psnr_limit` that of those pictures
    themselves at a preview's resolution. Costs are shares of the decoder's, one image at a time.
    """
    preview_decoder = tokenizer.preview_decoder
    if preview_decoder is None:
        return None
    bands: list[dict[str, Any]] = [
        {"band": band, "side": side * tokenizer.config.downsampling}
        for band, side in enumerate(tokenizer.config.grid_sides[:-1])
    ]
    errors = _errors(tokenizer, preview_decoder, originals, reporter)
    canvas_1CHW = tokenizer.canvas(tokenizer.encode(to_tensor(originals[:1])))
    for figures, (error, least) in zip(bands, errors, strict=True):
        figures |= {"psnr": psnr(error), "psnr_limit": psnr(least)}
        figures |= _costs(tokenizer, figures["band"], canvas_1CHW)
    totals = {key: sum(each[key] for each in bands) for key in ("flops_share", "time_share")}
    return {"bands": bands, "all_bands": totals, "images": len(originals)}


def _errors(
    tokenizer: FRVAE, preview_decoder: PreviewDecoder, originals: Pixels, reporter: Reporter
) -> list[list[float]]:
    """Of each band the mean squared error of previews, and the least that their size allows."""
    errors = [[0.0, 0.0] for _ in tokenizer.config.grid_sides[:-1]]
    for rows in in_batches(len(originals), BATCH, what="previews compared", reporter=reporter):
        tokens_Bl = tokenizer.encode(to_tensor(originals[rows]))
        share = len(tokens_Bl[0]) / len(originals)
        for band, sums in enumerate(errors):
            canvas_BCHW = tokenizer.canvas(tokens_Bl, upto=band)
            full_B3YX = tokenizer.decode_canvas(canvas_BCHW)
            small_B3yx = preview_decoder.shrink(band, full_B3YX)
            best_B3YX = preview_decoder.enlarge(band, small_B3yx).clamp(-1, 1)
            sums[0] += share * squared_error(tokenizer.preview(band, canvas_BCHW), full_B3YX)
            sums[1] += share * squared_error(best_B3YX, full_B3YX)
    return errors


def _costs(tokenizer: FRVAE, band: int, canvas_1CHW: Tensor) -> dict[str, float]:
    """Of the networks alone, without the copies and clamps around them."""

    def preview(canvas_BCHW: Tensor) -> Tensor:
        assert tokenizer.preview_decoder is not None
        small_B3yx = tokenizer.preview_decoder(band, canvas_BCHW)
        return tokenizer.preview_decoder.enlarge(band, small_B3yx)

    # Both decoders have the same dtype, which canvases need not have.
    canvas_1CHW = canvas_1CHW.to(next(tokenizer.decoder.parameters()).dtype)
    both: tuple[Decode, Decode] = (preview, tokenizer.decoder)
    light, full = (_flops(decode, canvas_1CHW) for decode in both)
    seconds: list[list[float]] = [[], []]
    # In turns, so that whatever else the machine does slows both.
    for _ in range(ROUNDS):
        for decode, taken in zip(both, seconds, strict=True):
            taken.append(_seconds(decode, canvas_1CHW))
    light_time, full_time = (statistics.median(taken) for taken in seconds)
    return {"flops_share": light / full, "time_share": light_time / full_time}


def _flops(decode: Decode, canvas_1CHW: Tensor) -> int:
    """Of products and convolutions, those that enlarge the preview included."""
    with FlopCounterMode(display=False) as counter:
        decode(canvas_1CHW)
    return int(counter.get_total_flops())


def _seconds(decode: Decode, canvas_1CHW: Tensor) -> float:
    started = time.perf_counter()
    decode(canvas_1CHW)
    return time.perf_counter() - started
