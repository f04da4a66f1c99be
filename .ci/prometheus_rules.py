"""Writes Prometheus' rules as the object that its operator reads, for clusters.

kustomize puts files into a ConfigMap and into nothing else: deploy/observability has the rules, and
this copies them, comments included. Run by `make manifests`.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "deploy" / "observability" / "prometheus" / "rules"
MANIFEST = ROOT / "deploy/kubernetes/components/monitoring/prometheus-rules.yaml"
HEAD = """\
# Written by `make manifests` from deploy/observability/prometheus/rules. Do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: nfig
spec:
  groups:
"""
OF_OTHERS = re.compile(r"\b(up|nv_\w+)\{")
"""Series that whatever else runs in the cluster has too."""


def manifest() -> str:
    found = [HEAD]
    for path in sorted(RULES.glob("*.yml")):
        remarks, groups = path.read_text(encoding="utf-8").split("groups:\n")
        ours = OF_OTHERS.sub(r'\1{namespace="nfig", ', groups)
        found.append(textwrap.indent(remarks, " " * 4) + textwrap.indent(ours, " " * 2))
    return "".join(found)


if __name__ == "__main__":
    MANIFEST.write_text(manifest(), encoding="utf-8")
