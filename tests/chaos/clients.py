"""The load: callers as they are in life, over HTTP, who write down all that they do and see."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.history import TERMINAL, Answered, Door, Left, Record, Seen, Sent, Unanswered

SHAPES: Mapping[str, Mapping[str, Any]] = {
    f"{images} of {label}, seed {seed}": {"class_label": label, "seed": seed, "images": images}
    for label, seed, images in [(0, 1, 1), (1, 2, 1), (2, 3, 2), (3, 4, 4), (1, 5, 1), (4, 6, 3)]
}
"""What is asked for: few requests, each often, so that an undisturbed run of each is quick."""
NOBODY_KNOWS = frozenset({"queue_unavailable"})
"""The answer was lost on its way to the gateway: the call may have been carried out."""
CALL_SECONDS = 75.0
PAUSE_SECONDS = 0.2
WATCH_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Event:
    id: str
    name: str
    data: Mapping[str, Any]


class Clients:
    """`records` grows; everything random comes from `rng`."""

    def __init__(self, urls: Sequence[str], rng: random.Random) -> None:
        self.records: list[Record] = []
        self._urls = urls
        self._rng = rng
        self._ops = 0
        # A connection each time: pools of ours would hide which gateway is asked.
        self._http = httpx.AsyncClient(timeout=CALL_SECONDS, limits=_NO_POOL)

    async def close(self) -> None:
        await self._http.aclose()

    async def go_on(self, stop: asyncio.Event) -> None:
        """One caller after another until told to stop; the last one is let finish."""
        kinds = [self.native, self.cancelled, self.attached, self.streamed, self.leaving, self.slow]
        while not stop.is_set():
            kind = self._rng.choices(kinds, weights=[5, 1, 2, 2, 1, 1])[0]
            await kind(self._rng.choice(sorted(SHAPES)))
            # Without it, whoever is refused comes back at once, and refusals are all there is.
            await asyncio.sleep(self._rng.uniform(0, 2 * PAUSE_SECONDS))

    async def native(self, shape: str) -> None:
        """A job by a key, and two who watch it."""
        if job := await self.create(shape):
            await asyncio.gather(self.watch(job), self.watch(job))

    async def slow(self, shape: str) -> None:
        """A watcher who takes its time over every event."""
        if job := await self.create(shape):
            await self.watch(job, pause_seconds=0.3)

    async def cancelled(self, shape: str) -> None:
        if job := await self.create(shape):
            watching = asyncio.create_task(self.watch(job))
            await asyncio.sleep(self._rng.uniform(0, 0.6))
            while (answer := await self._cancel(job)) is None or answer.status in (429, 503):
                await asyncio.sleep(PAUSE_SECONDS)
            await watching

    async def attached(self, shape: str) -> bool:
        """True if the images came."""
        body = _openai(shape)
        answer = await self._call("attached", "/v1/images/generations", body, shape=shape)
        return answer is not None and answer.status == 200

    async def streamed(self, shape: str) -> None:
        await self._stream(shape, leave=False)

    async def leaving(self, shape: str) -> None:
        await self._stream(shape, leave=True)

    async def create(self, shape: str) -> str | None:
        """The job, which is asked for by the same key until the outcome is known; None if it was
        refused."""
        key = f"key-{self._rng.getrandbits(64):x}"
        wanted = SHAPES[shape]
        body = {**_picture(wanted), "num_images": wanted["images"], "previews": 2}
        while True:
            headers = {"idempotency-key": key}
            answer = await self._call("native", "/v1/jobs", body, shape=shape, headers=headers)
            if answer is not None:
                return answer.job
            await asyncio.sleep(PAUSE_SECONDS)

    async def watch(
        self,
        job: str,
        *,
        name: str = "",
        pause_seconds: float = 0.0,
        seconds: float = WATCH_SECONDS,
    ) -> None:
        """To the terminal event, from one gateway or the other, going on by the last id."""
        name = name or f"watcher-{self._rng.getrandbits(64):x}"
        last = "0"
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            try:
                async with (
                    asyncio.timeout_at(deadline),
                    aclosing(self._events(job, last)) as events,
                ):
                    async for event in events:
                        last = event.id
                        seen = Seen(
                            watcher=name, job=job, id=last, name=event.name, data=event.data
                        )
                        self.records.append(seen)
                        if event.name in TERMINAL:
                            return
                        await asyncio.sleep(pause_seconds)
            except (httpx.TransportError, TimeoutError):
                pass
            await asyncio.sleep(PAUSE_SECONDS)

    async def _events(self, job: str, after: str) -> AsyncGenerator[Event]:
        url = f"{self._rng.choice(self._urls)}/v1/jobs/{job}/events"
        headers = {"last-event-id": after}
        async with self._http.stream("GET", url, headers=headers, timeout=20) as answer:
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

    async def _cancel(self, job: str) -> Answered | None:
        return await self._call("cancel", f"/v1/jobs/{job}/cancel", {}, job=job)

    async def _stream(self, shape: str, *, leave: bool) -> None:
        sent = self._sent("attached", shape=shape)
        body = {**_openai(shape), "stream": True, "partial_images": 3}
        url = f"{self._rng.choice(self._urls)}/v1/images/generations"
        job = None
        status = 0
        try:
            async with self._http.stream("POST", url, json=body) as answer:
                status = answer.status_code
                if status != 200:
                    self._note(sent, answer, await answer.aread())
                    return
                async for line in answer.aiter_lines():
                    if line.startswith("data: ") and job is None:
                        job = json.loads(line[6:]).get("job")
                        if leave:
                            break
        except httpx.TransportError as error:
            if job is None:
                self.records.append(_unanswered(sent, repr(error)))
                return
        if job is None:
            self.records.append(_unanswered(sent, "the stream ended in an error"))
            return
        self.records.append(Answered(op=sent.op, at=time.time(), status=status, job=job))
        if leave:
            self.records.append(Left(at=time.time(), job=job))

    async def _call(
        self,
        door: Door,
        path: str,
        body: Mapping[str, Any],
        *,
        shape: str | None = None,
        job: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered | None:
        """None if nobody knows what became of it."""
        key = None if headers is None else headers.get("idempotency-key")
        sent = self._sent(door, shape=shape, key=key, job=job)
        url = self._rng.choice(self._urls) + path
        try:
            answer = await self._http.post(url, json=body, headers=headers)
        except httpx.TransportError as error:
            self.records.append(_unanswered(sent, repr(error)))
            return None
        return self._note(sent, answer, answer.content)

    def _sent(self, door: Door, **fields: str | None) -> Sent:
        self._ops += 1
        sent = Sent(op=self._ops, at=time.time(), door=door, **fields)
        self.records.append(sent)
        return sent

    def _note(self, sent: Sent, answer: httpx.Response, content: bytes) -> Answered | None:
        data = json.loads(content)
        code = data.get("error", data).get("code") if answer.status_code >= 400 else None
        if code in NOBODY_KNOWS:
            self.records.append(_unanswered(sent, code))
            return None
        noted = Answered(
            op=sent.op,
            at=time.time(),
            status=answer.status_code,
            code=code,
            job=(data.get("job") or data.get("id")) if code is None else None,
            has_retry_after="retry-after" in answer.headers,
        )
        self.records.append(noted)
        return noted


_NO_POOL = httpx.Limits(max_keepalive_connections=0)


def _picture(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {"class_label": wanted["class_label"], "seed": wanted["seed"]}


def _openai(shape: str) -> dict[str, Any]:
    wanted = SHAPES[shape]
    return {**_picture(wanted), "n": wanted["images"]}


def _unanswered(sent: Sent, error: str) -> Unanswered:
    return Unanswered(op=sent.op, at=time.time(), error=error)
