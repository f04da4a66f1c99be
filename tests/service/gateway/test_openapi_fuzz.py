"""Schemathesis against the OpenAPI document: no 5xx, no answer that the document does not promise.

`make fuzz` is the same with thousands of cases; `NFIG_FUZZ_EXAMPLES` says how many per operation.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from service.engine.fake_engine import FakeEngine
from service.gateway.access.keys import new_key
from service.jobs.memory_queue import MemoryQueue
from service.jobs.queue import QueueLimits
from tests.in_process_worker import working

ROOT = Path(__file__).parents[3]
EXAMPLES = int(os.environ.get("NFIG_FUZZ_EXAMPLES", "5"))
MADE = new_key("acme")


@pytest.fixture
async def deep_queue() -> AsyncGenerator[MemoryQueue]:
    """A queue that never fills, with a worker behind it: 503 would hide a real 5xx."""
    queue, engine = MemoryQueue(QueueLimits(max_depth=1_000_000)), FakeEngine(band_seconds=0)
    patient = {"ttl_seconds": 30.0, "lease_seconds": 30.0, "grace_seconds": 0.0}
    async with working(queue, engine, max_generations=64, **patient):
        yield queue
    await engine.close()


@pytest.mark.timeout(7200 if EXAMPLES > 5 else 120)
@pytest.mark.parametrize("with_keys", [False, True])
async def test_the_document_keeps_its_word(
    listen: Any, deep_queue: MemoryQueue, tmp_path: Path, with_keys: bool
) -> None:
    settings: dict[str, Any] = {"queue_timeout_seconds": 30}
    command = [sys.executable, "-m", "schemathesis.cli"]
    command += ["--config-file", str(ROOT / "schemathesis.toml"), "run", "--checks", "all"]
    command += ["--max-examples", str(EXAMPLES), "--no-shrink", "--warnings", "off"]
    if with_keys:
        path = tmp_path / "keys.toml"
        path.write_text(MADE.entry)
        settings["api_keys_file"] = str(path)
        command += ["--header", f"Authorization: Bearer {MADE.key}"]
    url = await listen(deep_queue, **settings)
    process = await asyncio.create_subprocess_exec(
        *command,
        f"{url}/openapi.json",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    print(output)
    assert process.returncode == 0, output
    counted = re.search(r"(\d+) generated, (\d+) passed", output)
    assert counted is not None
    assert int(counted[1]) == int(counted[2]) >= 100
