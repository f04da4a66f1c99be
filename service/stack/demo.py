"""The demo: one real streamed request, the image, a film strip of its bands, and their latency."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from rich.table import Table

from service.stack.film_strip import Frame, draw_film_strip
from service.stack.progress import Progress
from service.stack.stream import DrawFailed, ReceivedBand, stream_image


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What to draw, and where the pictures go."""

    prompt: str | None
    """Class name or label; the model's first class if None."""
    seed: int
    folder: Path


def run_demo(gateway_url: str, options: DemoOptions, progress: Progress) -> None:
    """Draws one image and writes `image.png` and `film_strip.png`. Raises DrawFailed."""
    model = first_model(gateway_url)
    grid_sides: list[int] = model["grid_sides"]
    prompt = options.prompt if options.prompt is not None else model["class_names"][0]
    with progress.step(f"drawing {prompt!r}") as step:
        bands = _draw(gateway_url, prompt=prompt, seed=options.seed, previews=len(grid_sides) - 1)
        step.detail = f"{len(bands)} bands, seed {options.seed}"
    image_path, strip_path = _write(bands, grid_sides, options.folder)
    progress.console.print(latency_table(bands, grid_sides))
    progress.say(f"image       {image_path}\nfilm strip  {strip_path}")


def _draw(gateway_url: str, *, prompt: str, seed: int, previews: int) -> list[ReceivedBand]:
    try:
        bands = list(stream_image(gateway_url, prompt=prompt, seed=seed, previews=previews))
    except httpx.HTTPError as error:
        raise DrawFailed(f"the gateway broke the stream: {error!r}") from error
    if not bands or not bands[-1].final:
        raise DrawFailed("the stream ended without an image")
    return bands


def first_model(gateway_url: str) -> dict[str, Any]:
    """The model that the gateway offers first, classes and bands included."""
    url = f"{gateway_url}/v1/models"
    listed = httpx.get(url, timeout=30).raise_for_status().json()["data"]
    details = httpx.get(f"{url}/{listed[0]['id']}", timeout=30).raise_for_status()
    model: dict[str, Any] = details.json()
    return model


def latency_table(bands: list[ReceivedBand], grid_sides: list[int]) -> Table:
    """One row per band: its step in the engine, and when its picture was in the client's hands."""
    table = Table(title="latency of each band", title_justify="left")
    for column in ("band", "grid", "engine ms", "at the client ms"):
        table.add_column(column, justify="right")
    arrived = {received.band: received.arrived_seconds for received in bands}
    for band, milliseconds in enumerate(bands[-1].latencies_ms):
        side = grid_sides[band]
        # A preview may be dropped under load; its band was drawn all the same.
        at_client = f"{arrived[band] * 1000:.1f}" if band in arrived else "dropped"
        table.add_row(str(band), f"{side} x {side}", f"{milliseconds:.1f}", at_client)
    return table


def _write(bands: list[ReceivedBand], grid_sides: list[int], folder: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    image_path, strip_path = folder / "image.png", folder / "film_strip.png"
    Image.open(io.BytesIO(bands[-1].encoded)).save(image_path)
    frames = [
        Frame(encoded=received.encoded, label=_label(received.band, grid_sides))
        for received in bands
    ]
    draw_film_strip(frames).save(strip_path)
    return image_path, strip_path


def _label(band: int, grid_sides: list[int]) -> str:
    side = grid_sides[band]
    return f"band {band}: {side} x {side} tokens"
