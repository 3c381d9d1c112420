"""Who may talk to whom: services and owners select their own pods, and what no policy allows does not pass."""

from typing import Any

import pytest
import yaml

from tests.support.kubernetes import FOLDER, OVERLAYS, Doc, Pod, by_name, of_kind, pods, render, stages

pytestmark = pytest.mark.parametrize("overlay", OVERLAYS)


def policies(overlay: str, direction: str) -> list[Doc]:
    specs = [doc["spec"] for doc in of_kind(render(overlay), "NetworkPolicy")]
    return [spec for spec in specs if direction in spec["policyTypes"]]


def rules(overlay: str, direction: str, pod: Pod) -> list[Any]:
    """Of all policies that select the pod; without a rule nothing passes."""
    chosen = [spec for spec in policies(overlay, direction) if pod.matches(spec["podSelector"])]
    return [rule for spec in chosen for rule in spec.get(direction.lower(), [])]


def test_services_and_owners_select_their_own_pods_only(overlay: str) -> None:
    everything = pods(overlay)
    for service in of_kind(render(overlay), "Service"):
        (pod,) = [pod for pod in everything if pod.matches({"matchLabels": service["spec"]["selector"]})]
        assert all(port["targetPort"] in pod.ports for port in service["spec"]["ports"])
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
    for owner in everything:
        if owner.owner["kind"] != "Job":
            assert [pod.name for pod in everything if pod.matches(owner.owner["spec"]["selector"])] == [owner.name]


def test_nothing_passes_that_is_not_allowed(overlay: str) -> None:
    deny = by_name(render(overlay), "NetworkPolicy", "deny-everything")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_policy_selects_a_pod(overlay: str) -> None:
    for direction in ("Ingress", "Egress"):
        for spec in policies(overlay, direction):
            assert any(pod.matches(spec["podSelector"]) for pod in pods(overlay)), spec


def test_only_ingest_hears_from_everywhere_and_only_on_the_port_of_the_api(overlay: str) -> None:
    open_to_all = {
        (pod.name, port["port"])
        for pod in pods(overlay)
        for rule in rules(overlay, "Ingress", pod)
        if not rule.get("from")
        for port in rule["ports"]
    }
    assert open_to_all == {("framegate-ingest", 8080)}


def test_prometheus_may_scrape_every_stage_where_it_is_told_to(overlay: str) -> None:
    monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    for pod in stages(overlay).values():
        allowed = [rule["ports"] for rule in rules(overlay, "Ingress", pod) if rule.get("from") == monitoring]
        port = pod.settings.worker.port
        assert allowed == [[{"protocol": "TCP", "port": port}]]
        assert pod.ports["metrics"] == port
        annotations = pod.template["metadata"]["annotations"]
        assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}


def test_the_prometheus_of_an_operator_finds_every_stage_by_the_same_port(overlay: str) -> None:
    monitor = yaml.safe_load((FOLDER / "monitoring" / "pod-monitor.yaml").read_text("utf-8"))
    spec, found = monitor["spec"], stages(overlay).values()
    assert [pod for pod in pods(overlay) if pod.matches(spec["selector"])] == list(found)
    assert {pod.owner["metadata"]["namespace"] for pod in found} == {monitor["metadata"]["namespace"]}
    assert {pod.labels[spec["jobLabel"]] for pod in found} == {"framegate"}
    (endpoint,) = spec["podMetricsEndpoints"]
    assert {pod.ports[endpoint["port"]] for pod in found} == {9100}


def test_pods_reach_what_they_need_and_no_metadata_service(overlay: str) -> None:
    for pod in (pod for pod in pods(overlay) if pod.is_ours):
        outward = rules(overlay, "Egress", pod)
        assert {port["port"] for rule in outward for port in rule.get("ports", [])} == {53, 5432, 4318, 443}
        monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
        assert [rule["to"] for rule in outward if 4318 in {p["port"] for p in rule.get("ports", [])}] == [[monitoring]]
        for rule in outward:  # the metadata service is 169.254.169.254:80
            assert rule.get("ports") or all("podSelector" in peer for peer in rule["to"])
