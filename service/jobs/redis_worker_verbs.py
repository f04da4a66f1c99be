"""The worker's half of the queue in Redis: to lease, to write for a lease, to end a job."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from itertools import chain

from service.domain import BandCompleted, ImageCompleted, JobCancelled, ModelCard, TerminalEvent
from service.jobs import codec
from service.jobs.keys import GROUP, LOG_SUFFIX, PICTURES_SUFFIX
from service.jobs.progress import (
    ENGINE_GONE,
    FAILED_BY_ATTEMPTS,
    NOT_STARTED,
    UNREADABLE,
    progress_of,
    state_after,
)
from service.jobs.queue import MODEL_TTL_SECONDS, Lease, WorkerStatus
from service.jobs.redis_answers import cancel_wanted, lease_of
from service.jobs.redis_failures import unavailable
from service.jobs.redis_reader import BLOCK_SECONDS
from service.jobs.redis_store import RedisStore

logger = logging.getLogger(__name__)


class RedisWorkerVerbs(RedisStore):
    """Those of `JobQueue` that workers use."""

    async def register_model(self, card: ModelCard) -> None:
        await self._models.put(card.id, codec.encode(card), ttl_seconds=MODEL_TTL_SECONDS)

    async def heartbeat(self, status: WorkerStatus, *, ttl_seconds: float) -> None:
        text = codec.encode(status)
        await self._workers.put(status.worker_id, text, ttl_seconds=ttl_seconds)

    async def fail_late(self, model: str) -> None:
        keys = self._keys
        with unavailable():
            await self._scripts.fail_late(
                keys=[keys.outstanding, *keys.all_waiting(model)],
                args=[
                    GROUP,
                    self._retention_ms,
                    keys.job_prefix,
                    LOG_SUFFIX,
                    PICTURES_SUFFIX,
                    codec.encode_event(NOT_STARTED),
                ],
            )

    async def sign_off(self, worker_id: str) -> None:
        await self._workers.drop(worker_id)

    async def lease(
        self,
        worker_id: str,
        *,
        model: str,
        count: int,
        wait_seconds: float,
        max_bands: int | None = None,
        engine: str | None = None,
    ) -> Sequence[Lease]:
        deadline = time.monotonic() + wait_seconds
        while True:
            leases, newest = await self._lease_now(worker_id, model, count, max_bands, engine)
            left = deadline - time.monotonic()
            if leases or left <= 0:
                return leases
            await self._wait_for_entry(newest, seconds=min(left, BLOCK_SECONDS))

    async def upload(self, job_id: str) -> bytes:
        return await self._uploads.read(job_id)

    async def renew(self, lease: Lease) -> bool:
        with unavailable():
            answer = await self._scripts.renew(
                keys=[self._keys.job(lease.job.id), self._waiting(lease)],
                args=[lease.epoch, GROUP],
            )
        return cancel_wanted(answer, lease)

    async def publish(
        self,
        lease: Lease,
        event: BandCompleted | ImageCompleted,
        *,
        pictures: Mapping[str, bytes],
    ) -> bool:
        job_id, keys = lease.job.id, self._keys
        with unavailable():
            answer = await self._scripts.publish(
                keys=[keys.job(job_id), keys.log(job_id), keys.pictures(job_id)],
                args=[
                    lease.epoch,
                    event.image_index,
                    progress_of(event),
                    codec.encode_event(event),
                    *chain.from_iterable(pictures.items()),
                ],
            )
        return cancel_wanted(answer, lease)

    async def finish(self, lease: Lease, event: TerminalEvent) -> None:
        answer = await self._finish(lease.job.id, self._waiting(lease), lease.epoch, event)
        cancel_wanted(answer, lease)

    async def _finish(self, job_id: str, waiting: str, epoch: int, event: TerminalEvent) -> bytes:
        with unavailable():
            answer: bytes = await self._scripts.finish(
                keys=self._keys_to_end(job_id, waiting),
                args=[
                    epoch,
                    GROUP,
                    job_id,
                    state_after(event).value,
                    codec.encode_event(event),
                    self._retention_ms,
                ],
            )
        return answer

    async def hand_back(self, lease: Lease, *, counts: bool = False) -> None:
        with unavailable():
            answer = await self._scripts.hand_back(
                keys=[self._keys.job(lease.job.id), self._waiting(lease)],
                args=[lease.epoch, GROUP, 0 if counts else -1],
            )
        cancel_wanted(answer, lease)

    async def _lease_now(
        self, worker_id: str, model: str, count: int, max_bands: int | None, engine: str | None
    ) -> tuple[list[Lease], Mapping[str, str]]:
        """The leases, and the newest entry of each waiting stream."""
        keys = self._keys
        all_waiting = keys.all_waiting(model)
        call = self._unanswered.pop(worker_id, None) or uuid.uuid4().hex
        try:
            with unavailable():
                found, newest = await self._scripts.lease(
                    keys=[keys.outstanding, keys.dead, keys.taken(worker_id), *all_waiting],
                    args=[
                        *self._lease_arguments(worker_id, count),
                        max_bands or 0,
                        engine or "",
                        codec.encode_event(ENGINE_GONE),
                        int(self._limits.engine_wait_seconds * 1000),
                        call,
                    ],
                )
        except BaseException:
            # It may have taken jobs all the same: the next call asks what.
            self._unanswered[worker_id] = call
            raise
        leases = []
        for facts in found:
            try:
                leases.append(lease_of(facts, worker_id=worker_id))
            except ValueError:
                # Not the worker's end: it would take the next worker with it, too.
                job_id, epoch, waiting = facts[0].decode(), facts[3], facts[7].decode()
                logger.exception("job %s cannot be read", job_id)
                await self._finish(job_id, waiting, epoch, UNREADABLE)
        entries = [entry.decode() for entry in newest]
        return leases, dict(zip(all_waiting, entries, strict=True))

    def _lease_arguments(self, worker_id: str, count: int) -> list[str | int]:
        limits = self._limits
        return [
            GROUP,
            worker_id,
            count,
            int(limits.lease_seconds * 1000),
            limits.max_attempts,
            self._retention_ms,
            self._keys.job_prefix,
            LOG_SUFFIX,
            PICTURES_SUFFIX,
            codec.started_template(),
            codec.encode_event(FAILED_BY_ATTEMPTS),
            codec.encode_event(JobCancelled()),
            codec.encode_event(NOT_STARTED),
            self._head_start_ms,
            limits.max_dead_letters,
            int(limits.dead_letter_seconds * 1000),
        ]

    async def _wait_for_entry(self, newest: Mapping[str, str], *, seconds: float) -> None:
        """Until a job is added, or the time is up. Takes nothing, so nothing can be lost here."""
        with unavailable():
            await self._redis.xread(dict(newest), count=1, block=int(seconds * 1000) + 1)

    def _waiting(self, lease: Lease) -> str:
        request = lease.job.request
        return self._keys.waiting(request.model, request.priority)
