"""Laws of what both clients make of answers that this service would rarely give."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from nfig_client import (
    ApiError,
    AuthenticationError,
    Client,
    Picture,
    ProtocolError,
    RateLimitError,
    ServerError,
)
from tests.nfig_client.conftest import OpenClient
from tests.nfig_client.scripted_server import Scripted, scripted

NO_MODELS = Scripted(body=b'{"data": []}')


def problem(status: int, code: str, **headers: str) -> Scripted:
    body = {"status": status, "code": code, "detail": "so it is", "request_id": "req_1"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Scripted(status=status, body=json.dumps(body).encode(), headers=named)


def test_a_refusal_that_may_pass_is_asked_again_when_it_says(open_client: OpenClient) -> None:
    with scripted(problem(503, "queue_full", retry_after="1"), NO_MODELS) as server:
        began = time.monotonic()
        assert open_client(server.url).models() == []
        assert time.monotonic() - began >= 1
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "num_asked"),
    [
        (problem(503, "queue_full", retry_after="3600"), ServerError, 1),
        (problem(500, "internal"), ServerError, 1),
        (problem(503, "engine_unavailable", x_should_retry="false"), ServerError, 1),
        (problem(502, "unknown"), ServerError, 9),
        (problem(409, "job_cancelled", x_should_retry="true"), ApiError, 9),
        (problem(429, "rate_limited", x_should_retry="false"), RateLimitError, 1),
        (problem(401, "no_key"), AuthenticationError, 1),
    ],
    ids=lambda value: getattr(value, "__name__", str(getattr(value, "status", value))),
)
def test_what_is_asked_again_and_what_is_raised(
    open_client: OpenClient, answer: Scripted, kind: type[ApiError], num_asked: int
) -> None:
    with scripted(answer) as server:
        with pytest.raises(kind, match="so it is") as caught:
            open_client(server.url).models()
        assert len(server.asked) == num_asked
    assert (caught.value.status, caught.value.request_id) == (answer.status, "req_1")


def test_an_error_that_is_not_json_is_still_an_error(open_client: OpenClient) -> None:
    with scripted(Scripted(status=404, body=b"<html>")) as server:
        with pytest.raises(ApiError, match="the service answered 404") as caught:
            open_client(server.url).models()
        assert caught.value.code == "unknown"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"data": [{"id": "x"}]}'])
def test_what_is_not_this_service_is_named(open_client: OpenClient, body: bytes) -> None:
    with scripted(Scripted(body=body)) as server, pytest.raises(ProtocolError):
        open_client(server.url).models()


def picture(url: str) -> Picture:
    return Picture(digest="0" * 64, num_bytes=1, format="png", side=1, url=f"{url}/picture")


def test_a_picture_that_is_another_is_refused(open_client: OpenClient) -> None:
    with scripted(Scripted(body=b"x")) as server, pytest.raises(ProtocolError, match="0000"):
        open_client(server.url).download(picture(server.url))


def test_the_key_is_for_the_service_alone(open_client: OpenClient) -> None:
    with scripted(NO_MODELS) as service, scripted(Scripted(body=b"x")) as elsewhere:
        client = open_client(service.url, api_key="secret")
        client.models()
        with pytest.raises(ProtocolError):
            client.download(picture(elsewhere.url))
        assert service.asked[0]["authorization"] == "Bearer secret"
        assert "authorization" not in elsewhere.asked[0]


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(NO_MODELS) as server:
        monkeypatch.setenv("NFIG_BASE_URL", f"{server.url}/")
        monkeypatch.setenv("NFIG_API_KEY", "secret")
        with Client() as client:
            client.models()
            assert "secret" not in repr(vars(client._flows))
        assert server.asked[0]["authorization"] == "Bearer secret"


@pytest.mark.parametrize("url", ["service", "ftp://service", "http://", "http://a:b", "//x"])
def test_an_address_that_is_none_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Client(url)


@pytest.mark.parametrize("key", ["a b", "a\n", "ü"])
def test_a_key_that_is_none_is_refused_by_name(key: str) -> None:
    with pytest.raises(ValueError, match="api_key"):
        Client(api_key=key)


def stream(*events: tuple[str, Mapping[str, Any]]) -> Scripted:
    text = "".join(
        f"event: {name}\ndata: {json.dumps(data)}\nid: {index}-0\n\n"
        if name != "error"
        else f"event: error\ndata: {json.dumps(data)}\n\n"
        for index, (name, data) in enumerate(events)
    )
    return Scripted(body=text.encode(), headers={"content-type": "text/event-stream"})


SAYS = {"job": "a", "elapsed_ms": 1.0}


def test_an_error_in_a_stream_that_may_pass_is_resumed_after(open_client: OpenClient) -> None:
    broken = stream(("job.queued", SAYS), ("error", {"status": 503, "code": "queue_unavailable"}))
    rest = stream(("job.queued", SAYS), ("job.completed", SAYS))
    with scripted(broken, rest) as server:
        seen = list(open_client(server.url).watch("a"))
        assert [type(event).__name__ for event in seen][-1] == "JobCompleted"
        assert server.asked[1]["last-event-id"] == "0-0"


def test_an_error_in_a_stream_that_does_not_pass_is_raised(open_client: OpenClient) -> None:
    broken = stream(("error", {"status": 500, "code": "internal", "detail": "a defect"}))
    with scripted(broken) as server, pytest.raises(ServerError, match="a defect"):
        list(open_client(server.url).watch("a"))


def test_events_of_a_newer_service_are_handed_on(open_client: OpenClient) -> None:
    newer = stream(("job.moved", {**SAYS, "name": "x"}), ("job.completed", {**SAYS, "more": 1}))
    with scripted(newer) as server:
        moved, _ = open_client(server.url).watch("a")
        assert (moved.name, moved.data["name"], moved.id) == ("job.moved", "x", "0-0")
