"""What scales, and by what; the schemas of Kubernetes do not know KEDA's."""

from __future__ import annotations

import re

from service.settings import WorkerSettings
from tests.deploy.manifests import container, environment, of_kind

OVERLAY = "autoscaled"


def test_workers_are_scaled_by_the_queues_depth_and_age() -> None:
    (scaled,) = of_kind(OVERLAY, "ScaledObject").values()
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    spec = scaled["spec"]
    allowed = {"scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval"}
    assert set(spec) == allowed | {"triggers"}
    assert spec["scaleTargetRef"] == {"name": "worker"}
    assert "worker" in of_kind(OVERLAY, "Deployment")
    # With none, the gateways refuse, and nothing would be there to wake one.
    assert 0 < spec["minReplicaCount"] < spec["maxReplicaCount"]
    asked = set()
    for trigger in spec["triggers"]:
        assert set(trigger) == {"type", "name", "metricType", "metadata"}
        assert trigger["type"] == "prometheus"
        assert set(trigger["metadata"]) == {"serverAddress", "query", "threshold"}
        assert float(trigger["metadata"]["threshold"]) > 0
        asked |= set(re.findall(r"nfig_\w+", trigger["metadata"]["query"]))
    assert asked == {"nfig_queue_depth", "nfig_oldest_job_age_seconds"}


def test_a_worker_is_added_for_every_so_many_jobs_as_it_has_slots() -> None:
    (scaled,) = of_kind(OVERLAY, "ScaledObject").values()
    depth = next(each for each in scaled["spec"]["triggers"] if each["name"] == "depth")
    slots = WorkerSettings.model_fields["max_generations"].default
    assert "NFIG_MAX_GENERATIONS" not in environment(OVERLAY, "worker")
    assert (depth["metricType"], depth["metadata"]["threshold"]) == ("AverageValue", str(slots))


def test_gateways_are_scaled_by_the_one_core_that_they_can_use() -> None:
    (scaler,) = of_kind(OVERLAY, "HorizontalPodAutoscaler").values()
    assert scaler["spec"]["scaleTargetRef"]["name"] == "gateway"
    assert container(OVERLAY, "gateway")["resources"]["requests"]["cpu"] == "1"
