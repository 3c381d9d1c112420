"""What scales the stages watches their queues, and cannot scale away what nothing would wake."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from framegate.kernel.states import Stage
from framegate.observability.catalogue import QUEUE_OLDEST_SECONDS
from framegate.pipeline import PIPELINE, queues_of
from tests.support.kubernetes import FOLDER, ON_AWS, OVERLAYS, Doc, Pod, by_name, of_kind, render, stages
from tests.support.terraform import ACCOUNT, REGION, grants, policy

QUEUE_STAGES = [step.stage for step in PIPELINE if step.consumes]
MAY_SLEEP = {Stage.PREPROCESS, Stage.INFERENCE}


def check(doc: Doc) -> None:
    file = FOLDER / "schemas" / f"keda-{doc['kind'].lower()}.json"
    schema = json.loads(file.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(doc)


def scaled(overlay: str, stage: Stage) -> Doc:
    return by_name(render(overlay), "ScaledObject", f"framegate-{stage}")["spec"]


def triggers(overlay: str, stage: Stage, kind: str) -> list[Any]:
    return [trigger for trigger in scaled(overlay, stage)["triggers"] if trigger["type"] == kind]


def most_in_flight(pod: Pod) -> int:
    """Messages that one replica holds: read ahead, and being worked on."""
    settings = pod.settings
    return {
        Stage.PREPROCESS: settings.preprocess.prefetch + settings.preprocess.children,
        Stage.INFERENCE: settings.inference.prefetch + settings.inference.max_batch,
        Stage.GATE: 2 * settings.gate.max_batch,
    }[Stage(pod.container["args"][1])]


@pytest.mark.parametrize("overlay", ON_AWS)
class TestScaling:
    def test_the_documents_are_what_keda_documents(self, overlay: str) -> None:
        docs = of_kind(render(overlay), "ScaledObject", "TriggerAuthentication")
        assert len(docs) == len(QUEUE_STAGES) + 1
        for doc in docs:
            check(doc)

    def test_each_queue_stage_is_scaled_by_exactly_its_queues(self, overlay: str) -> None:
        found = {doc["metadata"]["name"] for doc in of_kind(render(overlay), "ScaledObject")}
        assert found == {f"framegate-{stage}" for stage in QUEUE_STAGES}
        for stage in QUEUE_STAGES:
            pod = stages(overlay)[stage]
            assert scaled(overlay, stage)["scaleTargetRef"] == {"name": pod.name}
            assert "replicas" not in pod.owner["spec"], "every apply would undo what was scaled"
            prefix = pod.environment["FRAMEGATE_QUEUE__PREFIX"]
            urls = [trigger["metadata"]["queueURL"] for trigger in triggers(overlay, stage, "aws-sqs-queue")]
            assert [url.rpartition("/")[2] for url in urls] == [prefix + queue for queue in queues_of(stage)]

    def test_each_queue_stage_is_scaled_by_how_long_its_queues_wait(self, overlay: str) -> None:
        metric = QUEUE_OLDEST_SECONDS
        assert metric.labels == ("queue",)
        for stage in QUEUE_STAGES:
            watching = triggers(overlay, stage, "prometheus")
            queries = [trigger["metadata"]["query"] for trigger in watching]
            assert queries == [f'max({metric.name}{{queue="{queue}"}})' for queue in queues_of(stage)]
            for trigger in watching:
                assert trigger["metricType"] == "Value", "an age is not shared among replicas"
                assert trigger["metadata"]["ignoreNullValues"] == "false", "a gauge that is gone is no age of 0"

    def test_what_is_being_worked_on_counts_and_asks_for_no_further_replica(self, overlay: str) -> None:
        for stage in QUEUE_STAGES:
            held = most_in_flight(stages(overlay)[stage])
            for trigger in triggers(overlay, stage, "aws-sqs-queue"):
                assert trigger["metadata"]["scaleOnInFlight"] == "true"
                assert trigger["metadata"]["activationQueueLength"] == "0"
                assert int(trigger["metadata"]["queueLength"]) > held

    def test_live_calls_for_replicas_earlier_than_bulk(self, overlay: str) -> None:
        for stage in QUEUE_STAGES:
            for kind, name in (("aws-sqs-queue", "queueLength"), ("prometheus", "threshold")):
                live, bulk = (float(trigger["metadata"][name]) for trigger in triggers(overlay, stage, kind))
                assert live < bulk

    def test_triggers_ask_with_the_role_that_terraform_lets_keda_take_and_ask_about_these_queues(
        self, overlay: str, computed: dict[str, Any]
    ) -> None:
        role = f"arn:aws:iam::{ACCOUNT}:role/{computed['aws_iam_role.keda']['name']}"
        asking = [trigger for stage in QUEUE_STAGES for trigger in triggers(overlay, stage, "aws-sqs-queue")]
        for trigger in asking:
            found = by_name(render(overlay), "TriggerAuthentication", trigger["authenticationRef"]["name"])
            assert found["spec"]["podIdentity"] == {"provider": "aws", "roleArn": role}
        watched = {trigger["metadata"]["queueURL"].rpartition("/")[2] for trigger in asking}
        allowed = grants(policy(computed["aws_iam_role_policy.keda"]["policy"]))
        assert allowed == {("sqs:GetQueueAttributes", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}") for name in watched}

    def test_scaling_in_is_slower_than_scaling_out_and_not_caused_by_a_source_that_is_silent(
        self, overlay: str
    ) -> None:
        for stage in QUEUE_STAGES:
            spec = scaled(overlay, stage)
            behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
            (slowly,) = behaviour["scaleDown"]["policies"]
            assert slowly["type"] == "Percent"
            assert slowly["value"] / slowly["periodSeconds"] < min(
                policy["value"] / policy["periodSeconds"]
                for policy in behaviour["scaleUp"]["policies"]
                if policy["type"] == "Percent"
            )
            assert behaviour["scaleDown"]["stabilizationWindowSeconds"] >= 300
            assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
            assert spec["fallback"]["replicas"] == max(1, spec["minReplicaCount"])

    def test_only_what_a_queue_wakes_may_sleep_and_only_where_the_overlay_says_so(self, overlay: str) -> None:
        asleep = {stage for stage in QUEUE_STAGES if scaled(overlay, stage)["minReplicaCount"] == 0}
        assert asleep == (MAY_SLEEP if overlay == "aws-dev" else set())
        for stage in QUEUE_STAGES:
            assert scaled(overlay, stage)["minReplicaCount"] < scaled(overlay, stage)["maxReplicaCount"]

    def test_ingest_is_scaled_by_its_work_and_sweep_by_nothing(self, overlay: str) -> None:
        (autoscaler,) = of_kind(render(overlay), "HorizontalPodAutoscaler")
        assert autoscaler["spec"]["scaleTargetRef"]["name"] == stages(overlay)[Stage.INGEST].name
        assert autoscaler["spec"]["minReplicas"] >= 1
        assert stages(overlay)[Stage.SWEEP].owner["spec"].get("replicas", 1) == 1


def test_without_sqs_nothing_of_keda_is_asked_for() -> None:
    for overlay in set(OVERLAYS) - set(ON_AWS):
        assert of_kind(render(overlay), "ScaledObject", "TriggerAuthentication") == []


@pytest.mark.parametrize(
    ("trigger", "name", "value", "complaint"),
    [
        (0, "queueLength", 150, "150 is not of type 'string'"),
        (0, "scaleOnInFlight", True, "True is not of type 'string'"),
        (0, "activationQueueLenght", "0", "activationQueueLenght"),
        (0, "queueURL", "framegate-frame-prepared-live", "does not match"),
        (2, "threshold", 30, "30 is not of type 'string'"),
        (2, "ignoreNullValues", "no", "is not one of"),
    ],
)
def test_planted_mistakes_in_a_trigger_are_found(trigger: int, name: str, value: object, complaint: str) -> None:
    doc: Any = copy.deepcopy(by_name(render(ON_AWS[0]), "ScaledObject", "framegate-inference"))
    check(doc)
    doc["spec"]["triggers"][trigger]["metadata"][name] = value
    with pytest.raises(ValidationError, match=re.escape(complaint)):
        check(doc)


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (lambda spec: spec.update(fallbak={}), "fallbak"),
        (lambda spec: spec["scaleTargetRef"].update(namespace="x"), "namespace"),
        (lambda spec: spec.update(minReplicaCount="2"), "'2' is not of type 'integer'"),
        (lambda spec: spec.pop("scaleTargetRef"), "'scaleTargetRef' is a required property"),
        (lambda spec: spec["triggers"][0].pop("authenticationRef"), "'authenticationRef' is a required property"),
    ],
)
def test_planted_mistakes_in_a_scaled_object_are_found(plant: Callable[[Any], object], complaint: str) -> None:
    doc: Any = copy.deepcopy(by_name(render(ON_AWS[0]), "ScaledObject", "framegate-gate"))
    check(doc)
    plant(doc["spec"])
    with pytest.raises(ValidationError, match=re.escape(complaint)):
        check(doc)
