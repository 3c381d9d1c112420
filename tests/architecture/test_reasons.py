"""Reasons are labels of metrics: a closed set, never made of what an image or a sender says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import framegate

ROOT = Path(framegate.__file__).parent
#: What gives an image a reason, by its first argument.
MAKERS = {"InvalidFrame", "ImageRefused", "Refused", "Failed", "refusal_document"}
#: Passing one on that was made elsewhere: what a decoder's child, a stored row or a refusal document says.
PASSED_ON = {"reason", "refused.slug", "error.reason", "answer.reason", "raw['reason']"}


def first_arguments() -> Iterator[tuple[str, ast.expr]]:
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS and node.args:
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node.args[0]


def test_every_reason_that_ends_an_image_is_written_out() -> None:
    written = {at: argument for at, argument in first_arguments() if isinstance(argument, ast.Constant)}
    others = {at: ast.unparse(a) for at, a in first_arguments() if at not in written}
    assert len(written) > 40
    stored = {at for at, text in others.items() if text.startswith("document['type']")}
    assert len(stored) == 1, "a refusal document is read in one place"
    assert {text for at, text in others.items() if at not in stored} <= PASSED_ON, others
    assert len({a.value for a in written.values() if isinstance(a.value, str)}) < 40
