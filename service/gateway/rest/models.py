"""`GET /v1/models`: which models there are, and all that a caller can know of one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.domain import ModelCard
from service.errors import NotFound
from service.gateway.cards import Fleet
from service.gateway.rest.callers import Caller
from service.gateway.rest.schemas import Defaults, ModelDetails, ModelList, ModelSummary
from service.gateway.rest.services import SharedServices

_ERRORS: dict[int | str, dict[str, Any]] = {"default": {"description": "Problem details."}}


def router() -> APIRouter:
    routes = APIRouter(tags=["models"])

    @routes.get("/v1/models", summary="All models", responses=_ERRORS)
    async def list_models(caller: Caller, services: SharedServices) -> ModelList:
        fleet = await services.fleet.fleet()
        return ModelList(data=[_summary(card, fleet) for card in fleet.cards])

    @routes.get("/v1/models/{model}", summary="One model, its classes too", responses=_ERRORS)
    async def show_model(caller: Caller, model: str, services: SharedServices) -> ModelDetails:
        fleet = await services.fleet.fleet()
        for card in fleet.cards:
            if card.id == model:
                summary = _summary(card, fleet).model_dump()
                return ModelDetails(**summary, class_names=list(card.class_names))
        raise NotFound("no such model is registered", field="model")

    return routes


def _summary(card: ModelCard, fleet: Fleet) -> ModelSummary:
    return ModelSummary(
        id=card.id,
        digest=card.digest,
        engine=fleet.engine_state(card.id),
        image_size=f"{card.image_size}x{card.image_size}",
        bands=card.num_bands,
        grid_sides=list(card.grid_sides),
        num_classes=len(card.class_names),
        defaults=Defaults(
            guidance_scale=card.guidance_scale,
            top_k=card.top_k,
            top_p=card.top_p,
            temperature=card.temperature,
        ),
    )
