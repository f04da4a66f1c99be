"""The real stack around the tiny checkpoint, watched by a real Prometheus: one start for all."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from rich.console import Console

from service.stack.progress import Progress
from service.stack.running import RunningStack, StackOptions, run_stack
from tests.observability.prometheus_server import BINARY, Prometheus, run_prometheus, wait_for

REPOSITORY = Path(__file__).parents[2] / "model_repository"


@dataclass(frozen=True, kw_only=True)
class Watched:
    stack: RunningStack
    prometheus: Prometheus
    answers: list[httpx.Response]
    baseline: dict[str, Any]
    """The file that Triton's model wrote."""


@pytest.fixture(scope="session")
def watched(
    needs_triton: None, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """After load: images that are streamed, one that is not, a job, and a refusal."""
    if BINARY is None:
        pytest.skip("there is no prometheus on this machine")
    folder = tmp_path_factory.mktemp("observability")
    repository = folder / "model_repository"
    exported = shutil.ignore_patterns("*.safetensors", "*.json", "__pycache__")
    shutil.copytree(REPOSITORY, repository, ignore=exported)
    transformer = repository / "nfig_transformer" / "1"
    take_any_time(transformer / "model.py")
    options = StackOptions(
        engine="triton", checkpoint=tiny_checkpoint, repository=repository, logs=folder / "logs"
    )
    quiet = Progress(console=Console(file=io.StringIO()))
    with ExitStack() as stop:
        patch = stop.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("NFIG_BASELINE", "start")
        stack = stop.enter_context(run_stack(options, quiet))
        assert stack.triton is not None
        urls = {
            "gateway": stack.gateway_url,
            "worker": stack.worker_metrics_url,
            "triton": stack.triton.metrics_url,
        }
        targets = {job: urlsplit(url).netloc for job, url in urls.items()}
        with run_prometheus(targets, folder) as prometheus:
            up = "sum(up)"
            wait_for(
                lambda: prometheus.query(up) and prometheus.query(up)[0][1] == 3,
                seconds=20,
                what="three targets to be up",
            )
            # Twice, a scrape apart: the first sample of a series is no increase.
            answers = send_load(stack.gateway_url)
            time.sleep(2.5)
            answers += send_load(stack.gateway_url)
            time.sleep(2.5)
            baseline = json.loads((transformer / "baseline.json").read_text())
            yield Watched(stack=stack, prometheus=prometheus, answers=answers, baseline=baseline)


def send_load(url: str) -> list[httpx.Response]:
    images = f"{url}/v1/images/generations"
    bodies = [
        *(
            {"prompt": "dog", "seed": seed, "stream": True, "partial_images": 3}
            for seed in range(6)
        ),
        {"prompt": "cat", "n": 3},
        {"prompt": "nobody"},
    ]
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(len(bodies) + 1) as callers:
        sent = [callers.submit(client.post, images, json=body) for body in bodies]
        job = {"class_label": "bee", "previews": 2}
        headers = {"prefer": "wait=30"}
        sent.append(callers.submit(client.post, f"{url}/v1/jobs", json=job, headers=headers))
        return [each.result() for each in sent]


def take_any_time(model: Path) -> None:
    """A measurement is made of repetitions that agree, which on a machine that runs tests they
    hardly do; here it may be made of any."""
    text = model.read_text(encoding="utf-8")
    imports = "import os\n"
    assert imports in text
    lax = f"import nfig.speed.clock\nnfig.speed.clock.TOLERANCE = 1000.0\n{imports}"
    model.write_text(text.replace(imports, lax, 1), encoding="utf-8")
