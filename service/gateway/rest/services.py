"""How a route gets hold of what the doors share, and what routes have in common."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Path, Request

from service.gateway.services import Services


def services_of(request: Request) -> Services:
    return cast(Services, request.app.state.services)


async def _services(request: Request) -> Services:
    # Not a plain function: FastAPI would send that to a thread.
    return services_of(request)


SharedServices = Annotated[Services, Depends(_services)]
JobId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
