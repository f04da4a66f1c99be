"""The operator's part of the queue in Redis: to look at dead letters, to retry and to drop them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from service.domain import ANONYMOUS, GenerationRequest, Job, JobFailed, JobQueued
from service.errors import InvalidRequest
from service.jobs import codec
from service.jobs.dead_letters import DeadLetter, no_letter, no_upload
from service.jobs.keys import GROUP
from service.jobs.progress import start_limit_ms
from service.jobs.redis_answers import job_of, require_room
from service.jobs.redis_failures import submitting, unavailable
from service.jobs.redis_store import RedisStore

Fields = Mapping[bytes, bytes]


class RedisOperatorVerbs(RedisStore):
    """Those of `JobQueue` that operators use."""

    async def dead_letters(self) -> Sequence[DeadLetter]:
        with unavailable():
            entries = await self._redis.xrange(self._keys.dead)
        return [_letter(entry, fields) for entry, fields in entries]

    async def retry_dead(self, job_id: str) -> Job:
        entry, letter = await self._found(job_id)
        try:
            request = codec.decode_request(letter[b"request"])
        except ValueError as error:
            text = f"the request of job {job_id} cannot be read by this version"
            raise InvalidRequest(text, field="job_id") from error
        answer = await self._retry(job_id, entry, letter, request)
        if answer[0] == b"missing":
            raise no_letter(job_id)
        if answer[0] == b"expired":
            raise no_upload(job_id)
        require_room(answer[0], self._limits.depth_for(request))
        facts = [*answer[2:], letter[b"tenant"]]
        return job_of(answer[1].decode(), *facts)

    async def drop_dead(self, job_id: str) -> None:
        entry, _ = await self._found(job_id)
        with unavailable():
            await self._scripts.drop(
                keys=[self._keys.dead, self._keys.upload(job_id)], args=[entry]
            )

    async def _retry(
        self, job_id: str, entry: str, letter: Fields, request: GenerationRequest
    ) -> list[Any]:
        keys, new_id = self._keys, uuid.uuid4().hex
        tenant = letter[b"tenant"].decode() or ANONYMOUS
        upload_ms = int(self._limits.upload_seconds * 1000)
        with submitting():
            answer: list[Any] = await self._scripts.retry(
                keys=[
                    keys.dead,
                    keys.job(new_id),
                    keys.log(new_id),
                    keys.waiting(request.model, request.priority),
                    keys.outstanding,
                    keys.in_flight(tenant),
                    keys.upload(job_id),
                    keys.upload(new_id),
                ],
                args=[
                    entry,
                    GROUP,
                    new_id,
                    letter[b"request"],
                    request.model,
                    codec.encode_event(JobQueued()),
                    self._limits.depth_for(request),
                    -1 if (limit := start_limit_ms(request)) is None else limit,
                    tenant,
                    request.priority,
                    letter[b"footprint"],
                    self._limits.memory_bytes,
                    -1 if request.keep_bands is None else upload_ms,
                ],
            )
        return answer

    async def _found(self, job_id: str) -> tuple[str, Fields]:
        """The letter's entry and fields. Raises NotFound."""
        with unavailable():
            entries = await self._redis.xrange(self._keys.dead)
        for entry, fields in entries:
            if fields[b"job"] == job_id.encode():
                return entry.decode(), fields
        raise no_letter(job_id)


def _letter(entry: bytes, fields: Fields) -> DeadLetter:
    failure = codec.decode_event(fields[b"event"])
    assert isinstance(failure, JobFailed)
    return DeadLetter(
        job_id=fields[b"job"].decode(),
        at=int(entry.split(b"-")[0]) / 1e3,
        tenant=fields[b"tenant"].decode() or ANONYMOUS,
        attempts=int(fields[b"attempts"]),
        worker_id=fields[b"worker"].decode(),
        failure=failure,
    )
