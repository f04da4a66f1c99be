"""The cap on bodies, over real HTTP: announced or not, on every path that takes one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

PATHS = ["/v1/images/generations", "/v1/jobs"]


async def chunks(count: int) -> AsyncGenerator[bytes]:
    """Without a length, httpx sends them chunked."""
    for _ in range(count):
        yield b" " * 1000


@pytest.mark.parametrize("path", PATHS)
async def test_a_chunked_body_is_cut_off_at_the_cap(
    listen: Any, scripted_queue: Any, path: str
) -> None:
    url = await listen(scripted_queue(), max_body_bytes=10_000)
    headers = {"content-type": "application/json"}
    async with httpx.AsyncClient(base_url=url) as client:
        below = await client.post(path, content=chunks(10), headers=headers)
        above = await client.post(path, content=chunks(11), headers=headers)
    assert (below.status_code, above.status_code) == (400, 413)


@pytest.mark.parametrize("path", [*PATHS, "/v1/jobs/x/cancel", "/v1/models", "/nothing"])
async def test_an_announced_body_is_refused_on_every_path_before_any_of_it_is_sent(
    gateway: Any, path: str
) -> None:
    headers = {"content-length": str(10**9)}
    answer = await gateway.client.post(path, content=b"", headers=headers)
    assert answer.status_code == 413
