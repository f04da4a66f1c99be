"""The arguments that compose and Kubernetes give to Redis, given to a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from service.jobs.redis_check import require_usable
from service.jobs.redis_connection import Credentials, connect
from service.stack.processes import HOST, free_port, start_process, wait_until
from service.stack.redis_server import find_binary
from tests.deploy.manifests import ROOT, container

MIB = 1024**2
GIB = 1024**3
PASSWORD = "6d1f"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
KUBERNETES = [
    each.replace("$(REDISCLI_AUTH)", PASSWORD) for each in container("cpu", "redis")["args"]
]


@pytest.mark.parametrize(
    ("arguments", "password"),
    [(COMPOSE["redis"]["command"], ""), (KUBERNETES, PASSWORD)],
    ids=["compose", "kubernetes"],
)
async def test_redis_starts_with_them_and_is_one_that_the_service_accepts(
    arguments: list[str], password: str, tmp_path: Path
) -> None:
    binary = find_binary()
    if binary is None:
        pytest.skip("there is no Redis server on this machine")
    assert arguments[0] == "redis-server"
    # Its own port, as every part has it that its service names.
    assert "--port" not in " ".join(arguments)
    port = free_port()
    command = [str(binary), *arguments[1:], "--port", str(port), "--bind", HOST]
    child = start_process(
        "Redis", [*command, "--dir", str(tmp_path)], log=tmp_path / "log", environment={}
    )
    try:
        client = redis.Redis(host=HOST, port=port, password=password or None)
        wait_until(child, lambda: answers(client), timeout_seconds=20)
        said = client.config_get("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")
        assert said == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory": str(GIB),
            "maxmemory-policy": "noeviction",
        }
        ours = connect(f"redis://{HOST}:{port}/0", Credentials(password=password))
        await require_usable(ours)
        await ours.aclose()
        if password:
            with pytest.raises(redis.AuthenticationError):
                redis.Redis(host=HOST, port=port).ping()
    finally:
        child.stop()


def answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        (COMPOSE["redis"]["command"], COMPOSE["redis"]["mem_limit"]),
        (KUBERNETES, container("cpu", "redis")["resources"]["limits"]["memory"]),
    ],
    ids=["compose", "kubernetes"],
)
def test_there_is_room_beside_what_redis_may_hold(arguments: list[str], limit: str) -> None:
    """A quarter at least: docs/operations.md."""
    (most,) = (each for each in arguments if each.startswith("--maxmemory "))
    assert size(limit) >= 1.25 * size(most.split()[1])


def size(text: str) -> int:
    """Bytes of `1gb`, `1536m` or `2Gi`."""
    number = text.rstrip("bgimGM")
    return int(number) * (GIB if "g" in text.lower() else MIB)
