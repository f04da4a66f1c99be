"""Trains a tiny model as one of several processes; a script, started by test_processes.py.

Argument: a folder with config.json, data.npz and orders.json (what to train, one after another),
where the results go, too. Without torchrun's variables in the environment it is a process alone.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from nfig.config import ModelConfig
from nfig.data import load_images
from nfig.training import decoder_trainer, loop, processes, runs, tokenizer_trainer
from nfig.training.adversary import Adversary
from nfig.training.options import TrainingOptions
from nfig.training.reporting import Reporter
from nfig.training.run_folder import RunFolder


def main(inputs: Path) -> None:
    torch.set_num_threads(1)
    with processes.joined():
        for number, order in enumerate(json.loads((inputs / "orders.json").read_text())):
            with pytest.MonkeyPatch.context() as patched:
                _prepare(order, patched)
                adversaries = _remembered_adversaries(patched)
                result = _train(inputs, order)
            state = {**result.averaged.state_dict(), "step": torch.tensor(result.step)}
            for adversary in adversaries:
                weights = adversary.discriminator.state_dict()
                state.update({f"discriminator.{name}": value for name, value in weights.items()})
            torch.save(state, inputs / f"result-{number}-{processes.rank()}.pt")


def _remembered_adversaries(patched: pytest.MonkeyPatch) -> list[Adversary]:
    """A list that fills with those that are made."""
    made: list[Adversary] = []

    def make(**arguments: Any) -> Adversary:
        made.append(Adversary(**arguments))
        return made[-1]

    patched.setattr(decoder_trainer, "Adversary", make)
    return made


def _prepare(order: dict[str, Any], patched: pytest.MonkeyPatch) -> None:
    if order["plain"]:
        # What is drawn at random for a row depends on its process.
        patched.setattr(tokenizer_trainer, "_flip_some", lambda images: images)
        patched.setattr(tokenizer_trainer, "STOPPED_SHARE", 0.0)
    if order["stop_at"]:
        _stop_last_process_at(order["stop_at"], patched)


def _train(inputs: Path, order: dict[str, Any]) -> loop.TrainingResult:
    config = ModelConfig.from_json((inputs / "config.json").read_text())
    data = load_images(inputs / "data.npz")
    common: dict[str, Any] = {
        "run": RunFolder(order["name"], root=inputs),
        "options": TrainingOptions(**order["options"]),
        "reporter": Reporter("test", quiet=True),
        "held_out": 4,
    }
    if order["kind"] == "transformer":
        tokenizer = inputs / "tokenizer"
        return runs.train_transformer(config, data, tokenizer_from=tokenizer, **common)
    if order["kind"] == "decoder":
        return runs.train_decoder(data, model_from=inputs / "model", **common)
    start_from = inputs / "tokenizer" if order["plain"] else None
    config = dataclasses.replace(config, class_names=data.class_names)
    return runs.train_tokenizer(config, data, start_from=start_from, **common)


def _stop_last_process_at(step: int, patched: pytest.MonkeyPatch) -> None:
    original = loop._Loop._one_step

    def one_step(self: Any) -> dict[str, float]:
        figures = original(self)
        if self.step == step and processes.rank() == processes.count() - 1:
            signal.raise_signal(signal.SIGTERM)
        return figures

    patched.setattr(loop._Loop, "_one_step", one_step)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    # Seen once: gloo's threads abort an interpreter that ends, when all is done and written.
    os._exit(0)
