"""Who may speak to whom: reckoned from the policies as a cluster would."""

from __future__ import annotations

import pytest

from tests.deploy.manifests import NAME, OVERLAYS, Manifest, of_kind

EVERYBODY = "everybody"
WAYS = {
    (EVERYBODY, "gateway", 8000),
    (EVERYBODY, "gateway", 50051),
    ("monitoring", "gateway", 8080),
    ("monitoring", "worker", 9100),
    ("monitoring", "triton", 8002),
    ("gateway", "redis", 6379),
    ("worker", "redis", 6379),
    ("worker", "triton", 8001),
}


def ways_in(overlay: str) -> set[tuple[str, str, int]]:
    found = set()
    for policy in of_kind(overlay, "NetworkPolicy").values():
        target = policy["spec"]["podSelector"].get("matchLabels", {}).get(NAME)
        for rule in policy["spec"].get("ingress", ()):
            for port in rule["ports"]:
                for source in map(name_of, rule.get("from", [{}])):
                    found.add((source, target, port["port"]))
    return found


def ways_out(overlay: str) -> set[tuple[str, str, int]]:
    found = set()
    for policy in of_kind(overlay, "NetworkPolicy").values():
        source = policy["spec"]["podSelector"].get("matchLabels", {}).get(NAME)
        for rule in policy["spec"].get("egress", ()):
            for port in rule["ports"]:
                found |= {(source, name_of(target), port["port"]) for target in rule["to"]}
    return found


def name_of(peer: Manifest) -> str:
    if not peer:
        return EVERYBODY
    if "podSelector" in peer:
        assert "namespaceSelector" not in peer
        return str(peer["podSelector"]["matchLabels"][NAME])
    return str(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_let_through_but_what_is_named(overlay: str) -> None:
    closed = of_kind(overlay, "NetworkPolicy")["nothing-else"]["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_these_ways_lead_in_and_each_is_open_at_both_ends(overlay: str) -> None:
    assert ways_in(overlay) == WAYS
    inner = {way for way in WAYS if way[0] not in (EVERYBODY, "monitoring")}
    assert ways_out(overlay) == inner | {(None, "kube-system", 53)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_outside_reaches_redis_or_triton(overlay: str) -> None:
    callers = {source for source, target, _ in ways_in(overlay) if target in ("redis", "triton")}
    assert callers == {"gateway", "worker", "monitoring"}
    for name in ("redis", "triton", "worker"):
        assert of_kind(overlay, "Service")[name]["spec"].get("type", "ClusterIP") == "ClusterIP"
