"""`nfig-admin check` against real servers, and what it makes of servers that are not as they should
be."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.admin.checks.queue import judge
from service.admin.cli import app
from service.jobs.redis_inspection import RedisFacts
from service.stack.redis_server import RedisServer
from service.stack.triton_server import TritonServer

SOUND = RedisFacts(
    version="7.2.4",
    role="master",
    is_cluster=False,
    keeps_a_log=True,
    log_is_written=True,
    maxmemory_bytes=1 << 30,
    used_bytes=1 << 20,
    eviction="noeviction",
    clock_ahead_seconds=0.1,
)


def check(*words: str) -> Result:
    return CliRunner().invoke(app, ["check", *words])


def lines(result: Result, grade: str) -> list[str]:
    return [line for line in result.output.splitlines() if line.startswith(grade)]


@pytest.fixture(autouse=True)
def configured(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFIG_REDIS_URL", redis_server.url)
    monkeypatch.setenv("NFIG_QUEUE_NAME", uuid.uuid4().hex)
    monkeypatch.setenv("NFIG_ENGINE", "fake")


def test_a_sound_installation_passes() -> None:
    result = check()
    assert (result.exit_code, lines(result, "fail")) == (0, []), result.output
    assert any("appendonly is on" in line for line in lines(result, "pass"))
    assert any("NFIG_ENGINE is fake" in line for line in lines(result, "warn"))


def test_a_gateway_is_checked_without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFIG_ENGINE", "triton")
    result = check("gateway")
    assert result.exit_code == 0
    assert "engine" not in result.output


def test_a_redis_that_is_not_there_fails_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NFIG_REDIS_URL", "redis://:hidden@127.0.0.1:1/0")
    result = check("gateway")
    assert result.exit_code == 1
    assert any("NFIG_REDIS_URL" in line for line in lines(result, "fail"))
    assert "hidden" not in result.output


def test_wrong_settings_fail_and_unread_ones_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFIG_PRT", "8001")
    assert any("is it NFIG_PORT?" in line for line in lines(check("gateway"), "warn"))
    monkeypatch.setenv("NFIG_PORT", "many")
    result = check("gateway")
    assert (result.exit_code, len(lines(result, "fail"))) == (1, 1)
    assert "NFIG_PORT: " in result.output


@pytest.mark.parametrize(("mode", "grade"), [(0o600, "pass"), (0o644, "warn"), (0o662, "fail")])
def test_who_can_touch_the_keys_file_is_told(
    mode: int, grade: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.toml"
    CliRunner().invoke(app, ["keys", "new", "--tenant", "shop", "--append-to", str(path)])
    path.chmod(mode)
    monkeypatch.setenv("NFIG_API_KEYS_FILE", str(path))
    told = [line for line in lines(check("gateway"), grade) if str(path) in line]
    assert any("read" in line or "write" in line for line in told)


@pytest.mark.parametrize(
    ("changed", "grade", "said"),
    [
        ({"keeps_a_log": False}, "warn", "appendonly is off"),
        ({"log_is_written": False}, "fail", "append-only"),
        ({"maxmemory_bytes": 0}, "warn", "NFIG_QUEUE_MEMORY_BYTES"),
        ({"eviction": "allkeys-lru"}, "fail", "allkeys-lru"),
        ({"clock_ahead_seconds": -2.0}, "warn", "2.00 s apart"),
        ({"clock_ahead_seconds": 90.0}, "fail", "90.00 s apart"),
        ({"role": "slave"}, "fail", "slave"),
        ({"is_cluster": True}, "fail", "cluster"),
    ],
)
def test_a_redis_that_is_not_as_it_should_be_is_told(
    changed: dict[str, object], grade: str, said: str
) -> None:
    facts = dataclasses.replace(SOUND, **changed)
    others = [each for each in judge(facts, has_own_limit=False) if each.grade != "pass"]
    assert [(each.grade, said in each.text) for each in others] == [(grade, True)]
    assert {each.grade for each in judge(SOUND, has_own_limit=False)} == {"pass"}


def test_triton_is_asked_for_its_models_and_for_a_band(
    triton_server: TritonServer,
    tiny_repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NFIG_ENGINE", "triton")
    monkeypatch.setenv("NFIG_TRITON_URL", triton_server.grpc_url)
    monkeypatch.setenv("NFIG_CARD", str(tiny_repository / "model.json"))
    result = check("worker")
    assert result.exit_code == 0, result.output
    for model in ("nfig_transformer", "nfig_decoder", "nfig_encoder"):
        assert any(f"has loaded {model}" in line for line in lines(result, "pass"))
    assert any("band of tiny was drawn" in line for line in lines(result, "pass"))

    card = tmp_path / "model.json"
    digest = "0" * 64
    text = (tiny_repository / "model.json").read_text()
    card.write_text("".join(_with_digest(line, digest) for line in text.splitlines(True)))
    monkeypatch.setenv("NFIG_CARD", str(card))
    result = check("worker")
    assert any("the model card says 000000000000" in line for line in lines(result, "fail"))


def test_a_triton_that_is_not_there_fails(
    tiny_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NFIG_ENGINE", "triton")
    monkeypatch.setenv("NFIG_TRITON_URL", "127.0.0.1:1")
    monkeypatch.setenv("NFIG_CARD", str(tiny_repository / "model.json"))
    result = check("worker")
    assert result.exit_code == 1
    assert any("NFIG_TRITON_URL" in line for line in lines(result, "fail"))


def _with_digest(line: str, digest: str) -> str:
    return f'  "digest": "{digest}",\n' if '"digest"' in line else line
