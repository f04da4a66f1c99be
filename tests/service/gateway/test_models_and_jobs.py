"""Laws of `/v1/models` and of the picture route."""

from __future__ import annotations

from typing import Any

import pytest


async def test_models_are_listed_with_what_a_caller_needs(gateway: Any) -> None:
    listing = (await gateway.client.get("/v1/models")).json()
    assert listing["object"] == "list"
    (model,) = listing["data"]
    assert (model["id"], model["object"], model["engine"]) == ("tiny", "model", "ready")
    assert (model["bands"], model["grid_sides"]) == (5, [1, 2, 3, 4, 8])
    assert (model["image_size"], model["num_classes"]) == ("64x64", 5)
    assert "class_names" not in model


async def test_one_model_tells_its_classes(gateway: Any) -> None:
    model = (await gateway.client.get("/v1/models/tiny")).json()
    assert model["class_names"] == ["cat", "dog", "crane", "crane", "7"]
    assert model["defaults"]["guidance_scale"] == 1.5


async def test_an_unknown_model_is_not_found(gateway: Any) -> None:
    answer = await gateway.client.get("/v1/models/other")
    assert (answer.status_code, answer.json()["field"]) == (404, "model")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("job-7/images/0", 404),
        ("job-0/images/1", 404),
        ("job-0/images/one", 400),
        ("job-0/images/-1", 400),
        ("a%00b/images/0", 400),
        ("x" * 65 + "/images/0", 400),
    ],
)
async def test_a_picture_that_is_not_there_is_a_clean_error(
    gateway: Any, path: str, status: int
) -> None:
    await gateway.generate({"prompt": "cat"})
    answer = await gateway.client.get(f"/v1/jobs/{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] in {"job_id", "index"}


async def test_any_picture_is_served_by_its_digest(gateway: Any) -> None:
    body = {"class_label": "cat", "previews": 2, "picture_format": "webp"}
    await gateway.client.post("/v1/jobs", json=body, headers={"prefer": "wait=1"})
    assert len(gateway.queue.pictures) == 3
    for digest, content in gateway.queue.pictures.items():
        path = f"/v1/jobs/job-0/pictures/{digest}"
        answer = await gateway.client.get(path)
        assert (answer.content, answer.headers["content-type"]) == (content, "image/webp")
        assert "immutable" in answer.headers["cache-control"]
        tag = answer.headers["etag"]
        again = await gateway.client.get(path, headers={"if-none-match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("job-0/pictures/" + "0" * 64, 404),
        ("job-7/pictures/" + "0" * 64, 404),
        ("job-0/pictures/0", 400),
        ("job-0/pictures/" + "g" * 64, 400),
    ],
)
async def test_a_digest_of_nothing_is_a_clean_error(gateway: Any, path: str, status: int) -> None:
    await gateway.generate({"prompt": "cat"})
    assert (await gateway.client.get(f"/v1/jobs/{path}")).status_code == status


async def test_an_image_that_is_still_being_drawn_has_no_picture_yet(gateway: Any) -> None:
    await gateway.client.post("/v1/jobs", json={"class_label": "cat"})
    gateway.queue.hang_after_band = 3
    answer = await gateway.client.get("/v1/jobs/job-0/images/0")
    assert (answer.status_code, answer.json()["field"]) == (404, "index")
    gateway.queue.hang_after_band = None
    assert (await gateway.client.get("/v1/jobs/job-0/images/0")).status_code == 200


@pytest.mark.parametrize("tag", ["*", '"nothing", "{digest}"', 'W/"{digest}"'])
async def test_a_caller_with_the_picture_is_not_sent_it_again(gateway: Any, tag: str) -> None:
    answer = (await gateway.generate({"prompt": "cat", "response_format": "url"})).json()
    (image,) = answer["data"]
    header = tag.replace("{digest}", image["digest"])
    again = await gateway.client.get(image["url"], headers={"if-none-match": header})
    assert (again.status_code, again.content) == (304, b"")
    other = await gateway.client.get(image["url"], headers={"if-none-match": '"other"'})
    assert other.status_code == 200
