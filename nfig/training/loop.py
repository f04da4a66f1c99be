"""The training loop that tokenizer and transformer share.

A run that is stopped (or killed) and begun again with the same arguments goes on from its last
saved state, and ends with the same weights as one that was never stopped. With several processes
(nfig.training.processes) each has its share of every batch, and only the main one writes.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nfig.images import Pixels, save_png
from nfig.training import processes
from nfig.training.averaging import AveragedModule
from nfig.training.optimizers import Optimizers
from nfig.training.options import TrainingOptions
from nfig.training.reporting import Reporter
from nfig.training.run_folder import RunFolder
from nfig.training.schedule import Shares, learning_rate

STEPS_BETWEEN_RECORDS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class StepLoss:
    """What one batch gives."""

    total: Tensor
    """The scalar to minimise."""
    figures: Mapping[str, float]
    """For people to watch."""


class TrainingTask(Protocol):
    """What is trained, and on what."""

    module: nn.Module

    @property
    def num_examples(self) -> int: ...

    def loss(self, rows: Tensor, *, progress: float) -> StepLoss:
        """Loss of these rows of the data; `progress` of the whole training is from 0 to 1."""

    def evaluate(self, averaged: nn.Module) -> Mapping[str, float]:
        """Figures on held-out data."""

    def picture(self, averaged: nn.Module) -> Pixels:
        """What the module can do by now, to look at."""

    def state(self) -> dict[str, Any]:
        """What a resumed training needs beside the module's weights: tensors and numbers."""

    def restore(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingResult:
    """The averaged module, and how far it came."""

    averaged: nn.Module
    step: int
    seconds: float
    finished: bool
    """False if it was stopped before its planned end."""


def train(
    task: TrainingTask, options: TrainingOptions, run: RunFolder, reporter: Reporter
) -> TrainingResult:
    """Trains until the planned end, or until SIGTERM or Ctrl-C, and saves the state."""
    loop = _Loop(task, options, run, reporter)
    with _stop_signals() as stopped:
        return loop.run_until(stopped)


class _Loop:
    def __init__(
        self, task: TrainingTask, options: TrainingOptions, run: RunFolder, reporter: Reporter
    ) -> None:
        self.task, self.options, self.run, self.reporter = task, options, run, reporter
        self.shares = Shares(options, num_examples=task.num_examples)
        # What is random about a row, such as its mirroring, must differ between processes.
        torch.manual_seed(options.seed + processes.rank())
        self.average = AveragedModule(task.module, decay=options.ema_decay)
        self.optimizers = Optimizers(task.module, options)
        self.step = 0
        self.seconds = 0.0
        self._restore()

    @property
    def progress(self) -> float:
        """Share of the planned training that is done."""
        if self.options.minutes is not None:
            return min(self.seconds / (60 * self.options.minutes), 1.0)
        assert self.options.epochs is not None
        steps = max(round(self.options.epochs * self.shares.steps_per_epoch), 1)
        return min(self.step / steps, 1.0)

    def run_until(self, stopped: threading.Event) -> TrainingResult:
        saved = evaluated = self.seconds
        stopping = False
        while self.progress < 1 and not stopping:
            started = time.monotonic()
            figures = self._one_step()
            if self.seconds - evaluated >= 60 * self.options.evaluate_minutes:
                evaluated = self.seconds
                self._evaluate()
            seconds = self.seconds + time.monotonic() - started
            # The rate may follow the time, and no process can take a step without the others.
            self.seconds, stops = processes.largest(seconds, stopped.is_set())
            stopping = bool(stops)
            self._record(figures)
            if self.seconds - saved >= 60 * self.options.checkpoint_minutes:
                saved = self.seconds
                self._save()
        self._save()
        finished = self.progress >= 1
        if finished:
            self._evaluate()
        return TrainingResult(
            averaged=self.average.module, step=self.step, seconds=self.seconds, finished=finished
        )

    def _record(self, figures: Mapping[str, float]) -> None:
        if not processes.is_main():
            return
        if self.step % STEPS_BETWEEN_RECORDS == 0:
            self.run.log({"step": self.step, "seconds": round(self.seconds, 1), **figures})
        self.reporter.step(progress=self.progress, figures={"step": self.step, **figures})

    def _one_step(self) -> dict[str, float]:
        rate = learning_rate(self.options, step=self.step, progress=self.progress)
        self.task.module.train()
        self.optimizers.zero_grad()
        figures = processes.mean_figures(self._gradients())
        processes.average_gradients(self.task.module.parameters())
        norm = nn.utils.clip_grad_norm_(self.task.module.parameters(), self.options.clip_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"the gradient of step {self.step} is not finite")
        self.optimizers.step(learning_rate=rate)
        self.step += 1
        self.average.update(self.task.module, step=self.step)
        return {**figures, "gradient_norm": round(float(norm), 4), "learning_rate": rate}

    def _gradients(self) -> list[Mapping[str, float]]:
        """Leaves the mean over this process's share of the step; the figures of each turn."""
        figures = []
        for rows in self.shares.rows(self.step):
            loss = self.task.loss(rows, progress=self.progress)
            (loss.total / self.shares.turns).backward()
            figures.append(loss.figures)
        return figures

    def _evaluate(self) -> None:
        if not processes.is_main():
            return
        # Pictures may draw random numbers, which must not change the training after them.
        random_state = torch.get_rng_state()
        figures = self.task.evaluate(self.average.module)
        save_png(self.run.picture(self.step), self.task.picture(self.average.module))
        torch.set_rng_state(random_state)
        record = {"step": self.step, "seconds": round(self.seconds, 1), "held_out": dict(figures)}
        self.run.log(record)
        self.reporter.say(f"held out, step {self.step}: {dict(figures)}")

    def _save(self) -> None:
        random_states = processes.gathered(torch.get_rng_state())
        if not processes.is_main():
            return
        self.run.save_state(
            {
                "step": self.step,
                "seconds": self.seconds,
                "module": self.task.module.state_dict(),
                "averaged": self.average.module.state_dict(),
                "optimizers": self.optimizers.state_dict(),
                "task": self.task.state(),
                "random": random_states,
            }
        )

    def _restore(self) -> None:
        state = self.run.load_state()
        if state is None:
            return
        self.step, self.seconds = state["step"], state["seconds"]
        self.task.module.load_state_dict(state["module"])
        self.average.module.load_state_dict(state["averaged"])
        # Older states have one alone, under its name of then.
        self.optimizers.load_state_dict(state.get("optimizers") or [state["optimizer"]])
        self.task.restore(state["task"])
        self._restore_random(state["random"])
        self.reporter.say(f"resumed at step {self.step}")

    def _restore_random(self, states: Tensor) -> None:
        """One row per process that saved; older states hold that of one process alone."""
        states = states.view(-1, states.shape[-1])
        if processes.rank() < len(states):
            torch.set_rng_state(states[processes.rank()].clone())
        else:
            # More processes than before: a stream of numbers that was not used yet.
            torch.manual_seed(hash((self.options.seed, processes.rank(), self.step)))


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that a step is never cut in two."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
