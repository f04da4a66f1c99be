"""Measures a checkpoint against held-out images: figures as JSON, and a page to look at."""

from __future__ import annotations

from nfig.evaluation.evaluator import EvaluationOptions, evaluate

__all__ = ["EvaluationOptions", "evaluate"]
