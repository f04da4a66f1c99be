"""Laws of the circuit breaker around an engine, and of a worker behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.domain import JobCompleted, JobFailed, JobStarted, JobState
from service.engine.engine import DrawnBand, Generation
from service.engine.fake_engine import FAKE_CARD, FakeEngine
from service.errors import EngineUnavailable
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import Attendee, QueueLimits
from service.metrics import Metrics
from service.worker import circuit as circuits
from service.worker import persistence
from service.worker.circuit import FAILURES, MAX_REST_SECONDS, REST_SECONDS, Circuit, GuardedEngine
from service.worker.heartbeat import Heartbeat
from service.worker.learned_pace import LearnedPace
from service.worker.worker import Worker
from tests.queue_calls import log_of
from tests.requests import request_of


class Frail(FakeEngine):
    """Fails while it is `broken`."""

    def __init__(self) -> None:
        super().__init__(band_seconds=0.005)
        self.broken = False
        self.asked = 0

    async def ready(self) -> bool:
        return not self.broken

    async def draw(self, generation: Generation) -> AsyncGenerator[DrawnBand]:
        async for drawn in super().draw(generation):
            self.asked += 1
            if self.broken:
                raise EngineUnavailable("broken")
            yield drawn


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def circuit(now: list[float]) -> Circuit:
    return Circuit(clock=lambda: now[0])


def is_closed(circuit: Circuit) -> bool:
    return circuit.closed


def is_ready(heartbeat: Heartbeat) -> bool:
    return heartbeat.engine_ready


def fail(circuit: Circuit, times: int) -> None:
    for _ in range(times):
        circuit.fail()


def test_it_opens_by_failures_in_a_row_alone(circuit: Circuit) -> None:
    fail(circuit, FAILURES - 1)
    circuit.succeed()
    fail(circuit, FAILURES - 1)
    assert is_closed(circuit)
    circuit.fail()
    assert not is_closed(circuit)
    assert not circuit.lets_probe_pass()


def test_a_probe_may_pass_after_a_rest_that_doubles_up_to_a_limit(
    circuit: Circuit, now: list[float]
) -> None:
    fail(circuit, FAILURES)
    rests = []
    for _ in range(6):
        began = now[0]
        while not circuit.lets_probe_pass():
            now[0] += 0.25
        rests.append(now[0] - began)
        assert not is_closed(circuit)
        circuit.fail()
    assert rests[:3] == [REST_SECONDS, 2 * REST_SECONDS, 4 * REST_SECONDS]
    assert rests[-1] == MAX_REST_SECONDS


def test_a_probe_that_succeeds_closes_it_and_forgets(circuit: Circuit, now: list[float]) -> None:
    fail(circuit, FAILURES)
    now[0] += REST_SECONDS
    circuit.succeed()
    assert is_closed(circuit)
    fail(circuit, FAILURES - 1)
    assert is_closed(circuit)


async def test_an_open_circuit_spares_the_engine(circuit: Circuit, now: list[float]) -> None:
    engine = Frail()
    guarded = GuardedEngine(engine, circuit)
    await guarded.start()
    engine.broken = True
    for _ in range(FAILURES + 3):
        with pytest.raises(EngineUnavailable):
            await anext(guarded.draw(generation()))
    assert engine.asked == FAILURES
    engine.broken = False
    assert not await guarded.ready()
    now[0] += REST_SECONDS
    assert await guarded.ready()
    assert [drawn.band async for drawn in guarded.draw(generation())] == [0, 1, 2, 3, 4]


def generation() -> Generation:
    request = request_of()
    return Generation(
        class_label=1, seed=1, image_index=0, sampling=request.sampling, bands=FAKE_CARD.num_bands
    )


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue(QueueLimits(max_attempts=3))


@asynccontextmanager
async def working(queue: MemoryQueue, engine: Frail) -> AsyncIterator[Heartbeat]:
    circuit = Circuit()
    guarded = GuardedEngine(engine, circuit)
    await guarded.start()
    heartbeat = Heartbeat(
        queue=queue,
        engine=guarded,
        worker_id="w",
        engine_name="fake",
        ttl_seconds=0.1,
        pace=LearnedPace(slots=4),
        circuit=circuit,
    )
    worker = Worker(
        worker_id="w",
        queue=queue,
        engine=guarded,
        heartbeat=heartbeat,
        metrics=Metrics(),
        max_generations=4,
        lease_seconds=5.0,
        grace_seconds=5.0,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield heartbeat
    finally:
        stop.set()
        await asyncio.wait_for(running, timeout=10)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "RETRY_PAUSES_SECONDS", (0.01,) * 4)
    monkeypatch.setattr(persistence, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(circuits, "REST_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_a_job_outlives_an_engine_that_goes_and_comes_back(queue: MemoryQueue) -> None:
    engine = Frail()
    async with working(queue, engine) as heartbeat:
        async with asyncio.timeout(5):
            while not is_ready(heartbeat):
                await asyncio.sleep(0.01)
        engine.broken = True
        job = await queue.submit(request_of())
        async with asyncio.timeout(5):
            while is_ready(heartbeat) or (await queue.job(job.id)).attempts == 0:
                await asyncio.sleep(0.005)
            while not any(not status.engine_ready for status in await queue.workers()):
                await asyncio.sleep(0.005)
            # Handed back, and not taken again by a worker whose engine is away.
            while (await queue.job(job.id)).state is not JobState.QUEUED:
                await asyncio.sleep(0.005)
        asked = engine.asked
        await asyncio.sleep(0.3)
        assert engine.asked == asked
        engine.broken = False
        log = [logged.event for logged in await log_of(queue, job.id)]
    assert log[-1] == JobCompleted()
    # It may have been given back once more, at once, by a call that had waited for a job meanwhile.
    assert max(event.attempt for event in log if isinstance(event, JobStarted)) == 2


@pytest.mark.usefixtures("impatient")
async def test_a_caller_who_waits_is_told_at_once(queue: MemoryQueue) -> None:
    engine = Frail()
    async with working(queue, engine) as heartbeat:
        async with asyncio.timeout(5):
            while not is_ready(heartbeat):
                await asyncio.sleep(0.01)
        engine.broken = True
        job = await queue.submit(request_of(), attendee=Attendee(id="caller", seconds=60))
        end = (await log_of(queue, job.id))[-1].event
        assert isinstance(end, JobFailed)
        assert end.code == "engine_unavailable"
