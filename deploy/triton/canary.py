"""`python3 canary.py [URL] [CARD]`: exits with 0 if the Triton at URL draws, with a reason if not.

For probes inside Triton's container, so nothing but the standard library. Triton's own word on
its health is not trusted: its server and its models stay "ready" after the process that runs a
model has died, and each model has one of its own. This draws the first band of a fixed generation,
has it decoded, and has an image encoded.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

URL = "http://127.0.0.1:8000"
CARD = "/models/model.json"
SECONDS = 10.0
"""For each of the three calls; on a busy server they wait for the batch before them."""


def drawn_canvas(url: str, card: dict[str, Any]) -> list[float]:
    """The canvas after band 0. Raises ValueError if another checkpoint drew it."""
    tokens = sum(side * side for side in card["grid_sides"])
    fields = ("guidance_scale", "top_k", "top_p", "temperature")
    generation = {
        "class_label": 0,
        "seed": 0,
        "image_index": 0,
        "bands": 1,
        "kept": [-1] * tokens,
        **{field: card[field] for field in fields},
    }
    answer = _post(f"{url}/v2/models/nfig_transformer/generate_stream", generation)
    # One server-sent event per band, of which there is one.
    data = answer.decode().partition("data: ")[2].partition("\n")[0]
    band = json.loads(data)
    if "error" in band:
        raise ValueError(band["error"])
    if band["digest"] != card["digest"]:
        raise ValueError(f"it serves checkpoint {band['digest'][:12]}, not that of the card")
    return list(band["canvas"])


def decode(url: str, card: dict[str, Any], canvas: list[float]) -> None:
    side = card["grid_sides"][-1]
    shape = [1, card["latent_channels"], side, side]
    inputs = [
        {"name": "canvas", "datatype": "FP32", "shape": shape, "data": canvas},
        {"name": "preview_of", "datatype": "INT32", "shape": [1, 1], "data": [-1]},
    ]
    # The pixels need not travel.
    body = {"inputs": inputs, "outputs": [{"name": "digest"}]}
    _post(f"{url}/v2/models/nfig_decoder/infer", body)


def encode(url: str, card: dict[str, Any]) -> None:
    side = card["image_size"]
    shape = [1, side, side, 3]
    pixels = {"name": "pixels", "datatype": "UINT8", "shape": shape, "data": [0] * (3 * side**2)}
    _post(f"{url}/v2/models/nfig_encoder/infer", {"inputs": [pixels]})


def _post(url: str, body: object) -> bytes:
    """Raises OSError, or ValueError with what Triton says."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise ValueError(error.read().decode(errors="replace")) from None


def main(url: str = URL, card_path: str = CARD) -> None:
    try:
        card = json.loads(Path(card_path).read_text(encoding="utf-8"))
        decode(url, card, drawn_canvas(url, card))
        encode(url, card)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"Triton does not draw: {error!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
