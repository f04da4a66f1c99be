"""Trains variants of one model at an equal budget and measures them: what a choice is worth."""

from __future__ import annotations

from nfig.ablation.ablation import AblationOptions, run_ablation
from nfig.ablation.variants import VARIANTS

__all__ = ["VARIANTS", "AblationOptions", "run_ablation"]
