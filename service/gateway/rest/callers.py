"""Who is asking over HTTP, as routes declare it: `Caller`, `CountedCaller` or `Viewer`.

A route names it before its body, so that a stranger's body is never parsed.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from service.gateway.access.principal import Principal
from service.gateway.rest.response_headers import note_budget
from service.gateway.rest.services import SharedServices


async def _caller(request: Request, services: SharedServices) -> Principal:
    return services.access.principal(request.headers.get("authorization"))


async def _viewer(request: Request, services: SharedServices) -> Principal:
    return services.access.viewer(request.headers.get("authorization"))


Caller = Annotated[Principal, Depends(_caller)]
Viewer = Annotated[Principal, Depends(_viewer)]
"""Also one who shows no key but knows the job's id."""


async def counted_caller(request: Request, services: SharedServices) -> Principal:
    caller = services.access.principal(request.headers.get("authorization"))
    budget = await services.access.count_request(caller)
    note_budget(request.scope, budget)
    services.access.require_allowed(budget)
    return caller


CountedCaller = Annotated[Principal, Depends(counted_caller)]
"""For what may become a job: takes one of the tenant's requests per minute."""
