"""A model on disk: a folder with `config.json`, `model.safetensors` (16 bit) and a `README.md`.

The digest of a checkpoint is the SHA-256 over config and weights; the card is not part of it.
Weights are stored as float16 and loaded as float32, so whoever loads one draws the same images.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nfig.config import ModelConfig
from nfig.model import NFIGModel
from nfig.tokenizer import FRVAE

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
TOKENIZER_PREFIX = "tokenizer."


def save(model: NFIGModel, folder: Path, *, card: str | None = None) -> str:
    """Writes a whole checkpoint, each file in one move; returns its digest."""
    return _save(model.config, model.state_dict(), folder, card=card)


def save_tokenizer(
    config: ModelConfig, tokenizer: FRVAE, folder: Path, *, card: str | None = None
) -> str:
    """Writes a checkpoint without a transformer, to train one on it; returns its digest."""
    weights = {TOKENIZER_PREFIX + name: value for name, value in tokenizer.state_dict().items()}
    return _save(config, weights, folder, card=card)


def load(folder: Path) -> NFIGModel:
    """The model in float32 on the CPU, in eval mode.

    Raises ValueError if the folder is not a whole checkpoint.
    """
    config, weights = _read(folder)
    model = NFIGModel(config)
    if not any(not name.startswith(TOKENIZER_PREFIX) for name in weights):
        raise ValueError(f"{folder} holds a tokenizer alone: train a transformer on it first")
    _fill(model, weights, folder)
    return model


def load_tokenizer(folder: Path) -> tuple[ModelConfig, FRVAE]:
    """The tokenizer of a checkpoint, whole or not, as `load` does."""
    config, weights = _read(folder)
    tokenizer = FRVAE(config.tokenizer)
    own = {
        name.removeprefix(TOKENIZER_PREFIX): value
        for name, value in weights.items()
        if name.startswith(TOKENIZER_PREFIX)
    }
    _fill(tokenizer, own, folder)
    return config, tokenizer


def digest(folder: Path) -> str:
    """SHA-256 over config and weights, in hex. Raises ValueError if either is missing."""
    _check_whole(folder)
    total = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        with (folder / name).open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _save(
    config: ModelConfig, weights: dict[str, Tensor], folder: Path, *, card: str | None
) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    stored = {name: _stored(value) for name, value in weights.items()}
    for name, value in stored.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"weights: {name} has values that 16 bit cannot hold")
    partial = folder / f".{WEIGHTS}.partial"
    save_file(stored, partial, metadata={"format": "pt"})
    # Written for its owner alone otherwise, and a server may be another user.
    partial.chmod(0o644)
    os.replace(partial, folder / WEIGHTS)
    _write_text(folder / CONFIG, config.to_json())
    if card is not None:
        _write_text(folder / CARD, card)
    return digest(folder)


def _stored(value: Tensor) -> Tensor:
    value = value.detach().to("cpu").contiguous()
    return value.half() if value.is_floating_point() else value.clone()


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _check_whole(folder: Path) -> None:
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(f"no checkpoint in {folder}: {name} is missing")


def _read(folder: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    _check_whole(folder)
    try:
        config = ModelConfig.from_json((folder / CONFIG).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{folder / CONFIG} is not a model's config: {error}") from None
    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise ValueError(f"{folder / WEIGHTS} is damaged: {error}") from None
    return config, weights


def _fill(module: torch.nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"weights in {folder} do not fit its config: {error}") from None
    module.float().eval().requires_grad_(False)
