"""Callers over HTTP, and what they write down."""

from __future__ import annotations

import base64
import json
import random
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import httpx

from tests.chaos.history import Answered, Sent, Source
from tests.chaos.listening import ACCEPTED, ERROR, IMAGE, Told, listen
from tests.chaos.notebook import Event, Notebook
from tests.chaos.wishes import (
    PREVIEWS,
    SHAPES,
    Wish,
    images_body,
    job_body,
    upload,
    variation_form,
)

CALL_SECONDS = 75.0
SILENT_SECONDS = 20.0
"""After which a watcher gives up a connection on which nothing comes."""
KINDS = {"image_generation.partial_image": "preview", "image_generation.completed": IMAGE}
BROKEN = httpx.TransportError
_NO_POOL = httpx.Limits(max_keepalive_connections=0)
_NARROW = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)]
"""The least that the kernel takes in for whoever does not read."""


class HttpDoor:
    """Asks one gateway or the other."""

    name = "http"

    def __init__(self, urls: Sequence[str], rng: random.Random, notebook: Notebook) -> None:
        self._urls = urls
        self._rng = rng
        self._notebook = notebook
        self._upload = upload()
        # A connection each time: pools of ours would hide which gateway is asked.
        self._http = httpx.AsyncClient(timeout=CALL_SECONDS, limits=_NO_POOL)
        narrow = httpx.AsyncHTTPTransport(limits=_NO_POOL, socket_options=_NARROW)
        self._narrow = httpx.AsyncClient(timeout=CALL_SECONDS, transport=narrow)

    async def close(self) -> None:
        await self._http.aclose()
        await self._narrow.aclose()

    async def create(self, wish: Wish, *, key: str) -> Answered | None:
        """None where the outcome is not known; so of all calls."""
        sent = self._notebook.sent("http", "native", wish, key=key)
        headers = {"idempotency-key": key}
        return await self._post(sent, "/v1/jobs", json=job_body(wish), headers=headers)

    async def draw(self, wish: Wish) -> Answered | None:
        """An attached job, of a variation too."""
        sent = self._notebook.sent("http", "attached", wish)
        if SHAPES[wish.shape].keep is None:
            return await self._post(sent, "/v1/images/generations", json=images_body(wish))
        files = {"image": ("picture.png", self._upload)}
        form = variation_form(wish)
        return await self._post(sent, "/v1/images/variations", data=form, files=files)

    async def cancel(self, job: str) -> Answered | None:
        sent = self._notebook.cancelling("http", job)
        return await self._post(sent, f"/v1/jobs/{job}/cancel", json={})

    async def stream(
        self, wish: Wish, *, leave_after: int | None = None, stall_seconds: float = 0.0
    ) -> None:
        """An attached job as it is drawn."""
        sent = self._notebook.sent("http", "attached", wish)
        events = self._following(sent, wish)
        await listen(
            self._notebook,
            sent,
            wish,
            events,
            broken=(BROKEN,),
            leave_after=leave_after,
            stall_seconds=stall_seconds,
        )

    async def _following(self, sent: Sent, wish: Wish) -> Told:
        body = {**images_body(wish), "stream": True, "partial_images": PREVIEWS}
        url = f"{self._any_url()}/v1/images/generations"
        async with self._narrow.stream("POST", url, json=body) as answer:
            if answer.status_code != 200:
                self._note(sent, answer, await answer.aread())
                return
            job = answer.headers["x-nfig-job"]
            self._notebook.accepted(sent, 200, job)
            yield job, ACCEPTED
            async for line in answer.aiter_lines():
                if not line.startswith("data: "):
                    continue
                data = json.loads(line[6:])
                kind = KINDS.get(data.get("type"), ERROR)
                if kind == IMAGE:
                    self._pictured("stream", job, data)
                yield job, kind

    async def events(self, job: str, after: str) -> AsyncGenerator[Event]:
        """Of the job's log, after one of them."""
        url = f"{self._any_url()}/v1/jobs/{job}/events"
        headers = {"last-event-id": after}
        async with self._http.stream("GET", url, headers=headers, timeout=SILENT_SECONDS) as answer:
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    field, _, value = line.partition(": ")
                    fields[field] = value
                    continue
                # What has no id is not of the log: comments, `retry`, an error.
                if "id" in fields:
                    data = json.loads(fields["data"])
                    yield Event(id=fields["id"], name=fields["event"], data=data)
                fields = {}

    async def image(self, job: str, index: int) -> bytes | None:
        """The bytes of an image that is complete; None if they cannot be had."""
        answer = await self._http.get(f"{self._any_url()}/v1/jobs/{job}/images/{index}")
        return answer.content if answer.status_code == 200 else None

    def _pictured(self, source: Source, job: str, data: Mapping[str, Any]) -> None:
        content = base64.b64decode(data["b64_json"])
        bands = data["bands_completed"]
        self._notebook.pictured(source, job, data["image_index"], content, bands)

    async def _post(self, sent: Sent, path: str, **request: Any) -> Answered | None:
        try:
            answer = await self._http.post(f"{self._any_url()}{path}", **request)
        except BROKEN as error:
            self._notebook.unanswered(sent, repr(error))
            return None
        return self._note(sent, answer, answer.content)

    def _note(self, sent: Sent, answer: httpx.Response, content: bytes) -> Answered | None:
        data = json.loads(content)
        if answer.status_code < 300:
            job = data.get("job") or data["id"]
            for image in data.get("data", ()):
                self._pictured("answer", job, image)
            return self._notebook.accepted(sent, answer.status_code, job, _bands_completed(data))
        return self._notebook.failed(
            sent,
            answer.status_code,
            data.get("error", data).get("code"),
            has_retry_after="retry-after" in answer.headers,
        )

    def _any_url(self) -> str:
        return self._rng.choice(self._urls)


def _bands_completed(data: Mapping[str, Any]) -> list[int] | None:
    """By image, where the answer has images."""
    return [image["bands_completed"] for image in data["data"]] if "data" in data else None
