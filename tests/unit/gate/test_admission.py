"""A policy must name what is there, and must let something pass."""

from typing import Any

import pytest

from framegate.gate.admission import Known, cameras_without_a_pass, nothing_passes, unknown_names
from framegate.gate.policy import Policy
from tests.support.policies import DOCUMENT

KNOWN = Known(
    frozenset({"carton", "hole"}),
    {"wear@1": frozenset({"crushed", "new"}), "wear@2": "wear@2 is registered and cannot be in a chain: check it"},
    frozenset({"dock-1", "dock-2"}),
)


def problems(change: dict[str, Any], known: Known = KNOWN) -> list[str]:
    return [str(one) for one in unknown_names({**DOCUMENT, **change}, known)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"classes": {"hoel": {"review": 0.1, "fail": None}}},
            "classes.hoel: no model that serves knows the class 'hoel'; did you mean hole?",
        ),
        ({"require": ["pallet"]}, "require[0]: no model that serves knows the class 'pallet'; there are carton, hole"),
        ({"chain": [{"model": "wear@1", "of": ["box"]}]}, "chain[0].of[0]: no model that serves knows the class 'box'"),
        ({"chain": [{"model": "wear@9"}]}, "chain[0].model: there is no such model"),
        ({"chain": [{"model": "wear@2"}]}, "chain[0].model: wear@2 is registered and cannot be in a chain: check it"),
        (
            {"alerts": {"a": {"when": ["fail"], "classes": ["crashed"]}}},
            "alerts.a.classes[0]: no model that serves and no classifier knows the class 'crashed'; did you mean crushed?",
        ),
        (
            {"cameras": {"dock-3": {}}},
            "cameras.dock-3: there is no camera dock-3; did you mean dock-2?; or add it with 'framegate cameras add dock-3'",
        ),
        (
            {"cameras": {"dock-1": {"classes": {"tear": {"review": None, "fail": None}}}}},
            "cameras.dock-1.classes.tear: no model that serves knows the class 'tear'",
        ),
    ],
)
def test_a_name_of_nothing_is_refused_where_it_stands(change: dict[str, Any], expected: str) -> None:
    [problem] = problems(change)
    assert problem.startswith(expected)


def test_names_of_what_is_there_are_taken() -> None:
    change = {
        "require": ["carton"],
        "chain": [{"model": "wear@1", "of": ["carton"]}],
        "alerts": {"a": {"when": ["fail"], "classes": ["hole", "crushed"]}, "damage": False},
        "cameras": {"dock-1": {"chain": [], "alerts": {"a": False}}},
    }
    assert problems(change) == []


def test_classes_are_not_checked_while_nothing_serves() -> None:
    assert problems({"require": ["pallet"]}, Known(frozenset(), {}, frozenset())) == []


def hopeless(**change: Any) -> str | None:
    return nothing_passes(Policy.parse(1, {**DOCUMENT, **change}), ["carton", "hole"])


ZERO = {"review": 0, "fail": None}


def test_rules_that_let_nothing_pass_are_found() -> None:
    assert "require_confidence is 1" in (hopeless(require=["carton"], require_confidence=1) or "")
    assert "0.5 to pass" in (hopeless(require=["hole"], require_confidence=0.5) or "")
    assert "all classes are 0" in (hopeless(classes={"hole": ZERO}, otherwise=ZERO) or "")
    assert "all classes are 0" in (hopeless(classes={"hole": ZERO, "carton": {"review": None, "fail": 0}}) or "")


def test_rules_that_let_something_pass_are_left_alone() -> None:
    assert hopeless() is None
    assert hopeless(require=["carton"], require_confidence=0.9) is None
    assert hopeless(require=["hole"], require_confidence=0.25) is None
    assert hopeless(require=["carton", "hole"], require_confidence=0.5) is None
    assert hopeless(classes={"hole": ZERO, "carton": {"review": None, "fail": None}}) is None
    # Of a class that no model has, nothing is ever found.
    assert hopeless(classes={"hole": ZERO, "carton": ZERO, "pallet": {"review": None, "fail": None}}) is not None


def test_a_camera_of_which_nothing_passes_is_named() -> None:
    cameras = {"dock-1": {"require": ["hole"], "require_confidence": 0.9}, "dock-2": {}}
    assert cameras_without_a_pass(Policy.parse(1, {**DOCUMENT, "cameras": cameras})) == ["dock-1"]
