from typing import Any

import pytest

from framegate.gate.changes import changes, in_a_line

BEFORE: dict[str, Any] = {
    "schema": 1,
    "classes": {"torn": {"review": 0.2, "fail": 0.6}, "hole": {"review": None, "fail": None}},
    "require": ["carton"],
    "calibration": {"model": "carton@1", "images": 100},
    "cameras": {"dock-1": {"chain": []}},
}


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({}, []),
        ({"require": []}, ['require: ["carton"] -> []']),
        ({"otherwise": {"review": 0.25, "fail": None}}, ['otherwise: new, {"review": 0.25, "fail": null}']),
        ({"cameras": {}}, ['cameras.dock-1: gone, was {"chain": []}']),
        ({"cameras": {"dock-1": {"chain": [], "require": []}}}, ["cameras.dock-1.require: new, []"]),
        (
            {"classes": {"torn": {"review": 0.1, "fail": 0.6}, "hole": {"review": None, "fail": 0.5}}},
            ["classes.torn.review: 0.2 -> 0.1", "classes.hole.fail: null -> 0.5"],
        ),
        # What a calibration says holds together: half of it is nobody's.
        (
            {"calibration": {"model": "carton@2", "images": 100}},
            ['calibration: {"model": "carton@1", "images": 100} -> {"model": "carton@2", "images": 100}'],
        ),
    ],
)
def test_changes_are_told_entry_by_entry(change: dict[str, Any], lines: list[str]) -> None:
    assert [str(one) for one in changes(BEFORE, {**BEFORE, **change})] == lines


def test_a_history_shows_a_few_changes_and_counts_the_others() -> None:
    assert in_a_line(changes(BEFORE, BEFORE)) == "nothing"
    classes = {f"c{n}": {"review": n / 10, "fail": None} for n in range(5)}
    text = in_a_line(changes({"classes": {}}, {"classes": classes}))
    assert text.count(";") == 3
    assert text.endswith("; and 2 more")
    assert in_a_line(changes(BEFORE, {**BEFORE, "calibration": {"method": "x" * 100}})) == "calibration: changed"
