"""The Terraform configuration as data: parsed, and computed by Terraform itself without a provider.

`compute` turns every resource into an output of the same expressions, so that Terraform evaluates all of them. Only
what a provider would know (`aws_sqs_queue.dead["x"].url`) stays a name, and nothing checks the names of arguments.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest
from hcl2.utils import SerializationOptions

DIRECTORY = Path(__file__).parents[2] / "infra" / "terraform"
ACCOUNT = "123456789012"
REGION = "eu-central-1"
EVENTS = "bucket-events"
BUCKET_ARN = f"arn:aws:s3:::framegate-{ACCOUNT}-{REGION}"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
#: What has no default.
VARIABLES: dict[str, Any] = {
    "region": REGION,
    "vpc_id": "vpc-1",
    "private_subnet_ids": ["subnet-1", "subnet-2"],
    "database_client_security_group_ids": ["sg-1"],
    "oidc_provider_arn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.{REGION}.amazonaws.com/id/ABC",
}
_OPTIONS = SerializationOptions(with_comments=False)
_REFERENCE = re.compile(r"\b(aws_\w+\.\w+)(\[[^\]]*\])?((?:\.\w+|\[0\])+)")
_NOT_ARGUMENTS = {"__is_block__", "for_each", "depends_on", "dynamic"}


@cache
def parsed(directory: Path = DIRECTORY) -> dict[str, dict[str, Any]]:
    """Kind of block, then its address: `blocks["resource"]["aws_sqs_queue.dead"]`; locals and outputs by their names."""
    blocks: dict[str, dict[str, Any]] = {}
    for file in sorted(directory.glob("*.tf")):
        for kind, bodies in hcl2.loads(file.read_text("utf-8"), serialization_options=_OPTIONS).items():
            for address, body in _named(kind, bodies):
                blocks.setdefault(kind, {})[address] = body
    return blocks


def _named(kind: str, bodies: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for body in bodies:
        if kind == "terraform":
            yield kind, body
        for label, inner in body.items():
            if label == "__is_block__" or kind == "terraform":
                continue
            if kind in ("resource", "data"):
                yield from ((f"{label}.{name}".replace('"', ""), b) for name, b in inner.items())
            else:
                yield label.strip('"'), inner


def policy(text: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(text)["Statement"]
    return statements


def grants(statements: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """(action, resource) of each; whatever is allowed beyond them shows as a difference."""
    assert {statement["Effect"] for statement in statements} == {"Allow"}
    return {(action, target) for s in statements for action in s["Action"] for target in s["Resource"]}


def terraform(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Skips when it is not installed."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is not installed: its expressions are not evaluated")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")} | {"CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        [program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def compute(scratch: Path, **variables: Any) -> dict[str, Any]:
    """Addresses of resources (each: its arguments, by key where it has `for_each`) and `local.NAME`s.

    Raises ValueError with Terraform's words when a variable is refused.
    """
    for file in DIRECTORY.glob("*.tf"):
        blocks = hcl2.loads(file.read_text("utf-8"), serialization_options=_OPTIONS)
        if set(blocks) <= {"variable", "locals"}:
            shutil.copy(file, scratch)
    parts = [f'locals {{\n  account_id = "{ACCOUNT}"\n  partition = "aws"\n  region = var.region\n}}\n']
    names = {f"local.{name}": f"local.{name}" for name in parsed()["locals"]}
    values = names | {address: _resource(body) for address, body in parsed()["resource"].items()}
    parts += [f'output "{_output_name(name)}" {{\n  value = {value}\n}}\n' for name, value in values.items()]
    (scratch / "probe.tf").write_text("\n".join(parts), "utf-8")
    (scratch / "terraform.tfvars.json").write_text(json.dumps(VARIABLES | variables), "utf-8")
    for arguments in (["init"], ["apply", "-auto-approve"]):
        done = terraform(*arguments, "-input=false", "-no-color", cwd=scratch)
        if done.returncode != 0:
            raise ValueError(done.stderr)
    outputs = json.loads(terraform("output", "-json", cwd=scratch).stdout)
    return {name: outputs[_output_name(name)]["value"] for name in values}


def _output_name(name: str) -> str:
    return name.replace(".", "--")


def _resource(body: dict[str, Any]) -> str:
    arguments = _arguments(body)
    if "for_each" not in body:
        return arguments
    arguments = re.sub(r"\beach\.(key|value)\b", r"each_\1", arguments)
    each = _expression(body["for_each"])
    # As Terraform has it: the key of a set's element is the element.
    pairs = f"try({{ for value in toset({each}) : value => value }}, {each})"
    return f"{{ for each_key, each_value in {pairs} : each_key => {arguments} }}"


def _arguments(body: dict[str, Any]) -> str:
    given = {k: _expression(v) for k, v in body.items() if k not in _NOT_ARGUMENTS}
    for dynamic in body.get("dynamic", []):
        for label, block in dynamic.items():
            if label == "__is_block__":
                continue
            name, each = label.strip('"'), _expression(block["for_each"])
            content = _arguments(block["content"][0])
            blocks = f"[for {name} in [for v in {each} : {{ value = v }}] : {content}]"
            given[name] = f"concat({given[name]}, {blocks})" if name in given else blocks
    return "{ " + ", ".join(f"{k} = {v}" for k, v in given.items()) + " }"


def _expression(value: Any) -> str:
    match value:
        case dict():
            if value.get("__is_block__"):
                return _arguments(value)
            return "{ " + ", ".join(f"{k} = {_expression(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ", ".join(_expression(v) for v in value) + "]"
        case str() if value.startswith("${"):
            return _REFERENCE.sub(lambda m: json.dumps(m[1] + m[3]), value[2:-1])
        case str():
            return value
        case _:
            return json.dumps(value)
