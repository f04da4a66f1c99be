"""A real Prometheus on this machine, with the project's own configuration and rules."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from service.stack.processes import HOST, free_port

FOLDER = Path(__file__).parents[2] / "deploy" / "observability" / "prometheus"
BINARY = shutil.which("prometheus")


def configuration(targets: Mapping[str, str]) -> dict[str, Any]:
    """The committed one, in a hurry, and with these targets (`host:port` by job)."""
    config: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / path) for path in config["rule_files"]]
    assert {job["job_name"] for job in config["scrape_configs"]} == set(targets)
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    return config


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and values, of now."""
        result = self.get("query", query=expression)["result"]
        return [(sample["metric"], float(sample["value"][1])) for sample in result]


@contextmanager
def run_prometheus(targets: Mapping[str, str], folder: Path) -> Iterator[Prometheus]:
    assert BINARY is not None
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(configuration(targets)))
    command = [
        BINARY,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        server = Prometheus(f"http://{HOST}:{port}")
        wait_for(lambda: _answers(server), seconds=20, what="Prometheus to answer")
        yield server
    finally:
        process.terminate()
        process.wait(10)


def wait_for(probe: Any, *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)


def _answers(server: Prometheus) -> bool:
    try:
        return server.get("status/buildinfo") is not None
    except OSError:
        return False
