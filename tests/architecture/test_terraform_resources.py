"""Bucket, database and images of the Terraform configuration, as Terraform computes them; no provider, no AWS."""

import json
from pathlib import Path
from typing import Any

import hcl2
import pytest
from hcl2.utils import SerializationOptions

from framegate.kernel.states import Stage
from framegate.pipeline import ALL_QUEUES
from framegate.settings import Settings
from tests.support.terraform import BUCKET_ARN, DIRECTORY, EVENTS, KEY, compute, grants, parsed, policy


def test_the_bucket_is_private_encrypted_and_keeps_versions(computed: dict[str, Any]) -> None:
    access = computed["aws_s3_bucket_public_access_block.this"]
    assert [access[k] for k in access if k != "bucket"] == [True] * 4
    assert computed["aws_s3_bucket_ownership_controls.this"]["rule"] == [{"object_ownership": "BucketOwnerEnforced"}]
    assert computed["aws_s3_bucket_versioning.this"]["versioning_configuration"] == [{"status": "Enabled"}]
    (deny,) = policy(computed["aws_s3_bucket_policy.this"]["policy"])
    assert (deny["Effect"], deny["Principal"], deny["Resource"]) == ("Deny", "*", [BUCKET_ARN, f"{BUCKET_ARN}/*"])
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(("key", "algorithm"), [(None, "AES256"), (KEY, "aws:kms")])
def test_the_bucket_is_encrypted_with_the_key_that_is_named(tmp_path: Path, key: str | None, algorithm: str) -> None:
    (rule,) = compute(tmp_path, kms_key_arn=key)["aws_s3_bucket_server_side_encryption_configuration.this"]["rule"]
    assert rule["apply_server_side_encryption_by_default"] == [{"sse_algorithm": algorithm, "kms_master_key_id": key}]


def test_what_can_be_made_again_expires_and_originals_never_do(computed: dict[str, Any]) -> None:
    rules = {rule["id"]: rule for rule in computed["aws_s3_bucket_lifecycle_configuration.this"]["rule"]}
    assert all(rule["status"] == "Enabled" for rule in rules.values())
    for prefix in ("prepared", "uploads", "originals", "models"):
        assert rules[prefix]["filter"] == [{"prefix": f"{prefix}/"}]
    assert {name: rule["expiration"] for name, rule in rules.items() if "expiration" in rule} == {
        "prepared": [{"days": 2}],
        "uploads": [{"days": 7}],
    }
    assert Settings().sweep.leftovers_after_h < 2 * 24
    assert rules["originals"]["transition"] == [{"days": 90, "storage_class": "GLACIER_IR"}]
    assert rules["abandoned-parts"]["abort_incomplete_multipart_upload"] == [{"days_after_initiation": 1}]
    assert rules["abandoned-parts"]["filter"] == [{}]


def test_originals_can_stay_where_they_are(tmp_path: Path) -> None:
    rules = compute(tmp_path, originals_archive_days=None)["aws_s3_bucket_lifecycle_configuration.this"]["rule"]
    assert [rule["transition"] for rule in rules if rule["id"] == "originals"] == [[]]


def test_events_of_uploads_and_of_further_prefixes_go_to_their_queue(tmp_path: Path) -> None:
    made = compute(tmp_path, event_prefixes=["scanner/"], eventbridge=True, upload_origins=["https://x.example"])
    notification = made["aws_s3_bucket_notification.this"]
    assert notification["eventbridge"] is True
    assert [queue["filter_prefix"] for queue in notification["queue"]] == ["scanner/", "uploads/"]
    assert all(queue["events"] == ["s3:ObjectCreated:*"] for queue in notification["queue"])
    ingest = grants(policy(made["aws_iam_role_policy.stage"]["ingest"]["policy"]))
    assert {action for action, target in ingest if target == f"{BUCKET_ARN}/scanner/*"} == {
        "s3:GetObject",
        "s3:GetObjectVersion",
    }
    cors = made["aws_s3_bucket_cors_configuration.this"]
    assert (cors["count"], cors["cors_rule"][0]["allowed_origins"]) == (1, ["https://x.example"])
    assert cors["cors_rule"][0]["allowed_methods"] == ["POST"]


