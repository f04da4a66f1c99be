"""The canary that probes run inside Triton's container, against a real Triton."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from service.stack.processes import free_port
from service.stack.triton_server import TritonServer

CANARY = Path(__file__).parents[2] / "deploy" / "triton" / "canary.py"


def run_canary(url: str, card: Path) -> subprocess.CompletedProcess[str]:
    # Isolated: in the container there is nothing but the standard library.
    command = [sys.executable, "-I", str(CANARY), url, str(card)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_passes_where_triton_draws(triton_server: TritonServer, tiny_repository: Path) -> None:
    ended = run_canary(triton_server.http_url, tiny_repository / "model.json")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_it_fails_if_another_checkpoint_is_served(
    triton_server: TritonServer, tiny_repository: Path, tmp_path: Path
) -> None:
    card = json.loads((tiny_repository / "model.json").read_text(encoding="utf-8"))
    other = tmp_path / "model.json"
    other.write_text(json.dumps({**card, "digest": "0" * 64}), encoding="utf-8")
    ended = run_canary(triton_server.http_url, other)
    assert ended.returncode == 1
    assert "it serves checkpoint" in ended.stderr


def test_it_fails_if_a_model_refuses(
    triton_server: TritonServer, tiny_repository: Path, tmp_path: Path
) -> None:
    card = json.loads((tiny_repository / "model.json").read_text(encoding="utf-8"))
    other = tmp_path / "model.json"
    other.write_text(json.dumps({**card, "top_p": -1.0}), encoding="utf-8")
    ended = run_canary(triton_server.http_url, other)
    assert ended.returncode == 1
    assert "top_p" in ended.stderr


def test_it_fails_where_nobody_listens(tmp_path: Path) -> None:
    card = tmp_path / "model.json"
    fields = {"grid_sides": [1, 2], "latent_channels": 3, "digest": ""}
    sampling = {"guidance_scale": 1.0, "top_k": 0, "top_p": 1.0, "temperature": 1.0}
    card.write_text(json.dumps({**fields, **sampling}), encoding="utf-8")
    ended = run_canary(f"http://127.0.0.1:{free_port()}", card)
    assert ended.returncode == 1
    assert "Connection refused" in ended.stderr
