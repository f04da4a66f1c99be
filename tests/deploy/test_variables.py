"""Every variable that a file of the deployment names is one that some process reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from service.admin.settings_page import OF_OTHERS
from service.settings import setting_names
from tests.deploy.manifests import OVERLAYS, ROOT, environment, pods

FILES = [
    ROOT / "Dockerfile",
    ROOT / "docker-compose.yml",
    *(path for path in sorted((ROOT / "deploy").rglob("*")) if path.suffix in {".yaml", ".yml"}),
]
KNOWN = {f"NFIG_{name.upper()}" for name in setting_names()} | set(OF_OTHERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_variable_of_ours_is_a_setting(path: Path) -> None:
    assert set(re.findall(r"\bNFIG_[A-Z_]+", path.read_text(encoding="utf-8"))) <= KNOWN


def test_what_is_not_ours_is_known_by_name() -> None:
    """So that a misspelt prefix does not pass for somebody else's."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    found = {name for each in compose["services"].values() for name in each.get("environment", {})}
    for overlay in OVERLAYS:
        found |= {name for pod in pods(overlay) for name in environment(overlay, pod)}
    assert {name for name in found if not name.startswith("NFIG_")} == {
        "GF_AUTH_ANONYMOUS_ENABLED",
        "GF_AUTH_ANONYMOUS_ORG_ROLE",
        "OMP_NUM_THREADS",
        "REDISCLI_AUTH",
    }
