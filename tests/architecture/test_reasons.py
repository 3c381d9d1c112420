"""Reasons are labels of metrics: a closed set, never made of what an image or a sender says."""

import ast
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import framegate
from framegate.gate import decide, looks
from framegate.gate.alerting import RESERVATIONS
from tests.support.compose import ROOT as CHECKOUT

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


def explanations(node: ast.AST) -> list[ast.expr]:
    """Reasons in `end(verdict, detail, REASON)`, in a pair of reason and detail, and in `reasons=(REASON, ...)`."""
    match node:
        case ast.Call(func=ast.Name("end"), args=[_, _, *given]) | ast.keyword(arg="reasons", value=ast.Tuple(given)):
            return given
        case (
            ast.Call(func=ast.Attribute(ast.Name("reasons"), "append"), args=[ast.Tuple([first, _])])
            | ast.ListComp(elt=ast.Tuple([ast.Constant() as first, _]))
            | ast.Return(ast.Tuple([first, ast.JoinedStr() | ast.Constant()]))
        ):
            return [first]
    return []


def reasons_of_verdicts() -> Iterator[tuple[str, str]]:
    """(where, reason) of everything by which the gate explains a verdict."""
    for module in (decide, looks):
        file = Path(module.__file__ or "")
        for one in chain.from_iterable(map(explanations, ast.walk(ast.parse(file.read_text())))):
            where, text = f"{file.name}:{one.lineno}", ast.unparse(one)
            if isinstance(one, ast.Starred) or text == "reason":
                continue  # what was given elsewhere, by one of the others
            assert isinstance(one, ast.Constant | ast.Name), f"{where}: {text} is not written out"
            yield where, one.value if isinstance(one, ast.Constant) else getattr(module, one.id)


def test_every_reason_of_a_verdict_is_of_the_closed_set_and_told_in_the_documentation() -> None:
    known = {"clear", "damage", *RESERVATIONS}
    given = {reason: where for where, reason in reasons_of_verdicts()}
    assert given.keys() == known, given
    page = (CHECKOUT / "docs" / "policy.md").read_text("utf-8")
    assert [reason for reason in RESERVATIONS if f"`{reason}`" not in page] == []
