"""Callers over HTTP, and what they write down."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import httpx

from tests.chaos.history import Answered, Sent
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

    async def stream(self, wish: Wish, *, leave: bool = False, stall_seconds: float = 0.0) -> None:
        """An attached job as it is drawn. `leave` hangs up after the first event; who stalls does
        not touch the connection for so long, and then reads on."""
        sent = self._notebook.sent("http", "attached", wish)
        job, error = None, "the stream ended in an error"
        try:
            async with aclosing(self._following(sent, wish)) as jobs:
                async for job in jobs:
                    if leave:
                        break
                    if stall_seconds:
                        self._notebook.stalled(job, stall_seconds)
                        await asyncio.sleep(stall_seconds)
                        stall_seconds = 0.0
        except BROKEN as broken:
            error = repr(broken)
        if job is None and not self._notebook.has_outcome(sent):
            self._notebook.unanswered(sent, error)
        elif leave and job is not None:
            self._notebook.left(job)

    async def _following(self, sent: Sent, wish: Wish) -> AsyncGenerator[str]:
        """The job's id with each event of its stream."""
        body = {**images_body(wish), "stream": True, "partial_images": PREVIEWS}
        url = f"{self._any_url()}/v1/images/generations"
        async with self._narrow.stream("POST", url, json=body) as answer:
            if answer.status_code != 200:
                self._note(sent, answer, await answer.aread())
                return
            job = None
            async for line in answer.aiter_lines():
                found = json.loads(line[6:]).get("job") if line.startswith("data: ") else None
                if found is not None and job is None:
                    job = found
                    self._notebook.accepted(sent, 200, found)
                if found is not None:
                    yield found

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
