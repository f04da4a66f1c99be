"""docs/deployment.md, as far as it goes without a container engine and a cluster."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from service.gateway.access.key_file import KeyFile
from service.gateway.access.keys import new_key
from service.settings import GatewaySettings
from tests.deploy.manifests import OVERLAYS, ROOT, Manifest, pods, rendered
from tests.documentation.blocks import Block, blocks_of

BLOCKS = blocks_of(ROOT / "docs" / "deployment.md")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
KUBECTL = """#!/bin/sh
# Kubernetes' own, kept from looking for a cluster: what it would send is printed.
echo ---
case "$*" in
"apply -k "*) exec "{kubectl}" kustomize "$3" ;;
*"create "*) exec "{kubectl}" "$@" --dry-run=client --output yaml ;;
esac
exit 64
"""


def block(words: str) -> Block:
    """The one with these words in it."""
    (found,) = (each for each in BLOCKS if words in each.text)
    return found


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    """A key and its entry in the file of keys."""
    made = new_key("acme")
    return made.key, made.entry


@pytest.fixture(scope="module")
def sent(key: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """What the commands for Kubernetes send to it, in order."""
    desk = tmp_path_factory.mktemp("desk")
    (desk / "keys.toml").write_text(key[1], encoding="utf-8")
    (desk / "deploy").symlink_to(ROOT / "deploy")
    stand_in = desk / "bin" / "kubectl"
    stand_in.parent.mkdir()
    stand_in.write_text(KUBECTL.format(kubectl=Path(sysconfig.get_path("scripts"), "kubectl")))
    stand_in.chmod(0o755)
    ended = subprocess.run(
        ["sh", "-eu", "-c", block("kubectl apply").text],
        cwd=desk,
        env={"PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(desk)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [each for each in yaml.safe_load_all(ended.stdout) if each]


def secrets(sent: list[Manifest]) -> dict[str, dict[str, str]]:
    """By name: keys and values."""
    return {
        each["metadata"]["name"]: {
            name: base64.b64decode(value).decode() for name, value in each["data"].items()
        }
        for each in sent
        if each["kind"] == "Secret"
    }


def test_the_namespace_comes_first_and_what_is_applied_last(sent: list[Manifest]) -> None:
    assert (sent[0]["kind"], sent[0]["metadata"]["name"]) == ("Namespace", "nfig")
    assert [each["kind"] for each in sent[1:3]] == ["Secret", "Secret"]
    assert {each["metadata"]["namespace"] for each in sent[1:3]} == {"nfig"}
    assert sent[3:] == rendered("cpu")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_secret_that_pods_need_is_made_with_its_keys(
    sent: list[Manifest], overlay: str
) -> None:
    made = secrets(sent)
    needed: set[tuple[str, str]] = set()
    for pod in pods(overlay).values():
        for volume in pod["volumes"]:
            if secret := volume.get("secret"):
                items = secret.get("items", [{"key": "keys.toml"}])
                needed |= {(secret["secretName"], each["key"]) for each in items}
        for variable in pod["containers"][0].get("env", ()):
            if reference := variable.get("valueFrom"):
                needed.add((reference["secretKeyRef"]["name"], reference["secretKeyRef"]["key"]))
    assert needed == {(name, key) for name, values in made.items() for key in values}


def test_gateway_and_redis_get_the_same_password_and_callers_their_key(
    sent: list[Manifest], key: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = secrets(sent)
    for name in ("settings.toml", "keys.toml"):
        secret = "nfig-redis" if name == "settings.toml" else "nfig-api-keys"
        (tmp_path / name).write_text(made[secret][name], encoding="utf-8")
    monkeypatch.setenv("NFIG_SETTINGS_FILE", str(tmp_path / "settings.toml"))
    password = GatewaySettings().redis_password
    assert password is not None
    assert password.get_secret_value() == made["nfig-redis"]["password"]
    assert len(made["nfig-redis"]["password"]) == 64
    keys = KeyFile(tmp_path / "keys.toml").table()
    assert keys.tenant(key[0], now=datetime.now(UTC)) == "acme"


def test_what_docker_is_told_to_build_is_what_the_dockerfile_has() -> None:
    text = block("docker build").text
    targets = re.findall(r"--target (\S+)", text)
    assert targets == ["gateway", "worker", "triton", "train"]
    assert set(targets) <= set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    arguments = re.findall(r"--build-arg (\w+)=", (ROOT / "docs/deployment.md").read_text())
    assert set(arguments) == set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
