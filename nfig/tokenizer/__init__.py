"""The FR-VAE: turns an image into one small grid of tokens per frequency band, and back."""

from __future__ import annotations

from nfig.tokenizer.fr_vae import FRVAE
from nfig.tokenizer.quantizer import BandQuantizer, Quantized

__all__ = ["FRVAE", "BandQuantizer", "Quantized"]
