"""The models' configuration on a GPU host, made as the Dockerfile makes it. No GPU has tried it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tests.deploy.manifests import ROOT, container

MODELS = sorted(path.parent.name for path in ROOT.glob("model_repository/*/config.pbtxt"))
OVERLAY = (ROOT / "deploy/triton/gpu.pbtxt").read_text(encoding="utf-8")


def parsed(text: str) -> Any:
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize("model", MODELS)
def test_it_differs_in_where_instances_run_and_in_nothing_else(model: str) -> None:
    text = (ROOT / "model_repository" / model / "config.pbtxt").read_text(encoding="utf-8")
    base = parsed(text)
    kept = [line for line in text.splitlines() if not line.startswith("instance_group")]
    gpu = parsed("\n".join([*kept, OVERLAY]))
    (group,) = gpu.instance_group
    assert group.kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert base.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_AUTO
    for config in (base, gpu):
        config.ClearField("instance_group")
    assert base == gpu


def test_the_dockerfile_makes_it_and_gpu_hosts_ask_for_it() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"grep -v '\^instance_group' .*config\.pbtxt.*; cat /gpu\.pbtxt", dockerfile)
    assert "/configs/gpu.pbtxt" in dockerfile
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert compose["services"]["triton-gpu"]["command"] == container("gpu", "triton")["args"]
