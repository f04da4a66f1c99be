"""`nfig-admin jobs` against a real Redis with dead jobs in it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from typer.testing import CliRunner, Result

from service.admin.cli import app
from service.domain import JobState
from service.jobs.queue import QueueLimits
from service.jobs.redis_connection import connect
from service.jobs.redis_queue import RedisQueue
from service.stack.redis_server import RedisServer
from tests.requests import request_of

Answer = TypeVar("Answer")
LIMITS = QueueLimits(lease_seconds=0.02, max_attempts=1)


class Bench:
    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name

    def dead(self, count: int) -> list[str]:
        """Ids of new dead jobs."""

        async def die(queue: RedisQueue) -> list[str]:
            jobs = [await queue.submit(request_of()) for _ in range(count)]
            await queue.lease("killer", model="fake", count=count, wait_seconds=0)
            await asyncio.sleep(0.05)
            await queue.lease("finder", model="fake", count=1, wait_seconds=0)
            return [job.id for job in jobs]

        return asyncio.run(self._with(die))

    def state(self, job_id: str) -> JobState:
        async def state(queue: RedisQueue) -> JobState:
            return (await queue.job(job_id)).state

        return asyncio.run(self._with(state))

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["jobs", *words])

    async def _with(self, act: Callable[[RedisQueue], Awaitable[Answer]]) -> Answer:
        queue = RedisQueue(connect(self._url), name=self._name, limits=LIMITS)
        try:
            return await act(queue)
        finally:
            await queue.close()


@pytest.fixture
def bench(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Bench:
    name = uuid.uuid4().hex
    monkeypatch.setenv("NFIG_REDIS_URL", redis_server.url)
    monkeypatch.setenv("NFIG_QUEUE_NAME", name)
    return Bench(redis_server.url, name)


def test_dead_jobs_are_listed_with_who_had_them_and_why(bench: Bench) -> None:
    assert bench.run("dead").output == ""
    first, second = bench.dead(2)
    lines = bench.run("dead").output.splitlines()
    assert [first in lines[0], second in lines[1]] == [True, True]
    for told in ("anonymous", "attempts=1", "worker=killer", "again and again"):
        assert told in lines[0]


def test_a_retry_names_the_new_job_which_waits(bench: Bench) -> None:
    (job_id,) = bench.dead(1)
    told = bench.run("retry", job_id).output.split()
    assert told[:2] == [job_id, "became"]
    assert bench.state(told[2]) is JobState.QUEUED
    assert bench.state(job_id) is JobState.FAILED
    assert bench.run("dead").output == ""


def test_all_may_be_retried_or_dropped_at_once(bench: Bench) -> None:
    bench.dead(3)
    assert len(bench.run("retry", "--all").output.splitlines()) == 3
    bench.dead(2)
    assert len(bench.run("drop", "--all").output.splitlines()) >= 2
    assert bench.run("dead").output == ""


def test_one_is_dropped_and_the_others_stay(bench: Bench) -> None:
    first, second = bench.dead(2)
    assert bench.run("drop", first).exit_code == 0
    assert first not in bench.run("dead").output
    assert second in bench.run("dead").output


@pytest.mark.parametrize("words", [["retry"], ["drop"], ["drop", "x", "--all"]])
def test_which_ones_must_be_said(bench: Bench, words: list[str]) -> None:
    ended = bench.run(*words)
    assert ended.exit_code == 2
    assert "--all" in ended.output


def test_what_is_not_dead_is_refused_by_name(bench: Bench) -> None:
    ended = bench.run("retry", "unknown")
    assert ended.exit_code != 0
    assert "unknown" in str(ended.exception) + ended.output


def test_a_redis_that_is_away_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFIG_REDIS_URL", "redis://127.0.0.1:1/0")
    ended = bench.run("dead")
    assert ended.exit_code != 0
    assert "does not answer" in str(ended.exception) + ended.output
