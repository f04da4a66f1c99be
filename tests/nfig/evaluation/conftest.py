"""Data that the tiny checkpoint fits: 5 classes of 32 pixels, told apart by their colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nfig.training.reporting import Reporter

COLOURS = np.array([[220, 30, 30], [30, 220, 30], [30, 30, 220], [220, 220, 30], [30, 220, 220]])


@pytest.fixture(scope="session")
def data_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 5
    noise = generator.integers(-30, 31, (60, 32, 32, 3))
    pixels = (COLOURS[labels][:, None, None] + noise).clip(0, 255).astype(np.uint8)
    file = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(file, x=pixels, y=labels)
    return file


@pytest.fixture
def reporter() -> Reporter:
    return Reporter("test", quiet=True)
