"""The engine that the worker's settings name: it loads, it is the card's model, and it draws."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import numpy as np

from service.admin.checks.findings import Finding, Part
from service.cards import load_card
from service.domain import ModelCard, Sampling
from service.engine.engine import DrawnBand, Engine, Generation
from service.engine.triton_engine import DECODER, ENCODER, TRANSFORMER, TritonEngine
from service.engine.triton_inspection import TritonFacts, inspect_triton
from service.errors import ServiceError
from service.metrics import Metrics
from service.settings import WorkerSettings
from service.worker.engines import build_engine

PART = Part("engine")
CANARY_SECONDS = 60.0


async def check_engine(settings: WorkerSettings) -> AsyncIterator[Finding]:
    if settings.engine == "fake":
        yield PART.warning("NFIG_ENGINE is fake: pictures mean nothing")
    if settings.engine != "triton":
        yield await _canary(build_engine(settings, Metrics()))
        return
    try:
        card = load_card(Path(settings.card))
        yield PART.passed(f"NFIG_CARD: {settings.card} is {card.id}, digest {card.digest[:12]}")
    except ValueError as error:
        yield PART.failure(f"NFIG_CARD: {error}")
        return
    try:
        facts = await inspect_triton(settings.triton_url)
    except ValueError as error:
        yield PART.failure(f"NFIG_TRITON_URL: {settings.triton_url} does not answer: {error}")
        return
    findings = list(judge(facts))
    for finding in findings:
        yield finding
    if all(finding.grade == "pass" for finding in findings):
        engine = TritonEngine(settings.triton_url, Path(settings.card), start_seconds=0)
        yield await _canary(engine)


def judge(facts: TritonFacts) -> Iterator[Finding]:
    yield PART.passed(f"Triton answers, version {facts.version}")
    models = {model.name: model for model in facts.models}
    for name in (TRANSFORMER, DECODER, ENCODER):
        model = models.get(name)
        if model is None:
            yield PART.failure(f"Triton's repository has no {name}")
        elif not model.ready:
            yield PART.failure(f"Triton has not loaded {name}: {model.reason or 'no reason given'}")
        else:
            yield PART.passed(f"Triton has loaded {name}, version {model.version}")


async def _canary(engine: Engine) -> Finding:
    """Every answer of Triton carries the digest of its checkpoint, which the engine holds against
    the card."""
    try:
        async with asyncio.timeout(CANARY_SECONDS):
            await engine.start()
            card = engine.card
            drawn = await _first_band(engine, card)
            pixels = await engine.decode(drawn.canvas)
            await engine.encode(np.zeros_like(pixels))
    except TimeoutError:
        return PART.failure(f"drew nothing within {CANARY_SECONDS:g} s")
    except ServiceError as error:
        return PART.failure(error.message)
    except ValueError as error:
        return PART.failure(str(error))
    finally:
        await engine.close()
    text = f"a band of {card.id} was drawn and decoded, a picture encoded"
    return PART.passed(f"{text}; digest {card.digest[:12]}")


async def _first_band(engine: Engine, card: ModelCard) -> DrawnBand:
    generation = Generation(
        class_label=0,
        seed=0,
        image_index=0,
        sampling=Sampling(
            guidance_scale=card.guidance_scale,
            top_k=card.top_k,
            top_p=card.top_p,
            temperature=card.temperature,
        ),
        bands=1,
    )
    async with aclosing(engine.draw(generation)) as bands:
        return await anext(bands)
