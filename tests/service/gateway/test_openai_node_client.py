"""OpenAI's official client for Node.js works unchanged; skipped where it cannot be had."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from service.domain import JobFailed
from service.errors import QueueFull

pytestmark = pytest.mark.timeout(60)

SOURCE = Path(__file__).with_name("openai_node")
INSTALL = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
PATIENCE_SECONDS = 120.0
Call = Callable[[str], Awaitable[Any]]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The calls, with the client beside them."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js and npm are not on PATH")
    folder = tmp_path_factory.mktemp("openai") / "node"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("node_modules"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_fetch_retries", "0")
        patch.setenv("npm_config_fetch_timeout", "20000")
        ended = subprocess.run(
            INSTALL,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    if ended.returncode:
        pytest.skip(f"npm cannot install the client: {ended.stderr[-300:]}")
    return folder


@pytest.fixture
def queue(scripted_queue: Any) -> Any:
    return scripted_queue()


@pytest.fixture
async def call(listen: Any, queue: Any, installed: Path) -> Call:
    """Makes one of the calls against a gateway of its own."""
    url = await listen(queue, queue_timeout_seconds=1)

    async def made(name: str) -> Any:
        command = ["node", str(installed / "calls.mjs"), name, f"{url}/v1"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return json.loads(out)

    return made


def test_the_lock_names_one_exact_version_and_no_addresses() -> None:
    wanted = json.loads((SOURCE / "package.json").read_text())["dependencies"]
    text = (SOURCE / "package-lock.json").read_text()
    locked = json.loads(text)["packages"]
    assert "://" not in text and "resolved" not in text
    assert locked[""]["dependencies"] == wanted
    assert locked["node_modules/openai"]["version"] == wanted["openai"]
    assert "integrity" in locked["node_modules/openai"]


async def test_generate(call: Call, queue: Any) -> None:
    answer = await call("generate")
    assert [image["image_index"] for image in answer["data"]] == [0, 1]
    for image in answer["data"]:
        assert base64.b64decode(image["b64_json"]) in queue.pictures.values()
    assert (answer["output_format"], answer["size"]) == ("png", "64x64")
    assert queue.requests[0].seed == 7


async def test_url(call: Call, queue: Any) -> None:
    answer = await call("url")
    assert base64.b64decode(answer["b64"]) in queue.pictures.values()


async def test_format_and_compression(call: Call, queue: Any) -> None:
    answer = await call("webp")
    assert answer["output_format"] == "webp"
    assert (queue.requests[0].picture_format, queue.requests[0].picture_quality) == ("webp", 60)


async def test_stream(call: Call, queue: Any) -> None:
    answer = await call("stream")
    assert answer["error"] is None
    events = answer["events"]
    assert [event["type"] for event in events] == ["image_generation.partial_image"] * 3 + [
        "image_generation.completed"
    ]
    assert [event["partial_image_index"] for event in events[:3]] == [0, 1, 2]
    assert [event["band"] for event in events] == [0, 2, 3, 4]
    for event in events:
        assert base64.b64decode(event["b64_json"]) in queue.pictures.values()


async def test_an_error_in_the_stream_is_thrown(call: Call, queue: Any) -> None:
    queue.fail_after_band = (2, JobFailed(code="engine_unavailable", message="Triton is gone"))
    answer = await call("stream")
    assert len(answer["events"]) == 2
    assert answer["error"]["code"] == "engine_unavailable"
    assert "Triton is gone" in answer["error"]["message"]


async def test_models(call: Call) -> None:
    assert await call("models") == ["tiny"]


@pytest.mark.parametrize(
    ("name", "kind", "status", "code", "param"),
    [
        ("refused", "BadRequestError", 400, "unknown_class", "prompt"),
        ("unknownModel", "NotFoundError", 404, "unknown_model", "model"),
        ("unavailable", "InternalServerError", 503, "engine_unavailable", None),
    ],
    ids=["class", "model", "engine"],
)
async def test_an_error_is_its_exception(  # noqa: PLR0913
    call: Call, queue: Any, name: str, kind: str, status: int, code: str, param: str | None
) -> None:
    if code == "engine_unavailable":
        queue.statuses = []
    error = await call(name)
    assert (error["kind"], error["status"]) == (kind, status)
    assert (error["code"], error["param"]) == (code, param)
    assert error["requestId"]


async def test_a_refusal_is_retried_when_the_service_says_so(call: Call, queue: Any) -> None:
    queue.refuse_submit = QueueFull("the queue is full", retry_after_s=2.0)

    async def empty_the_queue() -> None:
        while not queue.refused:
            await asyncio.sleep(0.01)
        queue.refuse_submit = None

    queue.refused = 0
    submit = queue.submit

    async def counting(request: Any, **more: Any) -> Any:
        queue.refused += queue.refuse_submit is not None
        return await submit(request, **more)

    queue.submit = counting
    async with asyncio.timeout(30), asyncio.TaskGroup() as both:
        both.create_task(empty_the_queue())
        answer = await call("retried")
    assert answer["images"] == 1
    assert 2000 <= answer["milliseconds"] < 8000
    assert (queue.refused, len(queue.requests)) == (1, 1)


async def test_who_leaves_a_stream_cancels_its_job(call: Call, queue: Any) -> None:
    queue.hang_after_band = 1
    assert await call("abandoned") == "image_generation.partial_image"
    async with asyncio.timeout(10):
        while not queue.cancelled:
            await asyncio.sleep(0.01)
    assert queue.cancelled == ["job-0"]
