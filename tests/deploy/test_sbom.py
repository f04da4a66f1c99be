"""The bill of an image names what is in it, all of it and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def component(name: str) -> dict[str, Any]:
    return {"bom-ref": f"{name}==1", "name": name, "version": "1", "type": "library"}


@pytest.fixture
def environment() -> dict[str, Any]:
    """As cyclonedx-py writes it, of an environment with more in it than any image has."""
    names = ("fastapi", "starlette", "Pillow", "torch", "pytest", "nfig-proto")
    components = [component(name) for name in names]
    components[-1]["externalReferences"] = [
        {"type": "distribution", "url": Path(__file__).as_uri()},
        {"type": "website", "url": "https://example.org"},
    ]
    root = {"bom-ref": "root", "name": "nfig-serve", "type": "application"}
    return {
        "bomFormat": "CycloneDX",
        "metadata": {"component": root},
        "components": components,
        "dependencies": [
            {"ref": "root", "dependsOn": [f"{name}==1" for name in names]},
            {"ref": "fastapi==1", "dependsOn": ["starlette==1", "pytest==1"]},
            {"ref": "pytest==1"},
        ],
    }


def test_a_gateway_has_what_it_needs_and_no_torch(
    sbom: ModuleType, environment: dict[str, Any]
) -> None:
    bill = sbom.bill(environment, "gateway")
    names = {each["name"] for each in bill["components"]}
    # starlette is there because fastapi needs it; names are compared as indexes do.
    assert names == {"fastapi", "starlette", "Pillow", "nfig-proto"}
    assert bill["metadata"]["component"]["name"] == "nfig-gateway"
    assert bill["dependencies"] == [
        {
            "ref": "root",
            "dependsOn": ["fastapi==1", "starlette==1", "Pillow==1", "nfig-proto==1"],
        },
        {"ref": "fastapi==1", "dependsOn": ["starlette==1"]},
    ]


def test_what_draws_has_torch(sbom: ModuleType, environment: dict[str, Any]) -> None:
    for target in ("triton", "train"):
        names = {each["name"] for each in sbom.bill(environment, target)["components"]}
        assert "torch" in names
        assert "fastapi" not in names


def test_it_does_not_tell_where_things_lay(sbom: ModuleType, environment: dict[str, Any]) -> None:
    bill = sbom.bill(environment, "gateway")
    (ours,) = (each for each in bill["components"] if each["name"] == "nfig-proto")
    assert [each["type"] for each in ours["externalReferences"]] == ["website"]


def test_every_distribution_of_an_image_is_in_the_lock(sbom: ModuleType) -> None:
    """So that the versions of the bill are those that the Dockerfile installs."""
    lock = (sbom.Path(sbom.__file__).parents[1] / "requirements.lock").read_text(encoding="utf-8")
    locked = {sbom.canonicalize_name(line.partition("==")[0]) for line in lock.splitlines()}
    for target in sbom.EXTRAS:
        inside = sbom.closure(sbom.requirements(target)) - sbom.OURS
        # What only a CUDA build of torch brings is not ours to pin.
        strange = {name for name in inside - locked if not name.startswith(("nvidia-", "cuda-"))}
        assert strange <= {"triton"}, target
