"""OpenAI's own client against keys and limits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest

from service.gateway.access.keys import new_key
from service.jobs.memory_queue import MemoryQueue

MADE = new_key("acme")


@pytest.fixture
async def url(listen: Any, queue: MemoryQueue, tmp_path: Path) -> str:
    """A tenant with 60 requests per minute, of which all but one are spent."""
    path = tmp_path / "keys.toml"
    path.write_text(f"[tenants.acme]\nrequests_per_minute = 60\n\n{MADE.entry}")
    for _ in range(59):
        await queue.count_request("acme", per_minute=60)
    served: str = await listen(queue, queue_timeout_seconds=5, api_keys_file=str(path))
    return f"{served}/v1"


async def test_a_wrong_key_raises_authentication_error(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-wrong") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.images.generate(prompt="red")
    assert (caught.value.code, caught.value.status_code) == ("invalid_api_key", 401)
    assert "sk-wrong" not in str(caught.value)


async def test_too_many_requests_raise_rate_limit_error(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key=MADE.key, max_retries=0) as client:
        raw = await client.images.with_raw_response.generate(prompt="red")
        assert raw.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as caught:
            await client.images.generate(prompt="red")
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "1"


async def test_the_client_comes_back_when_it_was_told_to(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key=MADE.key, max_retries=9) as client:
        generate = client.images.with_raw_response.generate
        answers = await asyncio.gather(*(generate(prompt="red") for _ in range(4)))
    assert all(answer.parse().data for answer in answers)
    assert any(answer.retries_taken for answer in answers), "four at once are more than are left"
