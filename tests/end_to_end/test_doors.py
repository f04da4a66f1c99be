"""One request and one seed give the same bytes through every door, and through the library.

The doors hand on what one worker encoded, so theirs are equal always. The library draws for itself:
its tokens are the worker's, always; its pixels are, because both decode with one thread here. With
more, and in a batch, a convolution may split its sums otherwise and move a pixel by one level.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from nfig.generation import BandStep
from nfig.images import encode_image
from nfig.pipeline import NFIGPipeline
from nfig_client import AsyncClient, BandCompleted, Client
from nfig_proto.v1 import image_generation_pb2 as pb
from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.stack.running import RunningStack
from service.stack.stream import parse_events

SEED = 7
SAMPLING = {"guidance_scale": 2.0, "top_k": 40, "top_p": 0.95, "temperature": 0.9}
REQUESTS = {"whole": SAMPLING, "stopped early": {**SAMPLING, "bands": 4}}
Options = dict[str, Any]
Door = Callable[[RunningStack, Options], list[bytes]]


@pytest.fixture(params=list(REQUESTS.values()), ids=list(REQUESTS))
def options(request: pytest.FixtureRequest) -> Options:
    """What is asked for, beside class and seed."""
    return dict(request.param)


def rest_json(stack: RunningStack, options: Options) -> list[bytes]:
    body = {"prompt": "cat", "seed": SEED, "n": 2, **options}
    answer = httpx.post(f"{stack.gateway_url}/v1/images/generations", json=body, timeout=60).json()
    return [base64.b64decode(image["b64_json"]) for image in answer["data"]]


def rest_picture(stack: RunningStack, options: Options) -> list[bytes]:
    """One picture is all that such an answer can hold."""
    body = {"prompt": "cat", "seed": SEED, **options}
    headers = {"accept": "image/png"}
    target = f"{stack.gateway_url}/v1/images/generations"
    return [httpx.post(target, json=body, headers=headers, timeout=60).content]


def rest_stream(stack: RunningStack, options: Options) -> list[bytes]:
    body = {"prompt": "cat", "seed": SEED, "n": 2, "stream": True, "partial_images": 2, **options}
    target = f"{stack.gateway_url}/v1/images/generations"
    with httpx.stream("POST", target, json=body, timeout=60) as answer:
        events = [data for _, data in parse_events(answer.iter_lines())]
    whole = [data for data in events if data["type"] == "image_generation.completed"]
    whole.sort(key=lambda data: data["image_index"])
    return [base64.b64decode(data["b64_json"]) for data in whole]


def native_job(stack: RunningStack, options: Options) -> list[bytes]:
    body = {"class_label": "cat", "seed": SEED, "num_images": 2, **options}
    headers = {"prefer": "wait=60"}
    job = httpx.post(f"{stack.gateway_url}/v1/jobs", json=body, headers=headers, timeout=70).json()
    return [httpx.get(image["url"]).content for image in job["images"]]


def client(stack: RunningStack, options: Options) -> list[bytes]:
    with Client(stack.gateway_url) as opened:
        drawn = opened.generate("cat", num_images=2, seed=SEED, **options)
        return [image.content for image in drawn.images]


def async_client(stack: RunningStack, options: Options) -> list[bytes]:
    async def draw() -> list[bytes]:
        async with AsyncClient(stack.gateway_url) as opened:
            drawn = await opened.generate("cat", num_images=2, seed=SEED, **options)
            return [image.content for image in drawn.images]

    return asyncio.run(draw())


def grpc_unary(stack: RunningStack, options: Options) -> list[bytes]:
    spec = pb.ImageSpec(class_name="cat", num_images=2, seed=SEED, **options)
    with grpc.insecure_channel(stack.grpc_address) as channel:
        stub = ImageGenerationServiceStub(channel)
        drawn = stub.Generate(pb.GenerateRequest(spec=spec), timeout=60)
    return [image.picture.content for image in drawn.images]


def grpc_stream(stack: RunningStack, options: Options) -> list[bytes]:
    spec = pb.ImageSpec(class_name="cat", num_images=2, seed=SEED, previews=2, **options)
    with grpc.insecure_channel(stack.grpc_address) as channel:
        stub = ImageGenerationServiceStub(channel)
        events = list(stub.GenerateStream(pb.GenerateStreamRequest(spec=spec), timeout=60))
    images = [event.image for event in events if event.HasField("image")]
    images.sort(key=lambda image: image.image_index)
    return [image.picture.content for image in images]


DOORS: dict[str, Door] = {
    "REST, picture": rest_picture,
    "REST, stream": rest_stream,
    "native job": native_job,
    "client": client,
    "async client": async_client,
    "gRPC": grpc_unary,
    "gRPC, stream": grpc_stream,
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
def test_every_door_gives_the_same_bytes(stack: RunningStack, options: Options, door: Door) -> None:
    expected = rest_json(stack, options)
    assert len(set(expected)) == 2
    drawn = door(stack, options)
    assert drawn == expected[: len(drawn)]


@pytest.fixture(scope="module")
def pipeline(tiny_checkpoint: Path) -> NFIGPipeline:
    return NFIGPipeline.from_pretrained(tiny_checkpoint)


def test_the_library_draws_the_same_tokens_and_bytes(
    stack: RunningStack, options: Options, pipeline: NFIGPipeline
) -> None:
    digests: dict[tuple[int, int], str] = {}

    def note(_: NFIGPipeline, step: BandStep) -> None:
        for index, tokens_l in enumerate(step.tokens_Bl):
            content = tokens_l.numpy().astype("<i4").tobytes()
            digests[index, step.band] = hashlib.sha256(content).hexdigest()

    drawn = pipeline(["cat"], num_images=2, seed=SEED, callback_on_band_end=note, **options)
    with Client(stack.gateway_url) as opened:
        events = list(opened.stream("cat", num_images=2, seed=SEED, **options))
        served = opened.images(events[0].job).images
    bands = [event for event in events if isinstance(event, BandCompleted)]
    assert {(band.image_index, band.band): band.token_digest for band in bands} == digests
    encoded = [encode_image(np.array(image), "png") for image in drawn.images]
    assert [image.content for image in served] == encoded
