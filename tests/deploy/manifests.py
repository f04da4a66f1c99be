"""The manifests as `kubectl kustomize` renders them."""

from __future__ import annotations

import functools
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.name for path in (ROOT / "deploy/kubernetes/overlays").iterdir())
NAME = "app.kubernetes.io/name"
Manifest = dict[str, Any]


@functools.cache
def rendered(overlay: str) -> list[Manifest]:
    kubectl = Path(sysconfig.get_path("scripts"), "kubectl")
    command = [str(kubectl), "kustomize", str(ROOT / "deploy/kubernetes/overlays" / overlay)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return list(yaml.safe_load_all(ended.stdout))


def of_kind(overlay: str, *kinds: str) -> dict[str, Manifest]:
    """By name."""
    found = [each for each in rendered(overlay) if each["kind"] in kinds]
    return {each["metadata"]["name"]: each for each in found}


def pods(overlay: str) -> dict[str, Manifest]:
    """What runs, by name: the pod's spec."""
    owners = of_kind(overlay, "Deployment", "StatefulSet")
    return {name: each["spec"]["template"]["spec"] for name, each in owners.items()}


def container(overlay: str, name: str) -> Manifest:
    (only,) = pods(overlay)[name]["containers"]
    return dict(only)


def environment(overlay: str, name: str) -> dict[str, str | None]:
    """Variables and their values; None where a secret has it."""
    return {each["name"]: each.get("value") for each in container(overlay, name).get("env", ())}