def test_the_database_keeps_what_it_has_committed_and_speaks_tls_only(computed: dict[str, Any]) -> None:
    parameters = {p["name"]: p["value"] for p in computed["aws_db_parameter_group.this"]["parameter"]}
    assert parameters == {"fsync": "1", "synchronous_commit": "on", "rds.force_ssl": "1"}
    database = computed["aws_db_instance.this"]
    for switch in ("storage_encrypted", "multi_az", "manage_master_user_password", "deletion_protection"):
        assert database[switch] is True, switch
    assert database["performance_insights_enabled"] is True
    assert (database["publicly_accessible"], database["skip_final_snapshot"]) == (False, False)
    assert "password" not in database
    assert computed["aws_db_subnet_group.this"]["subnet_ids"] == ["subnet-1", "subnet-2"]
    assert set(computed["aws_vpc_security_group_ingress_rule.database"]) == {"sg-1"}


def test_image_tags_are_immutable_and_scanned(computed: dict[str, Any]) -> None:
    repositories = computed["aws_ecr_repository.this"]
    assert repositories
    for name, body in repositories.items():
        assert body["image_tag_mutability"] == "IMMUTABLE"
        assert body["image_scanning_configuration"] == [{"scan_on_push": True}]
        rules = json.loads(computed["aws_ecr_lifecycle_policy.this"][name]["policy"])["rules"]
        assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged", "any"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("name", "Framegate_1"),
        ("region", "Frankfurt"),
        ("kms_key_arn", "alias/mine"),
        ("max_receive_count", 5),
        ("queue_retention_days", 14),
        ("bucket", "Mine"),
        ("event_prefixes", ["originals/x/"]),
        ("event_prefixes", ["scanner"]),
        ("upload_origins", ["*"]),
        ("originals_archive_days", 7),
        ("originals_archive_class", "DEEP_ARCHIVE"),
        ("noncurrent_days", 0),
        ("private_subnet_ids", ["only-one"]),
        ("postgres_version", "12"),
        ("database_storage_gib", 5),
        ("database_max_storage_gib", 100),
        ("backup_days", 0),
        ("images_kept", 1),
        ("oidc_provider_arn", "https://oidc.example"),
        ("keda_service_account", "keda-operator"),
        ("traces_endpoint", "collector:4318"),
        ("traces_sample", 2),
        ("stuck_after_s", 1),
        ("storage_low_gib", 500),
        ("late_after_s", 1),
        ("bulk_late_after_s", 60),
        ("database_cpu_high_percent", 100),
        ("database_memory_low_mib", 1),
        ("database_connections_high", 0),
        ("load_balancer", "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/x/1"),
        ("latency_high_s", 0),
        ("cluster_name", ""),
    ],
)
def test_a_wrong_variable_is_refused_by_name(tmp_path: Path, variable: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"(?m)^{variable} "):
        compute(tmp_path, **{variable: value})


def test_the_example_is_accepted(tmp_path: Path) -> None:
    text = (DIRECTORY / "terraform.tfvars.example").read_text("utf-8")
    example = hcl2.loads(
        text, serialization_options=SerializationOptions(with_comments=False, strip_string_quotes=True)
    )
    computed = compute(tmp_path, **example)
    assert set(computed["aws_sqs_queue.this"]) == {*ALL_QUEUES, EVENTS}
    assert computed["aws_s3_bucket_cors_configuration.this"]["count"] == 1


def test_the_readme_names_every_variable_and_stage() -> None:
    text = (DIRECTORY / "README.md").read_text("utf-8")
    assert {name for name in parsed()["variable"] if f"`{name}`" not in text} == set()
    assert {stage for stage in Stage if f"| `{stage}` |" not in text} == set()
