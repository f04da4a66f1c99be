"""What a picture after each band costs beside the image alone, and when the first one comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nfig.speed.clock import Times, measure_in_turn, now
from nfig.speed.contenders import EngineContender, time_images


@dataclass(frozen=True, kw_only=True)
class PreviewCost:
    """Shares of the time that the image takes without previews."""

    added: float
    """By previews of all bands but the last, which is the image."""
    first: float
    """Until the first preview has been decoded."""
    disturbed: bool


def measure_previews(
    contender: EngineContender, batch_size: int, *, repetitions: int
) -> PreviewCost:
    """With previews and without take turns."""
    runs: tuple[Callable[[], Times], ...] = (
        lambda: time_images(contender, batch_size),
        lambda: _time_with_previews(contender, batch_size),
    )
    without, previewed = measure_in_turn(runs, limit=repetitions)
    return PreviewCost(
        added=previewed.total / without.total - 1,
        first=previewed.parts[0] / without.total,
        disturbed=without.disturbed or previewed.disturbed,
    )


def _time_with_previews(contender: EngineContender, batch_size: int) -> Times:
    """Until the first preview, and from there to the image."""
    started = now(contender.device)
    first = None
    for band, (_, canvas_BCHW) in enumerate(contender.bands(batch_size)):
        # Of the last band it is the image.
        contender.preview(band, canvas_BCHW)
        if first is None:
            first = now(contender.device)
    ended = now(contender.device)
    assert first is not None
    return Times(parts=(first - started, ended - first), total=ended - started)
