"""An uploaded image keeps its low bands through the whole stack, exactly as in the library."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from nfig.pipeline import NFIGPipeline
from service.stack.running import RunningStack
from service.stack.stream import parse_events

KEEP_BANDS = 3
BODY = {"class_label": "cat", "seed": "7", "keep_bands": str(KEEP_BANDS)}


@pytest.fixture(scope="module")
def pipeline(tiny_checkpoint: Path) -> NFIGPipeline:
    return NFIGPipeline.from_pretrained(tiny_checkpoint)


@pytest.fixture(scope="module")
def upload() -> bytes:
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [250, 250, 9]]], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(corners).resize((90, 90), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def vary(url: str, upload: bytes, **fields: str) -> dict[str, Any]:
    answer = httpx.post(
        f"{url}/v1/images/variations",
        data={**BODY, **fields},
        files={"image": ("picture.png", upload)},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def pictures(body: dict[str, Any]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(base64.b64decode(i["b64_json"]))) for i in body["data"]]


def test_a_variation_is_the_librarys_with_the_same_seed(
    url: str, upload: bytes, pipeline: NFIGPipeline
) -> None:
    image = Image.open(io.BytesIO(upload))
    drawn = pictures(vary(url, upload, n="3"))
    expected = pipeline.vary(image, keep_bands=KEEP_BANDS, class_label="cat", num_images=3, seed=7)
    for ours, theirs in zip(drawn, expected.images, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_the_log_shows_the_tokens_of_the_image_in_the_bands_that_are_kept(
    url: str, upload: bytes, pipeline: NFIGPipeline
) -> None:
    body = vary(url, upload)
    encoded = pipeline.encode(Image.open(io.BytesIO(upload)))
    digests = [hashlib.sha256(np.array(band, "<i4").tobytes()).hexdigest() for band in encoded]
    with httpx.stream("GET", f"{url}/v1/jobs/{body['job']}/events", timeout=60) as events:
        bands = [
            data for name, data in parse_events(events.iter_lines()) if name == "band.completed"
        ]
    assert [band["kept"] for band in bands] == [True] * KEEP_BANDS + [False] * 3
    assert [band["token_digest"] for band in bands[:KEEP_BANDS]] == digests[:KEEP_BANDS]


def test_nothing_kept_is_a_plain_generation_and_everything_kept_a_reconstruction(
    url: str, upload: bytes
) -> None:
    plain = httpx.post(
        f"{url}/v1/images/generations", json={"prompt": "cat", "seed": 7}, timeout=60
    ).json()
    none = vary(url, upload, keep_bands="0")
    assert none["data"][0]["digest"] == plain["data"][0]["digest"]
    whole = [vary(url, upload, keep_bands="6", seed=seed) for seed in ("1", "2")]
    assert whole[0]["data"][0]["digest"] == whole[1]["data"][0]["digest"]


# OpenAI has deprecated its variations, and the client says so.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_official_client_gives_the_same_bytes(
    stack: RunningStack, url: str, upload: bytes
) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        answer = client.images.create_variation(image=upload, n=2, extra_body=BODY)
    assert answer.data is not None
    ours = [image["b64_json"] for image in vary(url, upload, n="2")["data"]]
    assert [image.b64_json for image in answer.data] == ours
