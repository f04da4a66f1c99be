"""A native job through real Redis and a real worker, watched over a connection that breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx
import pytest

from service.stack.choice import EngineName
from service.stack.running import RunningStack

StartStack = Callable[[EngineName | None], AbstractContextManager[RunningStack]]


@dataclass(frozen=True)
class Seen:
    id: str
    name: str
    data: dict[str, Any]


@pytest.fixture(scope="module")
def url(start_stack: StartStack) -> Iterator[str]:
    with start_stack("fake") as stack:
        yield stack.gateway_url


def watch(url: str, *, count: int | None = None, **headers: str) -> list[Seen]:
    """The first `count` events, whereupon the connection is dropped; all of them without it."""
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        return list(islice(parse(answer.iter_lines()), count))


def parse(lines: Iterator[str]) -> Iterator[Seen]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif line == "" and "event" in fields:
            yield Seen(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


def test_a_watcher_who_loses_the_connection_sees_every_band_once_and_in_order(url: str) -> None:
    body = {"class_label": 2, "seed": 7, "num_images": 2, "previews": 2}
    created = httpx.post(f"{url}/v1/jobs", json=body)
    assert created.status_code == 202
    urls = created.json()["urls"]
    first = watch(urls["events"], count=2)
    rest = watch(urls["events"], **{"last-event-id": first[-1].id})
    events = first + rest
    assert [event.name for event in first] == ["job.queued", "job.started"]
    assert [event.name for event in events].count("job.completed") == 1
    assert events[-1].name == "job.completed"
    job = httpx.get(urls["self"]).json()
    assert job["state"] == "completed"
    bands = [event.data for event in events if event.name == "band.completed"]
    for index in range(2):
        assert [band["band"] for band in bands if band["image_index"] == index] == list(
            range(job["bands"])
        )
    assert events == watch(urls["events"])
    shown = [band["preview"] for band in bands if band["preview"] is not None]
    for picture in [*shown, *job["images"]]:
        assert httpx.get(picture["url"]).headers["etag"] == f'"{picture["digest"]}"'


def test_a_job_draws_what_the_openai_shaped_route_draws(url: str) -> None:
    body = {"class_label": 2, "seed": 7}
    job = httpx.post(f"{url}/v1/jobs", json=body, headers={"prefer": "wait=30"}, timeout=40)
    assert (job.status_code, job.headers["preference-applied"]) == (200, "wait=30")
    image = httpx.post(f"{url}/v1/images/generations", json=body, timeout=40).json()["data"][0]
    assert job.json()["images"][0]["digest"] == image["digest"]
