"""`python .ci/sbom.py ENVIRONMENT.json FOLDER`: a software bill of materials for each image.

Takes the CycloneDX document of a whole environment, which `make sbom` has written, and keeps what a
target of the Dockerfile installs. Python alone: what the base image brings, only the image knows.
"""

from __future__ import annotations

import copy
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from image_requirements import EXTRAS, requirements
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = {"nfig-proto", "nfig-serve"}


def closure(texts: list[str]) -> set[str]:
    """Names of the installed distributions that these requirements bring, with what those need."""
    found: set[str] = set()
    waiting = [(Requirement(text), "") for text in texts]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted, extra = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        found.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        extras = ["", *wanted.extras]
        waiting += [(Requirement(need), each) for need in needs for each in extras]
    return found


def bill(environment: dict[str, Any], target: str) -> dict[str, Any]:
    """The part of the environment's bill that is in the target's image."""
    kept = copy.deepcopy(environment)
    root = kept["metadata"]["component"]
    inside = closure(requirements(target)) | OURS
    kept["components"] = [
        each
        for each in kept["components"]
        if canonicalize_name(each["name"]) in inside and each["name"] != root["name"]
    ]
    refs = {root["bom-ref"], *(each["bom-ref"] for each in kept["components"])}
    kept["dependencies"] = [
        {**each, "dependsOn": [ref for ref in each.get("dependsOn", []) if ref in refs]}
        for each in kept["dependencies"]
        if each["ref"] in refs
    ]
    for component in (root, *kept["components"]):
        _forget_machine(component)
    root["name"] = f"nfig-{target}"
    return kept


def _forget_machine(component: dict[str, Any]) -> None:
    """Where a checkout or a wheel lay when it was installed."""
    references = component.get("externalReferences", [])
    left = [each for each in references if not each["url"].startswith("file:")]
    if references:
        component["externalReferences"] = left


def main(source: str, folder: str) -> None:
    environment = json.loads(Path(source).read_text(encoding="utf-8"))
    for target in EXTRAS:
        path = Path(folder, f"nfig-{target}.cdx.json")
        found = bill(environment, target)
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        print(f"{path}: {len(found['components'])} components")


if __name__ == "__main__":
    main(*sys.argv[1:])
