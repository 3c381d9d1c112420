"""What pods keep to: confined, bounded, asked the right question, given time to stop, taken away one at a time."""

import re

import pytest

from framegate.ingest.server import make_server
from framegate.kernel.states import Stage
from tests.support.compose import environment_of_image
from tests.support.kubernetes import OVERLAYS, Pod, of_kind, pods, render, stages

pytestmark = pytest.mark.parametrize("overlay", OVERLAYS)

MIB = {"Mi": 1, "Gi": 1024}


def mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * MIB[quantity[-2:]]


def port_of_probes(pod: Pod) -> str:
    """The API answers where it is asked for uploads, a worker where it is scraped."""
    return "http" if pod.stage is Stage.INGEST else "metrics"


def drain_s(pod: Pod) -> float:
    """The longest that a stage takes to end; a worker may begin with a receive that lasts for another poll."""
    if pod.stage is Stage.INGEST:
        return float(make_server(None, "127.0.0.1", 0).config.timeout_graceful_shutdown or 0)
    return max(pod.settings.worker.drain_s, pod.settings.queue.poll_s)


def test_every_pod_is_confined(overlay: str) -> None:
    for pod in pods(overlay):
        of_pod, of_container = pod.spec["securityContext"], pod.container["securityContext"]
        assert of_pod["runAsNonRoot"] is True
        assert of_pod["runAsUser"] > 0
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert of_container["allowPrivilegeEscalation"] is False
        assert of_container["readOnlyRootFilesystem"] is True
        assert of_container["capabilities"] == {"drop": ["ALL"]}
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)
    (namespace,) = of_kind(render(overlay), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_our_pods_run_as_the_user_of_their_image_and_write_where_it_keeps_its_data(overlay: str) -> None:
    for pod in (pod for pod in pods(overlay) if pod.is_ours):
        context = pod.spec["securityContext"]
        (user,) = re.findall(r"^USER (.*)$", pod.dockerfile.read_text("utf-8"), re.MULTILINE)
        assert user == f"{context['runAsUser']}:{context['runAsGroup']}"
        assert context["fsGroup"] == context["runAsGroup"]
        written = {environment_of_image(pod.dockerfile)["FRAMEGATE_DATA"], "/tmp"}
        assert written <= {mount["mountPath"] for mount in pod.container["volumeMounts"]}


def test_every_pod_is_bounded(overlay: str) -> None:
    for pod in pods(overlay):
        resources = pod.container["resources"]
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(resources[kind]), pod.name
        assert mebibytes(resources["requests"]["memory"]) <= mebibytes(resources["limits"]["memory"])
        for volume in pod.spec.get("volumes", []):
            assert set(volume) - {"name"} <= {"emptyDir", "configMap"}
            assert "configMap" in volume or volume["emptyDir"]["sizeLimit"]
        if "ephemeral-storage" in resources["limits"]:
            sizes = [mebibytes(v["emptyDir"]["sizeLimit"]) for v in pod.spec["volumes"] if "emptyDir" in v]
            storage = mebibytes(resources["limits"]["ephemeral-storage"])
            assert sum(sizes) < storage, f"{pod.name} is evicted before its volumes are full"


def test_a_failing_dependency_restarts_no_pod(overlay: str) -> None:
    for pod in stages(overlay).values():
        for probe in ("livenessProbe", "startupProbe"):
            assert pod.container[probe]["httpGet"] == {"path": "/healthz", "port": port_of_probes(pod)}, pod.name
        patience = pod.container["livenessProbe"]["periodSeconds"] * pod.container["livenessProbe"]["failureThreshold"]
        assert patience >= 60
        assert pod.ports[port_of_probes(pod)] == pod.listens_on


def test_uploads_are_accepted_while_other_stages_are_away_and_workers_say_when_they_are_ready(overlay: str) -> None:
    for stage, pod in stages(overlay).items():
        path = "/healthz" if stage is Stage.INGEST else "/readyz"
        assert pod.container["readinessProbe"]["httpGet"] == {"path": path, "port": port_of_probes(pod)}


def test_a_pod_is_given_longer_to_stop_than_it_takes_to_drain(overlay: str) -> None:
    for pod in stages(overlay).values():
        pause = pod.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod.spec["terminationGracePeriodSeconds"] >= pause + drain_s(pod) + 10
        assert (pause > 0) == (pod.stage is Stage.INGEST), "only requests come from somebody who must hear of the end"


def test_a_disruption_takes_one_pod_of_a_stage_at_a_time_and_never_waits_for_a_failing_one(overlay: str) -> None:
    found = stages(overlay)
    budgets = of_kind(render(overlay), "PodDisruptionBudget")
    for budget in budgets:
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    chosen = [[s for s, pod in found.items() if pod.matches(budget["spec"]["selector"])] for budget in budgets]
    assert sorted(chosen) == [[stage] for stage in sorted(Stage)]


def test_pods_of_a_stage_are_spread_over_zones_and_nodes(overlay: str) -> None:
    for pod in stages(overlay).values():
        constraints = pod.spec["topologySpreadConstraints"]
        assert [c["topologyKey"] for c in constraints] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        for constraint in constraints:
            assert pod.matches(constraint["labelSelector"])
            assert constraint["matchLabelKeys"] == ["app.kubernetes.io/component", "pod-template-hash"]
