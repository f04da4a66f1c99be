"""What every engine refuses before it spends anything: one set of checks, so that all agree."""

from __future__ import annotations

import numpy as np

from service.domain import ModelCard
from service.engine.engine import Canvas, Generation

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


def check_canvas(canvas: Canvas, card: ModelCard) -> None:
    """Raises ValueError that names the canvas."""
    shape = (card.latent_channels, card.latent_side, card.latent_side)
    if canvas.shape != shape or canvas.dtype != np.float32:
        raise ValueError(f"canvas must be float32 {shape}, not {canvas.dtype} {canvas.shape}")
    if not np.isfinite(canvas).all():
        raise ValueError("canvas must hold finite numbers only")


def check_preview(preview_of: int | None, card: ModelCard) -> None:
    """Raises ValueError where there is no such band."""
    if preview_of is not None:
        _check_range("preview_of", preview_of, 0, card.num_bands - 1)


def _check_range(field: str, value: float, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{field} must be from {low} to {high}, not {value}")
