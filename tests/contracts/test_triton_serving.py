"""What only a real Triton can show: shared batches, cancellation, metrics, and its failures."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from tritonclient.grpc.aio import InferenceServerClient

from service.domain import Sampling
from service.engine import triton_engine
from service.engine.engine import Canvas, Engine, Generation
from service.engine.torch_engine import TorchEngine
from service.engine.triton_engine import DECODER, ENCODER, TritonEngine
from service.errors import EngineUnavailable
from service.metrics import BAND_BUCKETS
from service.stack.triton_server import TritonServer, start_triton

CANARY = Path(__file__).parents[2] / "deploy" / "triton" / "canary.py"
SAMPLING = Sampling(guidance_scale=1.5, top_k=0, top_p=1.0, temperature=1.0)
GENERATION = Generation(class_label=1, seed=7, image_index=0, sampling=SAMPLING, bands=6)


@pytest.fixture
async def engine(triton_server: TritonServer, tiny_repository: Path) -> AsyncIterator[TritonEngine]:
    engine = TritonEngine(triton_server.grpc_url, tiny_repository / "model.json")
    await engine.start()
    yield engine
    await engine.close()


async def draw(engine: Engine, generation: Generation) -> list[list[int]]:
    async with aclosing(engine.draw(generation)) as bands:
        return [band.tokens.tolist() async for band in bands]


def series(server: TritonServer, name: str) -> dict[str, float]:
    """Values of one metric of the server, by its labels."""
    with urllib.request.urlopen(server.metrics_url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = (re.fullmatch(rf"{name}(\{{.*\}})? (\S+)", line) for line in lines)
    return {match[1] or "": float(match[2]) for match in found if match}


async def test_concurrent_draws_and_decodes_share_batches(
    engine: TritonEngine, triton_server: TritonServer
) -> None:
    async def counts(model: str) -> tuple[int, int]:
        async with InferenceServerClient(triton_server.grpc_url) as client:
            statistics = await client.get_inference_statistics(model)
        (stats,) = statistics.model_stats
        return stats.inference_count, stats.execution_count

    async def canvas(seed: int) -> Canvas:
        # In turn with a band that is kept, and without: they must not be kept apart.
        kept = ((seed,),) if seed % 2 else ()
        async with aclosing(engine.draw(replace(GENERATION, seed=seed, kept=kept))) as bands:
            drawn = [band async for band in bands]
        seen_batch_sizes.update(band.batch_size for band in drawn)
        return drawn[-1].canvas

    seen_batch_sizes: set[int] = set()
    # Triton counts a request after its last answer, and the engine's canary has just had its own.
    await asyncio.sleep(0.2)
    before = await counts("nfig_transformer"), await counts("nfig_decoder")
    canvases = await asyncio.gather(*(canvas(seed) for seed in range(24)))
    await asyncio.gather(*(engine.decode(each) for each in canvases))
    await asyncio.sleep(0.2)
    after = await counts("nfig_transformer"), await counts("nfig_decoder")
    for (inferences_0, executions_0), (inferences_1, executions_1) in zip(
        before, after, strict=True
    ):
        assert inferences_1 - inferences_0 == 24
        assert executions_1 - executions_0 < 24
    assert max(seen_batch_sizes) > 1


async def test_a_generation_that_is_left_stops_before_its_last_band(
    engine: TritonEngine, triton_server: TritonServer
) -> None:
    def executed() -> float:
        counts = series(triton_server, "nfig_band_latency_seconds_count")
        return sum(counts.values())

    async def executed_by_now() -> float:
        before = executed()
        while True:  # until nobody draws any more
            await asyncio.sleep(0.2)
            if (now := executed()) == before:
                return now
            before = now

    async def spent_by_one_that_is_left() -> float:
        before = await executed_by_now()
        async with aclosing(engine.draw(GENERATION)) as bands:
            await anext(bands)
        return await executed_by_now() - before

    # A band takes two milliseconds here: on busy cores the news may come too late, but not always.
    spent = [await spent_by_one_that_is_left() for _ in range(25)]
    assert 1 <= min(spent) < GENERATION.bands
    assert max(spent) <= GENERATION.bands


async def test_band_latency_is_a_histogram_per_model_and_band(
    engine: TritonEngine, triton_server: TritonServer
) -> None:
    await draw(engine, GENERATION)
    buckets = series(triton_server, "nfig_band_latency_seconds_bucket")
    limits = {float(m[1]) for key in buckets if (m := re.search(r'le="([0-9.e-]+)"', key))}
    assert sorted(limits) == pytest.approx(BAND_BUCKETS)
    counts = series(triton_server, "nfig_band_latency_seconds_count")
    labels = {f'{{band="{band}",model="tiny"}}' for band in range(6)}
    assert set(counts) == labels
    assert min(counts.values()) >= 1


async def test_triton_and_torch_draw_the_same(engine: TritonEngine, tiny_checkpoint: Path) -> None:
    torch_engine = TorchEngine(tiny_checkpoint)
    await torch_engine.start()
    assert torch_engine.card == engine.card
    odd = replace(SAMPLING, guidance_scale=4.1, top_p=0.87, temperature=0.7, top_k=33)
    for generation in (GENERATION, replace(GENERATION, sampling=odd, seed=2**62)):
        assert await draw(torch_engine, generation) == await draw(engine, generation)
    await torch_engine.close()


async def test_nobody_listening_is_said(tiny_repository: Path) -> None:
    engine = TritonEngine("127.0.0.1:9", tiny_repository / "model.json", start_seconds=0)
    with pytest.raises(EngineUnavailable, match="UNAVAILABLE"):
        await engine.start()
    assert not await engine.ready()
    await engine.close()


async def test_another_checkpoint_than_the_cards_is_refused(
    triton_server: TritonServer, tiny_repository: Path, tmp_path: Path
) -> None:
    card = (tiny_repository / "model.json").read_text()
    other = tmp_path / "model.json"
    other.write_text(re.sub(r'"digest": "\w+"', f'"digest": "{"0" * 64}"', card))
    engine = TritonEngine(triton_server.grpc_url, other, start_seconds=0)
    with pytest.raises(EngineUnavailable, match="the model card says 000000000000"):
        await engine.start()
    await engine.close()


async def test_a_call_that_takes_too_long_is_given_up(
    triton_server: TritonServer, tiny_repository: Path
) -> None:
    engine = TritonEngine(
        triton_server.grpc_url, tiny_repository / "model.json", timeout_seconds=0.001
    )
    await engine.start()
    with pytest.raises(EngineUnavailable, match="in time"):
        await draw(engine, GENERATION)
    await engine.close()


async def test_a_dead_model_process_is_noticed_though_triton_says_ready(
    needs_triton: None, tiny_repository: Path, tmp_path: Path
) -> None:
    with start_triton(tiny_repository, tmp_path / "triton.log", threads=1) as server:
        engine = TritonEngine(
            server.grpc_url, tiny_repository / "model.json", canary_seconds=2, timeout_seconds=2
        )
        await engine.start()
        async with aclosing(engine.draw(GENERATION)) as bands:
            drawn = await anext(bands)
        for stub in _stubs(server):
            os.kill(stub, signal.SIGKILL)
        with pytest.raises(EngineUnavailable):
            await draw(engine, GENERATION)
        assert not await engine.ready()
        server.process.kill()  # it would wait long for its dead model
        with pytest.raises(EngineUnavailable):
            await engine.decode(drawn.canvas)
        assert not await engine.ready()
        await engine.close()
    assert not list(Path("/dev/shm").glob(f"{server._shm_prefix}*"))


@pytest.mark.parametrize("model", [DECODER, ENCODER])
async def test_one_dead_process_is_noticed_while_the_others_draw(
    needs_triton: None,
    tiny_repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
) -> None:
    monkeypatch.setitem(triton_engine.FRESH_SECONDS, model, 0.0)
    with start_triton(tiny_repository, tmp_path / "triton.log", threads=1) as server:
        card = tiny_repository / "model.json"
        engine = TritonEngine(server.grpc_url, card, canary_seconds=2, timeout_seconds=10)
        await engine.start()
        assert await engine.ready()
        (stub,) = _stubs(server, model)
        os.kill(stub, signal.SIGKILL)
        await draw(engine, GENERATION)
        assert not await engine.ready()
        canary = [sys.executable, "-I", str(CANARY), server.http_url, str(card)]
        ended = await asyncio.to_thread(subprocess.run, canary, capture_output=True, timeout=60)
        assert b"does not draw" in ended.stderr
        server.process.kill()  # it would wait long for its dead model
        await engine.close()


def _stubs(server: TritonServer, model: str = "") -> list[int]:
    command = ["pgrep", "--parent", str(server.process.pid), "--full", model]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [int(line) for line in output.split()]
