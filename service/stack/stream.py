"""Reads one streamed image, the way any client of the OpenAI-shaped endpoint would."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx


class DrawFailed(Exception):
    """The service did not draw; the message is its own."""


@dataclass(frozen=True, kw_only=True)
class ReceivedBand:
    """One picture of the stream."""

    band: int
    encoded: bytes
    arrived_seconds: float
    """Since the request was sent, on the client's clock."""
    latencies_ms: tuple[float, ...]
    """Of the image alone: the time of each band's step where it ran. A preview has none."""

    @property
    def final(self) -> bool:
        return bool(self.latencies_ms)


def stream_image(
    gateway_url: str, *, prompt: str, seed: int, previews: int, timeout_seconds: float = 120.0
) -> Iterator[ReceivedBand]:
    """Yields each preview and then the image. Raises DrawFailed."""
    body = {"prompt": prompt, "seed": seed, "stream": True, "partial_images": previews}
    url = f"{gateway_url}/v1/images/generations"
    started = time.monotonic()
    with httpx.stream("POST", url, json=body, timeout=timeout_seconds) as response:
        if response.status_code != 200:
            response.read()
            raise DrawFailed(f"the gateway answered {response.status_code}: {response.text}")
        for name, data in parse_events(response.iter_lines()):
            if name == "error":
                raise DrawFailed(f"the stream ended with an error: {json.dumps(data)}")
            yield ReceivedBand(
                band=data["band"],
                encoded=base64.b64decode(data["b64_json"]),
                arrived_seconds=time.monotonic() - started,
                latencies_ms=tuple(data.get("band_latencies_ms", ())),
            )


def parse_events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and JSON data of each server-sent event; comments are left out."""
    name, data = "message", ""
    for line in lines:
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data += line[5:].strip()
        elif not line:
            if data and data != "[DONE]":
                yield name, json.loads(data)
            name, data = "message", ""
