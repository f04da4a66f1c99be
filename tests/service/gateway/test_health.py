"""Laws of the probes and of /metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


@pytest.mark.parametrize("trouble", ["down", "silent"])
async def test_a_process_without_redis_is_live_but_not_ready(gateway: Any, trouble: str) -> None:
    setattr(gateway.queue, trouble, True)
    assert (await gateway.client.get("/health/live")).status_code == 200
    async with asyncio.timeout(1):
        ready = await gateway.client.get("/health/ready")
    assert (ready.status_code, ready.json()["code"]) == (503, "queue_unavailable")
    assert int(ready.headers["retry-after"]) >= 1


async def test_readiness_returns_with_redis(gateway: Any) -> None:
    gateway.queue.down = True
    assert (await gateway.client.get("/health/ready")).status_code == 503
    gateway.queue.down = False
    assert (await gateway.client.get("/health/ready")).status_code == 200


async def test_readiness_tells_the_engines_without_depending_on_them(gateway: Any) -> None:
    assert (await gateway.client.get("/health/ready")).json()["engines"] == {"tiny": "ready"}
    gateway.queue.statuses = []
    ready = await gateway.client.get("/health/ready")
    assert (ready.status_code, ready.json()["engines"]) == (200, {"tiny": "absent"})


async def test_metrics_tell_the_queue_depth_and_survive_its_absence(gateway: Any) -> None:
    await gateway.generate({"prompt": "cat"})
    answer = await gateway.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "nfig_queue_depth 1.0" in answer.text
    gateway.queue.down = True
    assert "nfig_queue_depth 1.0" in (await gateway.client.get("/metrics")).text
