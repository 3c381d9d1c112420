"""The manifests follow the pipeline, the settings and Kubernetes' own schemas; no cluster is needed to see that."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import typer.main
from kubernetes_validate import ValidationError

from framegate.cli import app
from framegate.kernel.states import Stage
from framegate.pipeline import STEPS
from framegate.settings import Settings
from tests.support.kubernetes import (
    ON_AWS,
    OVERLAYS,
    ROOT,
    SECRET,
    VERSIONS,
    Pod,
    by_name,
    of_kind,
    pods,
    render,
    stages,
    validate,
)

of_every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
#: Not Kubernetes' own: test_kubernetes_scaling.py.
OF_KEDA = ("ScaledObject", "TriggerAuthentication")
#: What boto3 reads itself.
OF_BOTO3 = {"AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


@of_every_overlay
@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_is_valid_and_has_no_field_that_kubernetes_does_not_know(overlay: str, version: str) -> None:
    checked = [doc for doc in render(overlay) if doc["kind"] not in OF_KEDA]
    assert {"Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget", "Job"} <= {doc["kind"] for doc in checked}
    for doc in checked:
        validate(doc, version)


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (lambda spec: spec.update(minReadySecond=5), "minReadySecond"),
        (lambda spec: spec.update(revisionHistoryLimit="three"), "'three' is not of type 'integer'"),
        (lambda spec: spec.pop("selector"), "'selector' is a required property"),
        (lambda spec: spec["template"]["spec"]["containers"][0].pop("name"), "'name' is a required property"),
        (lambda spec: spec["template"]["spec"]["containers"][0]["livenessProbe"].update(period=1), "period"),
        (
            lambda spec: spec["template"]["spec"]["containers"][0]["resources"].update(limits=["1"]),
            "not of type 'object",
        ),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_planted_mistake_is_not_valid(plant: Callable[[Any], object], complaint: str, version: str) -> None:
    doc: Any = copy.deepcopy(by_name(render(OVERLAYS[0]), "Deployment", "framegate-gate"))
    validate(doc, version)
    plant(doc["spec"])
    with pytest.raises(ValidationError, match=re.escape(complaint)):
        validate(doc, version)


@of_every_overlay
def test_every_stage_is_one_deployment_and_every_command_exists(overlay: str) -> None:
    ours = [pod for pod in pods(overlay) if pod.is_ours]
    assert sorted(pod.stage for pod in ours if pod.stage) == sorted(STEPS)
    for pod in ours:
        if pod.stage:
            assert pod.owner["kind"] == "Deployment"
            assert pod.name == f"framegate-{pod.stage}"
            assert pod.labels["app.kubernetes.io/component"] == pod.stage
            assert pod.container["args"] == ["run", str(pod.stage)]
        else:
            (command,) = pod.container["args"]
            assert command in typer.main.get_group(app).list_commands(typer.Context(typer.main.get_group(app)))
    jobs = {pod.container["args"][0] for pod in ours if not pod.stage}
    assert jobs == ({"migrate"} if overlay in ON_AWS else {"migrate", "provision"})


@of_every_overlay
def test_every_setting_exists_and_is_accepted(overlay: str) -> None:
    known = {name for name, _, _ in Settings().describe()} | OF_BOTO3
    for pod in pods(overlay):
        if not pod.is_ours:
            continue
        assert set(pod.environment) <= known, pod.name
        settings = pod.settings
        if pod.stage:
            assert (settings.queue.kind, settings.blobs.kind) == ("sqs", "s3")
            assert settings.blobs.bucket
            assert settings.aws_region
            assert settings.database == SECRET
            assert settings.worker_name is not None


@of_every_overlay
def test_the_repository_holds_no_secret_value(overlay: str) -> None:
    assert of_kind(render(overlay), "Secret") == []
    secretive = re.compile(r"PASSWORD|PEPPER|DATABASE_URL|TOKEN|SECRET|ACCESS_KEY")
    for pod in pods(overlay):
        for name, value in pod.environment.items():
            stand_in = overlay == "local" and name.startswith("AWS_") and value == "anything"
            assert value == SECRET or stand_in or not secretive.search(name), f"{pod.name}: {name}"


@of_every_overlay
def test_only_ingest_and_alerts_are_given_what_keys_are_hashed_and_messages_signed_with(overlay: str) -> None:
    given = {pod.name for pod in pods(overlay) if "FRAMEGATE_PEPPER" in pod.environment}
    assert given == {"framegate-ingest", "framegate-alerts"}


@of_every_overlay
def test_every_stage_has_a_service_account_of_its_own(overlay: str) -> None:
    accounts = {doc["metadata"]["name"]: doc for doc in of_kind(render(overlay), "ServiceAccount")}
    used = {pod.spec["serviceAccountName"]: stage for stage, pod in stages(overlay).items()}
    assert set(accounts) == set(used)
    for name, stage in used.items():
        assert name == f"framegate-{stage}"
        assert ("annotations" in accounts[name]["metadata"]) is (overlay in ON_AWS)


@of_every_overlay
def test_the_migration_can_be_applied_before_everything_else(overlay: str) -> None:
    labelled = "app.kubernetes.io/component", "migrate"
    (job,) = [doc for doc in render(overlay) if labelled in doc["metadata"].get("labels", {}).items()]
    pod = Pod(job, ())
    assert "envFrom" not in pod.container, "the ConfigMap of a new release does not exist yet"
    assert "serviceAccountName" not in pod.spec
    assert set(pod.environment) == {"DATABASE_URL"}


@of_every_overlay
def test_every_image_has_a_tag_and_is_one_of_ours_or_a_stand_in(overlay: str) -> None:
    registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framegate/" if overlay in ON_AWS else "framegate-"
    dockerfiles = {file.name.removesuffix(".Dockerfile") for file in (ROOT / "infra/docker").glob("*.Dockerfile")}
    for pod in pods(overlay):
        repository, _, tag = pod.container["image"].rpartition(":")
        assert tag not in ("", "latest")
        if pod.is_ours:
            assert repository.removeprefix(registry) in dockerfiles
            worker = pod.stage is not None and pod.stage is not Stage.INGEST
            assert repository.removeprefix(registry).startswith("worker-") is worker
