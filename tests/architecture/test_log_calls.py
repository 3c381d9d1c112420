"""Every log call speaks the vocabulary: constant words, a known action, known fields; and docs/logs.md has it all."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from framegate.observability.actions import ACTION_NAMES, ACTIONS
from framegate.observability.fields import FIELD_NAMES, FIELDS
from framegate.observability.page import with_tables

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services" / "framegate"
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def is_logger(value: ast.expr) -> bool:
    """`log`, `_log`, `self._log`, and what `get_log` and `bind` of one answer."""
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in ("log", "_log")
        case ast.Call(func=ast.Name(id="get_log")):
            return True
        case ast.Call(func=ast.Attribute(value=inner, attr="bind")):
            return is_logger(inner)
    return False


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in LEVELS and is_logger(value):
                yield node


def binds(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="get_log" | "bound")):
                yield node
            case ast.Call(func=ast.Attribute(value=value, attr="bind")) if is_logger(value):
                yield node


def faults(tree: ast.AST) -> list[str]:
    found = []
    for call in calls(tree):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        action = given.get("action")
        if not (isinstance(action, ast.Constant) and action.value in ACTION_NAMES):
            found.append(f"line {call.lineno}: the action is not in observability/actions.py")
        if len(call.args) != 1 or not isinstance(call.args[0], ast.Constant):
            found.append(f"line {call.lineno}: the event's text is not constant: what varies is a field")
    for call in [*calls(tree), *binds(tree)]:
        names = {keyword.arg for keyword in call.keywords} - {None, "action", "exc_info"}
        found += [f"line {call.lineno}: {name} is not in observability/fields.py" for name in names - FIELD_NAMES]
    return found


@cache
def trees() -> list[tuple[Path, ast.AST]]:
    files = sorted(SERVICES.rglob("*.py"))
    return [(file.relative_to(SERVICES), ast.parse(file.read_text("utf-8"))) for file in files]


def test_nobody_logs_past_the_vocabulary() -> None:
    """Only what quiets libraries, and what listens to them, knows of Python's own logging."""
    quieting = {"adapters/engine_torch/checkpoint.py", "adapters/onnx_graphs.py", "adapters/training_ultralytics.py"}
    files = {str(file) for file, tree in trees() for node in ast.walk(tree) if imports_logging(node)}
    assert files == quieting | {"adapters/otlp.py", "observability/logs.py"}


def imports_logging(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return any(name.name in ("logging", "structlog") for name in names)
        case ast.ImportFrom(module=module):
            return module in ("logging", "structlog")
    return False


def test_every_log_call_speaks_the_vocabulary() -> None:
    assert [f"{file}: {fault}" for file, tree in trees() for fault in faults(tree)] == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("log.info('x')", "the action"),
        ("self._log.info('x', action='made_up')", "the action"),
        ("log.bind(image='1').error('x', action=f'{what}')", "the action"),
        ("get_log().info(f'x {y}', action='ready')", "not constant"),
        ("_log.warning('x %s', y, action='ready')", "not constant"),
        ("_log.warning('x', action='ready', image_id=1)", "image_id is not"),
        ("get_log(process='x')", "process is not"),
        ("with bound(request='1'): pass", "request is not"),
    ],
)
def test_a_planted_violation_is_found(code: str, fault: str) -> None:
    assert any(fault in found for found in faults(ast.parse(code)))


def test_no_action_is_unused_and_none_is_there_twice() -> None:
    used = {
        keyword.value.value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "action" and isinstance(keyword.value, ast.Constant)
    }
    assert ACTION_NAMES - used == set()
    assert len(ACTION_NAMES) == len(ACTIONS)
    assert len(FIELD_NAMES) == len(FIELDS)


def test_what_needs_somebody_says_what_to_do() -> None:
    assert [action.name for action in ACTIONS if action.level in ("warning", "error") and not action.remedy] == []


def test_the_page_about_logs_is_current() -> None:
    page = (ROOT / "docs" / "logs.md").read_text("utf-8")
    assert with_tables(page) == page, "run: python -m framegate.observability.page docs/logs.md"
    assert all(f"| `{action.name}` |" in page for action in ACTIONS)
