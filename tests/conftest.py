"""A model small enough to start servers with: random weights, but every part real."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.stack.redis_server import RedisServer, start_redis
from service.stack.triton_server import TritonServer, start_triton, triton_available

# Before torch is imported: threads that wait for each other make tiny models slow, not fast.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What a test does not ask for shall not run beside it.
os.environ.setdefault("NFIG_BASELINE", "off")

REPOSITORY = Path(__file__).parents[1] / "model_repository"


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder: 5 classes, 6 bands, 32 pixels, a preview decoder."""
    import torch

    from nfig import checkpoint
    from nfig.config import ModelConfig, TokenizerConfig, TransformerConfig
    from nfig.model import NFIGModel

    config = ModelConfig(
        name="tiny",
        tokenizer=TokenizerConfig(
            image_size=32,
            grid_sides=(1, 2, 3, 4, 6, 8),
            codebook_size=64,
            latent_channels=4,
            channels=8,
            channel_multipliers=(1, 2),
            patch_side=2,
            preview_channels=8,
        ),
        transformer=TransformerConfig(depth=3, width=64, num_heads=2, num_classes=5),
        class_names=("ant", "bee", "cat", "dog", "eel"),
    )
    folder = tmp_path_factory.mktemp("tiny-checkpoint")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = NFIGModel(config)
        # A fresh transformer ignores its class; this one must not.
        for parameter in model.transformer.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        checkpoint.save(model, folder)
    return folder


@pytest.fixture(scope="session")
def tiny_repository(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model repository with the tiny checkpoint exported into it."""
    from nfig.export import export_model

    repository = tmp_path_factory.mktemp("tiny") / "model_repository"
    exported = shutil.ignore_patterns("*.safetensors", "*.json", "__pycache__")
    shutil.copytree(REPOSITORY, repository, ignore=exported)
    export_model(tiny_checkpoint, repository)
    return repository


@pytest.fixture(scope="session")
def needs_triton() -> None:
    """Skips, with the reason, where Triton cannot run."""
    if reason := triton_available():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def triton_server(
    needs_triton: None, tiny_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """A real Triton that serves the tiny checkpoint."""
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    with start_triton(tiny_repository, log, threads=1) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis with its append-only file on."""
    folder = tmp_path_factory.mktemp("redis")
    server = start_redis(folder, folder / "redis.log")
    yield server
    server.stop()
