"""What the queue holds, read when Prometheus asks: one look at Redis per scrape."""

from __future__ import annotations

import asyncio
from collections import Counter

from service.gateway.cards import answered_within
from service.gateway.services import Services


async def read_queue(services: Services) -> None:
    """Sets the gauges of the queue and of the workers. Raises QueueUnavailable."""
    queue, metrics = services.queue, services.metrics
    seconds = services.settings.queue_timeout_seconds
    census, memory, fleet = await asyncio.gather(
        answered_within(seconds, queue.census()),
        answered_within(seconds, queue.memory()),
        services.fleet.fleet(),
    )
    metrics.queue_depth.set(census.depth)
    metrics.oldest_job_age.set(census.oldest_age_seconds)
    metrics.dead_letters.set(census.dead_letters)
    metrics.queue_memory.labels(kind="used").set(memory.used)
    metrics.queue_memory.labels(kind="promised").set(memory.promised)
    if memory.most is not None:
        metrics.queue_memory.labels(kind="most").set(memory.most)
    found = Counter((worker.model, worker.engine_ready) for worker in fleet.workers)
    # A model that nobody knows any more has no series either.
    metrics.workers.clear()
    for card in fleet.cards:
        metrics.workers.labels(model=card.id, engine="ready").set(found[card.id, True])
        metrics.workers.labels(model=card.id, engine="not_ready").set(found[card.id, False])
