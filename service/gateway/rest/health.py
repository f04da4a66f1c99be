"""What probes and Prometheus ask.

Liveness is this process alone; readiness adds Redis, without which nothing can be accepted. The
state of the engines is told beside it: a gateway without a live worker still has answers to give.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fastapi import APIRouter
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from service.errors import QueueUnavailable, ShuttingDown
from service.gateway.cards import answered_within
from service.gateway.queue_gauges import read_queue
from service.gateway.rest.services import SharedServices

_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "Redis does not answer, or this gateway is about to stop."}
}


def router() -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.get("/health/live", summary="The process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @routes.get("/health/ready", summary="Requests can be accepted", responses=_NOT_READY)
    async def ready(services: SharedServices) -> dict[str, Any]:
        if services.drain.begun:
            raise ShuttingDown("this gateway is about to stop", retry_after_s=1.0)
        await answered_within(services.settings.queue_timeout_seconds, services.queue.ping())
        fleet = await services.fleet.fleet()
        return {
            "status": "ready",
            "queue": "up",
            "engines": {card.id: fleet.engine_state(card.id) for card in fleet.cards},
            "workers": len(fleet.workers),
        }

    @routes.get("/metrics", summary="Prometheus exposition", include_in_schema=False)
    async def metrics(request: Request, services: SharedServices) -> Response:
        # Without Redis these stay at their last known values; the rest is still worth a scrape.
        with suppress(QueueUnavailable):
            await read_queue(services)
        encode, media = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(services.metrics.registry), headers={"content-type": media})

    return routes
