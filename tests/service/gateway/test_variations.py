"""`POST /v1/images/variations`: a form with an image, and everything that may be wrong with it."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from service.engine.fake_engine import FakeEngine
from service.gateway.rest.schemas import ImageVariationForm

PATH = "/v1/images/variations"
GATEWAY_SETTINGS = settings(
    max_examples=100,
    deadline=None,
    # The gateway keeps nothing between requests that an example could spoil.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def a_file(kind: str = "PNG", side: int = 64) -> bytes:
    buffer = io.BytesIO()
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], np.uint8)
    picture = Image.fromarray(corners).resize((side, side), Image.Resampling.BICUBIC)
    picture.save(buffer, kind)
    return buffer.getvalue()


PNG = a_file()


async def vary(gateway: Any, content: bytes = PNG, **fields: Any) -> Any:
    return await gateway.client.post(
        PATH, data={"class_label": "0", **fields}, files={"image": ("cat.png", content)}
    )


def error_of(answer: Any) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert error["message"]
    return answer.status_code, error["code"], error["param"]


async def test_the_pixels_and_the_bands_to_keep_reach_the_queue(gateway: Any) -> None:
    answer = await vary(gateway, n="2", seed="7", keep_bands="3", temperature="0.5")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["keep_bands"], body["seed"], len(body["data"])) == (3, 7, 2)
    assert body["usage"]["input_tokens_details"] == {"text_tokens": 1, "image_tokens": 14}
    assert body["usage"]["output_tokens"] == 2 * (16 + 64)
    (request,) = gateway.queue.requests
    assert (request.keep_bands, request.num_images, request.sampling.temperature) == (3, 2, 0.5)
    with Image.open(io.BytesIO(PNG)) as image:
        assert gateway.queue.uploads == [image.tobytes()]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [({}, 2), ({"keep_bands": ""}, 2), ({"keep_bands": "0"}, 0), ({"keep_bands": "5"}, 5)]
    + [({"bands": "1"}, 1), ({"bands": "3", "keep_bands": "3"}, 3)],
)
async def test_half_of_the_bands_are_kept_unless_said_otherwise(
    gateway: Any, fields: dict[str, str], kept: int
) -> None:
    assert (await vary(gateway, **fields)).json()["keep_bands"] == kept


async def test_it_answers_in_every_way_that_generations_do(gateway: Any) -> None:
    streamed = await vary(gateway, stream="true", partial_images="2")
    assert streamed.text.count("event: image_generation.partial_image") == 2
    assert "event: image_generation.completed" in streamed.text
    picture = await gateway.client.post(
        PATH, data={"class_label": "0"}, files={"image": PNG}, headers={"accept": "image/webp"}
    )
    assert picture.headers["content-type"] == "image/webp"
    assert gateway.queue.requests[-1].picture_format == "webp"
    linked = await vary(gateway, response_format="url", output_format="jpeg")
    assert linked.json()["data"][0]["url"].startswith("http://gateway/v1/jobs/")


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"class_label": ""}, "invalid_request", "class_label"),
        ({"class_label": "unicorn"}, "unknown_class", "class_label"),
        ({"keep_bands": "6"}, "invalid_request", "keep_bands"),
        ({"keep_bands": "-1"}, "invalid_request", "keep_bands"),
        ({"keep_bands": "4", "bands": "3"}, "invalid_request", "keep_bands"),
        ({"keep_bands": "some"}, "invalid_request", "keep_bands"),
        ({"n": "99"}, "invalid_request", "n"),
        ({"seed": "1.5"}, "invalid_request", "seed"),
        ({"temperature": "nan"}, "invalid_request", "temperature"),
        ({"size": "65x65"}, "invalid_request", "size"),
        ({"size": "64x65"}, "invalid_request", "size"),
        ({"prompt": "cat"}, "invalid_request", "prompt"),
        ({"mask": "x"}, "invalid_request", "mask"),
        ({"user": "u" * 5000}, "invalid_request", "body"),
        ({"n": ["1", "2"]}, "invalid_request", "n"),
    ],
    ids=str,
)
async def test_a_bad_field_is_refused_by_name(
    gateway: Any, fields: dict[str, Any], code: str, field: str
) -> None:
    assert error_of(await vary(gateway, **fields)) == (400, code, field)
    assert not gateway.queue.requests


@pytest.mark.parametrize(
    "content", [b"", b"x", a_file("GIF"), PNG[:-30], a_file("PNG")[:60]], ids=len
)
async def test_a_bad_image_is_refused_by_name(gateway: Any, content: bytes) -> None:
    assert error_of(await vary(gateway, content)) == (400, "invalid_image", "image")
    assert not gateway.queue.requests


async def test_an_image_that_is_missing_or_no_file_is_refused_by_name(gateway: Any) -> None:
    for files in ({"other": ("a", b"x")}, {"n": (None, b"1")}, {"image": (None, b"text")}):
        answer = await gateway.client.post(PATH, data={"class_label": "0"}, files=files)
        field = "other" if "other" in files else "image"
        assert error_of(answer)[::2] == (400, field)
    twice = [("image", ("a", PNG)), ("image", ("b", PNG))]
    answer = await gateway.client.post(PATH, data={"class_label": "0"}, files=twice)
    assert answer.status_code == 400


async def test_what_is_no_form_is_refused(gateway: Any) -> None:
    answer = await gateway.client.post(PATH, json={"class_label": 0})
    assert error_of(answer) == (415, "unsupported_media_type", "content-type")
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = await gateway.client.post(PATH, content=b"junk", headers={"content-type": kind})
        assert error_of(answer)[::2] == (400, "body")


async def test_large_files_are_refused_and_other_paths_take_none(open_gateway: Any) -> None:
    gateway = open_gateway(max_upload_bytes=20_000, max_body_bytes=2_000)
    assert error_of(await vary(gateway, b"x" * 20_001)) == (413, "body_too_large", "image")
    assert error_of(await vary(gateway, b"x" * 23_000)) == (413, "body_too_large", "body")
    answer = await gateway.client.post("/v1/images/generations", content=b"x" * 2_001)
    assert error_of(answer) == (413, "body_too_large", "body")
    small = open_gateway(max_upload_pixels=100)
    assert error_of(await vary(small)) == (400, "invalid_image", "image")


@GATEWAY_SETTINGS
@given(content=st.binary(max_size=300) | st.integers(0, len(PNG)).map(lambda end: PNG[:end]))
async def test_hostile_files_are_refused_by_name(gateway: Any, content: bytes) -> None:
    answer = await vary(gateway, content)
    assert answer.status_code == 200 or error_of(answer) == (400, "invalid_image", "image")


@GATEWAY_SETTINGS
@given(
    field=st.sampled_from([*ImageVariationForm.model_fields, "prompt", "", "x"]),
    value=st.text(max_size=20) | st.integers().map(str) | st.sampled_from(["true", "1e400"]),
)
async def test_hostile_fields_are_refused_by_name(gateway: Any, field: str, value: str) -> None:
    answer = await vary(gateway, **{field: value})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert error_of(answer)[2] in {field, "body"}


@GATEWAY_SETTINGS
@given(body=st.binary(max_size=300), cut=st.booleans())
async def test_hostile_forms_are_refused_by_name(gateway: Any, body: bytes, cut: bool) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    content = body if cut else head + body
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = await gateway.client.post(PATH, content=content, headers=headers)
    assert error_of(answer)[0] == 400


# OpenAI has deprecated its variations, and the client says so.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_official_client_varies_and_raises(listen: Any, queue: Any) -> None:
    url = await listen(queue, queue_timeout_seconds=1)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        ours = {"class_label": 2, "seed": 7, "keep_bands": 5}
        answer = await client.images.create_variation(image=PNG, n=2, extra_body=ours)
        assert answer.data is not None
        whole = [base64.b64decode(image.b64_json or "") for image in answer.data]
        # All bands are kept, so that both are the picture itself as the engine has it.
        assert whole[0] == whole[1]
        with pytest.raises(openai.BadRequestError) as refused:
            await client.images.create_variation(image=b"no image", extra_body=ours)
        assert (refused.value.code, refused.value.param) == ("invalid_image", "image")
        with pytest.raises(openai.BadRequestError) as missing:
            await client.images.create_variation(image=PNG)
        assert missing.value.param == "class_label"


async def test_the_same_image_and_seed_give_the_same_bytes(
    whole_gateway: Any, engine: FakeEngine
) -> None:
    first = await vary(whole_gateway, seed="7", keep_bands="2")
    again = await vary(whole_gateway, seed="7", keep_bands="2")
    digests = [[image["digest"] for image in each.json()["data"]] for each in (first, again)]
    assert digests[0] == digests[1]
    assert [image["b64_json"] for image in first.json()["data"]] == [
        image["b64_json"] for image in again.json()["data"]
    ]
    other = await vary(whole_gateway, a_file("WEBP", side=20), seed="7", keep_bands="4")
    assert other.json()["data"][0]["digest"] not in digests[0]
    job = (await whole_gateway.client.get(f"/v1/jobs/{first.json()['job']}")).json()
    assert job["keep_bands"] == 2
    events = await whole_gateway.client.get(job["urls"]["events"])
    assert events.text.count('"kept":true') == 2
    assert events.text.count('"kept":false') == engine.card.num_bands - 2
