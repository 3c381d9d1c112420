"""What the overlays for AWS add: one file that names the account, roles, GPUs."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from framegate.kernel.states import Stage
from framegate.settings import WorkerSettings
from tests.support.compose import env_file
from tests.support.kubernetes import FOLDER, ON_AWS, ROOT, by_name, kustomize, of_kind, pods, render, stages
from tests.support.terraform import ACCOUNT

OTHERS = {
    "account": "444455556666",
    "region": "us-east-2",
    "bucket": "elsewhere",
    "url": "https://elsewhere.example",
    "version": "2.3.4-rc.1",
    "traces": "http://collector.monitoring:4318",
    "traces_sample": "0.5",
}

pytestmark = pytest.mark.parametrize("overlay", ON_AWS)


def test_an_account_is_named_in_one_file_and_a_change_of_it_rolls_the_pods(overlay: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "overlays" / overlay / "account.yaml"
    account = yaml.safe_load(file.read_text("utf-8"))
    former, account["data"] = account["data"], OTHERS
    assert set(former) == set(OTHERS)
    file.write_text(yaml.safe_dump(account), "utf-8")
    text = kustomize(tmp_path / "overlays" / overlay)
    for value in (former["account"], former["region"], former["bucket"], f":{former['version']}\n"):
        assert value not in text
    assert "444455556666.dkr.ecr.us-east-2.amazonaws.com/framegate/api:2.3.4-rc.1\n" in text

    (settings,) = of_kind(yaml.safe_load_all(text), "ConfigMap")
    assert settings["data"]["AWS_REGION"] == "us-east-2"
    assert settings["data"]["FRAMEGATE_BLOBS__BUCKET"] == "elsewhere"
    assert settings["data"]["FRAMEGATE_API__PUBLIC_URL"] == "https://elsewhere.example"
    assert settings["data"]["FRAMEGATE_TRACES__ENDPOINT"] == "http://collector.monitoring:4318"
    assert settings["data"]["FRAMEGATE_TRACES__SAMPLE"] == "0.5"
    (before,) = of_kind(render(overlay), "ConfigMap")
    assert settings["metadata"]["name"] != before["metadata"]["name"]
    assert text.count(f"name: {settings['metadata']['name']}\n") == 1 + len(Stage)


def test_nothing_is_left_that_the_account_should_have_replaced(overlay: str) -> None:
    assert not re.search(r"\b(ACCOUNT|REGION|VERSION)\b", str(render(overlay)))
    assert "local-config" not in str(render(overlay))


def test_service_accounts_and_namespace_are_those_that_terraform_trusts(overlay: str, computed: dict[str, Any]) -> None:
    accounts = of_kind(render(overlay), "ServiceAccount")
    found = {doc["metadata"]["name"].removeprefix("framegate-"): doc["metadata"] for doc in accounts}
    assert set(found) == set(Stage)
    for stage, metadata in found.items():
        subject = f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}"
        assert subject in str(computed["local.trust_policies"][stage])
        assert metadata["annotations"] == {
            "eks.amazonaws.com/role-arn": f"arn:aws:iam::{ACCOUNT}:role/framegate-{stage}"
        }


def test_stages_are_given_the_settings_that_terraform_computes(overlay: str, computed: dict[str, Any]) -> None:
    for stage, pod in stages(overlay).items():
        wanted = computed["local.environment"] | computed["local.stage_environment"].get(str(stage), {})
        assert float(wanted.pop("FRAMEGATE_WORKER__LEASE_S")) == WorkerSettings().lease_s
        assert wanted.items() <= pod.environment.items()


def test_the_database_is_verified_by_a_certificate_that_every_pod_has(overlay: str) -> None:
    for pod in pods(overlay):
        mounts = {mount["name"]: mount for mount in pod.container["volumeMounts"]}
        assert mounts["database-ca"]["mountPath"] == "/etc/framegate/database"
        assert mounts["database-ca"]["readOnly"] is True


def test_the_migration_has_a_database_user_of_its_own(overlay: str) -> None:
    job = by_name(render(overlay), "Job", "framegate-migrate")
    (entry,) = job["spec"]["template"]["spec"]["containers"][0]["env"]
    of_stages = [e for pod in stages(overlay).values() for e in pod.container["env"] if e["name"] == "DATABASE_URL"]
    assert len(of_stages) == len(Stage)
    assert all(entry["valueFrom"] != other["valueFrom"] for other in of_stages)


def test_inference_has_a_gpu_exactly_where_the_overlay_says_so(overlay: str) -> None:
    with_gpu = {pod.name for pod in pods(overlay) if "nvidia.com/gpu" in str(pod.spec)}
    assert with_gpu == ({"framegate-inference"} if overlay == "aws-gpu" else set())
    if with_gpu:
        pod = stages(overlay)[Stage.INFERENCE]
        assert pod.container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod.spec["tolerations"]
        assert "/worker-gpu:" in pod.container["image"]
        assert env_file(ROOT / "infra/docker/env/inference-gpu.env").items() <= pod.environment.items()
