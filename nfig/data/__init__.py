"""Data sets: images with class labels, split into training and held-out ones."""

from __future__ import annotations

from nfig.data.labelled_images import HELD_OUT_PER_CLASS, LabelledImages, load_images

__all__ = ["HELD_OUT_PER_CLASS", "LabelledImages", "load_images"]
