"""What Kubernetes is told is true of the processes, and stays true while they come and go."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest

from service.gateway.rest.health import router
from service.settings import GatewaySettings, WorkerSettings
from tests.deploy.manifests import (
    NAME,
    OVERLAYS,
    ROOT,
    container,
    environment,
    of_kind,
    pods,
    rendered,
)

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SETTINGS = {"gateway": GatewaySettings, "worker": WorkerSettings}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@each_overlay
def test_every_manifest_of_kubernetes_own_is_valid(overlay: str) -> None:
    own = [each for each in rendered(overlay) if not re.search("keda|coreos", each["apiVersion"])]
    assert len(own) > 15
    for manifest in own:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


@each_overlay
def test_every_exception_from_a_check_has_its_reason(overlay: str) -> None:
    for manifest in rendered(overlay):
        for name, said in manifest["metadata"].get("annotations", {}).items():
            if name.startswith("checkov.io/skip"):
                assert re.fullmatch(r"CKV\w+=\S+( \S+){3,}", said), said


@each_overlay
def test_everything_lies_in_one_namespace(overlay: str) -> None:
    for manifest in rendered(overlay):
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == "nfig", manifest


@each_overlay
@pytest.mark.parametrize("name", SETTINGS)
def test_every_variable_is_a_setting_and_every_value_is_taken(
    overlay: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "settings.toml"
    secret.write_text('redis_password = "secret"\n', encoding="utf-8")
    for variable, value in environment(overlay, name).items():
        assert variable.removeprefix("NFIG_").lower() in SETTINGS[name].model_fields, variable
        assert value is not None, variable
        monkeypatch.setenv(variable, str(secret) if variable == "NFIG_SETTINGS_FILE" else value)
    settings = SETTINGS[name]()
    assert settings.redis_password.get_secret_value() == "secret"


@each_overlay
def test_passwords_and_keys_are_files_of_secrets(overlay: str) -> None:
    assert not of_kind(overlay, "Secret")
    for name, variable in [
        ("gateway", "NFIG_SETTINGS_FILE"),
        ("gateway", "NFIG_API_KEYS_FILE"),
        ("worker", "NFIG_SETTINGS_FILE"),
    ]:
        volumes = {each["name"]: each for each in pods(overlay)[name]["volumes"]}
        mounts = {
            each["mountPath"]: each["name"] for each in container(overlay, name)["volumeMounts"]
        }
        folder, _, _ = str(environment(overlay, name)[variable]).rpartition("/")
        assert "secret" in volumes[mounts[folder]]
    assert "NFIG_ALLOW_ANONYMOUS" not in environment(overlay, "gateway")


@each_overlay
def test_images_are_those_that_the_dockerfile_builds_in_this_version(overlay: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stages = set(re.findall(r" AS (\S+)", DOCKERFILE))
    for name in pods(overlay):
        image, _, tag = container(overlay, name)["image"].partition(":")
        if name == "redis":
            assert f"image: {image}:{tag}\n" in (ROOT / "docker-compose.yml").read_text()
        else:
            assert (image, tag) == (f"nfig-{name}", project["version"])
            assert name in stages


@each_overlay
def test_ports_are_those_that_the_images_expose(overlay: str) -> None:
    exposed = {
        target: set(re.findall(r"\d+", ports))
        for target, ports in re.findall(
            r"^FROM \S+ AS (\S+)\n(?:(?!^FROM ).*\n)*?EXPOSE (.*)$", DOCKERFILE, flags=re.MULTILINE
        )
    }
    for name in ("gateway", "worker", "triton"):
        ports = {str(each["containerPort"]) for each in container(overlay, name)["ports"]}
        assert ports == exposed[name]


@each_overlay
def test_every_probe_asks_what_there_is(overlay: str) -> None:
    paths = {route.path for route in router().routes}
    for name in pods(overlay):
        ports = {each["name"] for each in container(overlay, name)["ports"]}
        for probe in PROBES:
            asked = container(overlay, name)[probe]
            if "httpGet" in asked:
                assert asked["httpGet"]["port"] in ports
                assert asked["httpGet"]["path"] in paths
            elif name == "triton":
                script = asked["exec"]["command"][-1]
                assert re.search(rf"^COPY \S+ {script}$", DOCKERFILE, flags=re.MULTILINE)
    gateway = container(overlay, "gateway")
    assert gateway["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert gateway["livenessProbe"]["httpGet"]["path"] == "/health/live"


@each_overlay
def test_tritons_probes_wait_for_as_long_as_the_canary_may_take(overlay: str) -> None:
    canary = (ROOT / "deploy/triton/canary.py").read_text(encoding="utf-8")
    (seconds,) = re.findall(r"^SECONDS = ([\d.]+)$", canary, flags=re.MULTILINE)
    for probe in PROBES:
        assert container(overlay, "triton")[probe]["timeoutSeconds"] > 3 * float(seconds)


@each_overlay
def test_triton_is_started_as_its_image_starts_it(overlay: str) -> None:
    arguments = container(overlay, "triton")["args"]
    command = DOCKERFILE.partition('CMD ["tritonserver"')[2].partition("]")[0]
    more = ["--model-config-name=gpu"] if overlay == "gpu" else []
    assert arguments == ["tritonserver", *re.findall(r'"([^"]+)"', command), *more]


@each_overlay
def test_nothing_is_killed_before_it_has_drained(overlay: str) -> None:
    triton = " ".join(container(overlay, "triton")["args"])
    (exit_seconds,) = re.findall(r"--exit-timeout-secs=(\d+)", triton)
    drains = {
        "gateway": float(environment(overlay, "gateway")["NFIG_SHUTDOWN_GRACE_SECONDS"] or "nan"),
        "worker": float(environment(overlay, "worker")["NFIG_GRACE_SECONDS"] or "nan"),
        "triton": float(exit_seconds),
    }
    for name, drain in drains.items():
        stop = container(overlay, name).get("lifecycle", {}).get("preStop", {})
        before = stop.get("sleep", {}).get("seconds", 0)
        assert pods(overlay)[name]["terminationGracePeriodSeconds"] > before + drain
        # Whoever is connected to must first have left the service.
        assert before > 0 or name == "worker"


@each_overlay
def test_there_are_two_of_everything_but_redis_and_one_may_go_at_a_time(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    scalers = of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject")
    deployments = of_kind(overlay, "Deployment")
    assert set(budgets) == set(deployments) == {"gateway", "worker", "triton"}
    for name, deployment in deployments.items():
        least = scalers.get(name, {}).get("spec", {})
        replicas = least.get("minReplicas", least.get("minReplicaCount"))
        # An autoscaler's replicas are its own.
        assert (replicas is None) == ("replicas" in deployment["spec"])
        assert (replicas or deployment["spec"]["replicas"]) >= 2
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert budgets[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert budgets[name]["spec"]["maxUnavailable"] == 1
        rolling = deployment["spec"]["strategy"]["rollingUpdate"]
        spare = overlay == "gpu" and name == "triton"
        assert rolling["maxUnavailable"] == (1 if spare else 0)


@each_overlay
def test_services_lead_to_ports_that_there_are_and_addresses_to_services(overlay: str) -> None:
    services = of_kind(overlay, "Service")
    for name, service in services.items():
        assert service["spec"]["selector"] == {NAME: name}
        named = {each["name"]: each["containerPort"] for each in container(overlay, name)["ports"]}
        for port in service["spec"]["ports"]:
            assert named[port["targetPort"]] == port["port"]
    for name in SETTINGS:
        for value in environment(overlay, name).values():
            for host, port in re.findall(r"(?:^|//)([a-z]+):(\d+)", value or ""):
                assert int(port) in [each["port"] for each in services[host]["spec"]["ports"]]


@each_overlay
@pytest.mark.parametrize("name", ["gateway", "worker", "triton", "redis"])
def test_every_pod_is_bounded_and_has_no_rights(overlay: str, name: str) -> None:
    pod, only = pods(overlay)[name], container(overlay, name)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(only["resources"]["limits"])
    users = re.findall(
        r"^USER (\d+):", DOCKERFILE.partition(f" AS {name}\n")[2], flags=re.MULTILINE
    )
    if name == "triton":
        assert pod["securityContext"]["runAsUser"] == int(users[0])


def test_a_gpu_overlay_asks_for_a_gpu() -> None:
    assert container("gpu", "triton")["resources"]["limits"]["nvidia.com/gpu"] == 1
