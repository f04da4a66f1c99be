"""The real stack, started the way `make serve` starts it, around the tiny checkpoint."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from service.stack.choice import EngineName, choose_engine
from service.stack.progress import Progress
from service.stack.running import RunningStack, StackOptions, run_stack

ROOT = Path(__file__).parents[2]
StartStack = Callable[[EngineName | None], AbstractContextManager[RunningStack]]


@pytest.fixture(scope="session")
def new_repository(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A model repository of one's own that nothing has been exported into."""

    def copy() -> Path:
        folder = tmp_path_factory.mktemp("repository") / "model_repository"
        exported = shutil.ignore_patterns("*.safetensors", "*.json", "*.onnx", "__pycache__")
        shutil.copytree(ROOT / "model_repository", folder, ignore=exported)
        return folder

    return copy


@pytest.fixture(scope="session")
def start_stack(
    tiny_checkpoint: Path,
    new_repository: Callable[[], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> StartStack:
    """Starts a stack of its own with the named engine; None is the best that can run here."""

    @contextmanager
    def start(engine: EngineName | None) -> Iterator[RunningStack]:
        folder = tmp_path_factory.mktemp("stack")
        options = StackOptions(
            engine=choose_engine(engine).engine,
            checkpoint=tiny_checkpoint,
            repository=new_repository(),
            logs=folder / "logs",
        )
        with run_stack(options, Progress(console=Console(file=io.StringIO()))) as stack:
            yield stack

    return start


@pytest.fixture(scope="session")
def stack(start_stack: StartStack) -> Iterator[RunningStack]:
    """One stack for all tests that leave it whole."""
    with start_stack(None) as running:
        yield running


@pytest.fixture
def url(stack: RunningStack) -> str:
    return stack.gateway_url
