"""Lints the chart, renders it with every set of values in alike/ci, and checks each manifest against Kubernetes' own schemas.

Needs helm-python-sdk (Helm's Go library) and kubernetes-validate from the Python package index; `.ci/deploy` installs them.
"""

import re
import sys
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import yaml

CHART = Path(__file__).parent / "alike"
KUBERNETES = ["1.31", "1.34", "1.37"]
# Kinds of the Prometheus operator, whose schemas are not part of Kubernetes.
OTHERS = {"ServiceMonitor", "PrometheusRule"}


def lint(values, name):
    """As `helm lint --strict` does: warnings are errors."""
    report = helm.lint(CHART, values, strict=True)
    bad = [m for m in report["messages"] if m["severity"] >= 2] + report["errors"]
    assert not bad, f"{name}: {bad}"


def render(values, name):
    """The manifests, by kind; each checked."""
    files = helm.Chart.load(CHART).render(values, name="shop", namespace="shop", is_install=True)
    manifests = []
    for path, text in files.items():
        if path.endswith("NOTES.txt"):
            continue
        for manifest in filter(None, yaml.safe_load_all(text)):
            manifests.append(manifest)
            if manifest["kind"] in OTHERS:
                continue
            for version in KUBERNETES:
                try:
                    kubernetes_validate.validate(manifest, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    raise AssertionError(f"{name}, {path}, Kubernetes {version}: {error}") from error
    return {kind: [m for m in manifests if m["kind"] == kind] for kind in {m["kind"] for m in manifests}}


def refused(values, says):
    """Values that must be refused, and how."""
    try:
        chart = helm.Chart.load(CHART)
        chart.validate_schema(values)
        chart.render(values, name="shop", namespace="shop")
    except helm.HelmError as error:
        assert re.search(says, str(error)), f"{values}: {error}"
        return
    raise AssertionError(f"{values} were not refused")


def main():
    sets = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CHART.glob("ci/*.yaml"))}
    rendered = {}
    for name, values in sets.items():
        lint(values, name)
        helm.Chart.load(CHART).validate_schema(values)
        rendered[name] = render(values, name)
        print(f"{name}: {', '.join(f'{len(found)} {kind}' for kind, found in sorted(rendered[name].items()))}")

    pod = rendered["postgres-values"]["Deployment"][0]["spec"]["template"]["spec"]
    server = pod["containers"][0]
    drain = int(next(a for a in server["args"] if a.startswith("--drain=")).split("=")[1])
    # 15 s of grace, and 5 s for work on threads of its own.
    assert pod["terminationGracePeriodSeconds"] > drain + 20, pod["terminationGracePeriodSeconds"]
    assert server["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "alike-secret", "key": "store"}
    assert "PersistentVolumeClaim" not in rendered["postgres-values"] and "Secret" not in rendered["postgres-values"]
    everything = rendered["everything-values"]
    assert "replicas" not in everything["Deployment"][0]["spec"], "the autoscaler's number would be overwritten"
    wanted = {"CronJob", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "PodDisruptionBudget", "PrometheusRule", "ServiceMonitor"}
    assert wanted <= everything.keys(), wanted - everything.keys()
    job = everything["CronJob"][0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    started = [[c["name"] for c in pods["initContainers"]] for pods in (everything["Deployment"][0]["spec"]["template"]["spec"], job)]
    assert started == [["tunnel"], ["tunnel", "before-0"]], started
    assert job["initContainers"][0]["restartPolicy"] == "Always" and "restartPolicy" not in job["initContainers"][1]
    sqlite = rendered["sqlite-values"]
    assert sqlite["Deployment"][0]["spec"]["strategy"] == {"type": "Recreate"}
    assert "PodDisruptionBudget" not in sqlite
    for pods in [pod, sqlite["CronJob"][0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]]:
        assert pods["securityContext"]["runAsNonRoot"] and not pods["automountServiceAccountToken"]
        assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in pods["containers"])
        names = {volume["name"] for volume in pods["volumes"]}
        assert {m["name"] for c in pods["containers"] for m in c["volumeMounts"]} == names

    secret = {"secret": {"existing": "alike-secret"}}
    refused({}, "secret.existing names the secret")
    refused({**secret, "store": {"kind": "sqlite"}}, "replicas must be 1")
    refused({**secret, "store": {"kind": "mysql"}}, "store")
    refused({**secret, "replica": 3}, "replica")
    refused({**secret, "server": {"drainSeconds": 601}}, "drainSeconds")
    refused({"secret": {"create": True, "keys": "a read 0123456789abcdef"}}, "secret.store is the address")
    print("the chart is as it should be")


if __name__ == "__main__":
    sys.exit(main())
