"""The real stack around the tiny checkpoint, watched by a real Prometheus: one start for all."""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from rich.console import Console

from service.stack.progress import Progress
from service.stack.running import RunningStack, StackOptions, run_stack
from tests.observability.prometheus_server import BINARY, Prometheus, run_prometheus, wait_for

REPOSITORY = Path(__file__).parents[2] / "model_repository"
BASELINE_SECONDS = {"as_published": 0.5, "same_code": 0.25}
"""Of every band and batch size, declared: what is measured is not what is tested here."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    stack: RunningStack
    prometheus: Prometheus
    answers: list[httpx.Response]


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
    declare_baseline(tiny_checkpoint, repository / "nfig_transformer" / "1")
    options = StackOptions(
        engine="triton", checkpoint=tiny_checkpoint, repository=repository, logs=folder / "logs"
    )
    with run_stack(options, Progress(console=Console(file=io.StringIO()))) as stack:
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
            yield Watched(stack=stack, prometheus=prometheus, answers=answers)


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


def declare_baseline(checkpoint_folder: Path, folder: Path) -> None:
    """As if it had been measured here, in the process that Triton will start."""
    import torch

    from nfig import checkpoint
    from nfig.export.baseline import Baseline, Place, write_baseline
    from nfig.export.contract import BATCH_SIZES

    threads, ours = max(1, len(os.sched_getaffinity(0)) // 2), torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        place = Place.here(
            digest=checkpoint.digest(checkpoint_folder),
            device=torch.device("cpu"),
            dtype=torch.float32,
        )
    finally:
        torch.set_num_threads(ours)
    baseline = Baseline(
        place=place,
        date="2026-11-25T12:00:00Z",
        models=dict.fromkeys(BASELINE_SECONDS, "declared"),
        seconds={
            name: {size: (seconds,) * 6 for size in BATCH_SIZES}
            for name, seconds in BASELINE_SECONDS.items()
        },
    )
    write_baseline(folder, baseline)
