"""Copies of training images are found, however they are seen."""

from __future__ import annotations

import numpy as np
import torch

from nfig.data import LabelledImages
from nfig.evaluation.comparison import ImageSets, extract_all
from nfig.evaluation.memorising import (
    low_pass_pixels,
    memorising_figures,
    neighbours_of_samples,
)
from nfig.images import Pixels
from nfig.training.reporting import Reporter

GENERATOR = np.random.default_rng(0)


def images(pixels: Pixels) -> LabelledImages:
    labels = np.zeros(len(pixels), dtype=np.int64)
    return LabelledImages(pixels=pixels, labels=labels, class_names=("any",))


def smooth(count: int) -> Pixels:
    """Each 32 x 32 of 4 x 4 flat squares."""
    blocks = GENERATOR.integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def figures(samples: Pixels, training: Pixels, reporter: Reporter) -> float:
    held_out = smooth(50)
    sets = ImageSets(
        samples=images(samples),
        training=images(training),
        held_out=images(held_out),
        reconstructions=held_out,
    )
    features = extract_all(low_pass_pixels, sets, name="low-pass", reporter=reporter)
    found = memorising_figures(features, neighbours_of_samples(features))
    return float(found["samples_nearer_than_1_in_100_held_out_images"])


def test_copies_are_found_under_fine_noise_and_new_images_are_none(reporter: Reporter) -> None:
    training = smooth(80)
    # A checkerboard of single pixels: nothing that is left at 16 pixels a side.
    noise = (np.indices((32, 32)).sum(0) % 2 * 40 - 20)[..., None]
    copies = (training[:20].astype(int) + noise).clip(0, 255).astype(np.uint8)
    assert figures(copies, training, reporter) == 1
    mixed = np.concatenate([copies[:5], smooth(45)])
    assert 0.1 <= figures(mixed, training, reporter) < 0.25
    assert figures(smooth(50), training, reporter) < 0.15


def test_a_distance_is_in_levels_of_8_bits() -> None:
    dark, light = torch.full((1, 3, 64, 64), -1.0), torch.full((1, 3, 64, 64), -1 + 10 / 127.5)
    apart = (low_pass_pixels(dark) - low_pass_pixels(light)).norm()
    assert abs(float(apart) - 10) < 1e-4
    assert low_pass_pixels(dark).shape == (1, 768)
    assert low_pass_pixels(dark[..., :8, :8]).shape == (1, 192)
