"""`python -m tests.chaos`, which `make chaos` runs; README.md beside it says how to read it."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
from pathlib import Path

from service.stack.parts import export_checkpoint
from tests.chaos.nemesis import FAKE, TRITON
from tests.chaos.run import Plan, Report, run
from tests.chaos.stack import StackOptions

ROOT = Path(__file__).parents[2]
ABOUT_SECONDS_PER_FAULT = 7.0


def main() -> None:
    options = _arguments()
    folder = Path(options.folder or ROOT / "out" / "chaos" / str(options.seed))
    shutil.rmtree(folder, ignore_errors=True)
    harms = TRITON if options.triton else FAKE
    harms = {kind: harms[kind] for kind in options.kinds.split(",")} if options.kinds else harms
    rounds = options.rounds
    if options.seconds:
        rounds = max(1, round(options.seconds / ABOUT_SECONDS_PER_FAULT / len(harms)))
    print(f"seed {options.seed}, {rounds} rounds of {len(harms)} kinds of fault", flush=True)
    stack = StackOptions(
        folder=folder,
        band_seconds=options.band_seconds,
        fenced=not options.unfenced,
        repository=_repository(folder) if options.triton else None,
    )
    plan = Plan(
        seed=options.seed,
        rounds=rounds,
        harms=harms,
        callers=options.callers,
        least_jobs=options.jobs,
    )
    report = asyncio.run(_run(plan, stack))
    print(report.text())
    sys.exit(bool(report.violations))


async def _run(plan: Plan, stack: StackOptions) -> Report:
    """A run that is told to end stops what it has started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(plan, stack)


def _arguments() -> argparse.Namespace:
    environment = os.environ
    parser = argparse.ArgumentParser(prog="make chaos ARGS=...", description=__doc__)
    seed = int(environment.get("CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    seconds = float(environment.get("CHAOS_SECONDS", 0))
    parser.add_argument("--seed", type=int, default=seed, help="or CHAOS_SEED; any by default")
    parser.add_argument("--rounds", type=int, default=1, help="faults of each kind")
    parser.add_argument("--seconds", type=float, default=seconds, help="or CHAOS_SECONDS: about")
    parser.add_argument("--jobs", type=int, default=0, help="go on for so many, at least")
    parser.add_argument("--callers", type=int, default=8, help="at once")
    parser.add_argument("--kinds", help=f"some of {','.join(FAKE)} and, with --triton, more")
    parser.add_argument("--triton", action="store_true", help="the real engine, and its faults")
    parser.add_argument("--band-seconds", type=float, default=0.25, help="of the fake engine")
    parser.add_argument("--unfenced", action="store_true", help="break the workers: must be caught")
    parser.add_argument("--folder", help="for logs and the history; out/chaos/SEED by default")
    return parser.parse_args()


def _repository(folder: Path) -> Path:
    """A model repository with the shipped checkpoint in it."""
    repository = folder / "model_repository"
    exported = shutil.ignore_patterns("*.safetensors", "*.json", "*.onnx", "__pycache__")
    shutil.copytree(ROOT / "model_repository", repository, ignore=exported)
    export_checkpoint(ROOT / "checkpoints" / "avatars-64", repository, folder / "logs")
    return repository


if __name__ == "__main__":
    main()
