"""Requests for tests that do not care what they ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.domain import GenerationRequest, Sampling

_PLAIN = GenerationRequest(
    model="fake",
    class_label=3,
    num_images=1,
    seed=7,
    sampling=Sampling(guidance_scale=1.5, top_k=0, top_p=1.0, temperature=1.0),
    bands=5,
    keep_bands=None,
    previews=(),
    picture_format="png",
    picture_quality=90,
    deadline_ms=None,
    start_within_ms=None,
    priority="normal",
    brownout="allow",
)


def request_of(**changes: Any) -> GenerationRequest:
    """A request to the fake model, but for `changes`."""
    return replace(_PLAIN, **changes)
