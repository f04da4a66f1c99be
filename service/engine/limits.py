"""What every engine refuses before it spends anything: one set of checks, so that all agree."""

from __future__ import annotations

import numpy as np

from service.domain import ModelCard
from service.engine.engine import BandTokens, Canvas, Generation, Pixels, Tokens

LARGEST = 2**63 - 1
"""Of seeds and image indices: both travel as int64."""


def check_generation(generation: Generation, card: ModelCard) -> None:
    """Raises ValueError that names the field."""
    sampling = generation.sampling
    _check_range("class_label", generation.class_label, 0, len(card.class_names) - 1)
    _check_range("bands", generation.bands, 1, card.num_bands)
    _check_range("seed", generation.seed, 0, LARGEST)
    _check_range("image_index", generation.image_index, 0, LARGEST)
    _check_range("top_k", sampling.top_k, 0, card.codebook_size)
    _check_range("guidance_scale", sampling.guidance_scale, 0, 100)
    _check_range("temperature", sampling.temperature, 0, 100)
    _check_range("top_p", sampling.top_p, 0, 1)
    if sampling.top_p == 0:
        raise ValueError("top_p must be above 0")
    _check_kept(generation.kept, card)


def check_canvas(canvas: Canvas, card: ModelCard) -> None:
    """Raises ValueError that names the canvas."""
    shape = (card.latent_channels, card.latent_side, card.latent_side)
    if canvas.shape != shape or canvas.dtype != np.float32:
        raise ValueError(f"canvas must be float32 {shape}, not {canvas.dtype} {canvas.shape}")
    if not np.isfinite(canvas).all():
        raise ValueError("canvas must hold finite numbers only")


def check_pixels(pixels: Pixels, card: ModelCard) -> None:
    """Raises ValueError that names the pixels."""
    shape = (card.image_size, card.image_size, 3)
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be uint8 {shape}, not {pixels.dtype} {pixels.shape}")


def split_bands(tokens: Tokens, card: ModelCard) -> BandTokens:
    """The tokens of all bands, which an encoder gives in one row, band by band."""
    ends = np.cumsum([side * side for side in card.grid_sides])
    return tuple(tuple(band.tolist()) for band in np.split(tokens, ends[:-1]))


def _check_kept(kept: BandTokens, card: ModelCard) -> None:
    _check_range("kept", len(kept), 0, card.num_bands)
    for band, tokens in enumerate(kept):
        length, largest = card.grid_sides[band] ** 2, card.codebook_size - 1
        if len(tokens) != length or not 0 <= min(tokens) <= max(tokens) <= largest:
            raise ValueError(f"kept[{band}] must be {length} tokens from 0 to {largest}")


def check_preview(preview_of: int | None, card: ModelCard) -> None:
    """Raises ValueError where there is no such band."""
    if preview_of is not None:
        _check_range("preview_of", preview_of, 0, card.num_bands - 1)


def _check_range(field: str, value: float, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{field} must be from {low} to {high}, not {value}")
