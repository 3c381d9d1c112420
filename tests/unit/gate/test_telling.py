"""Policies in plain words."""

from typing import Any

from framegate.gate.policy import Policy
from framegate.gate.telling import told
from framegate.kernel.policies import ClassRule
from tests.support.policies import DOCUMENT


def words(**entries: Any) -> dict[str, str]:
    return dict(told(Policy.parse(1, DOCUMENT | entries)).everywhere.sentences)


def test_thresholds_are_told_class_by_class_and_then_for_every_other() -> None:
    classes = told(Policy.parse(1, DOCUMENT)).everywhere.classes
    assert classes == [ClassRule("carton", None, None), ClassRule("hole", 0.3, 0.6), ClassRule("", 0.25, None)]


def test_what_holds_without_a_word_is_told_too() -> None:
    found = words()
    assert found["A pass needs"] == "nothing special in the picture."
    assert "silent leave its images to people" in found["Faults of the camera"]
    assert found["Second look"].startswith("none")
    assert {"Alert damage", "Alert operations", "Alert late"} <= found.keys()


def test_spans_and_shares_have_units() -> None:
    found = words(
        deadlines={"live": "90s", "bulk": "never"},
        second_look={"max_share": 0.05, "clear_below": 0.1},
        alerts={"damage": {"when": ["fail", "review"], "classes": ["hole"], "window": "1d", "escalate_after": "1h"}},
        chain=[{"model": "wear@1", "of": ["carton"]}],
    )
    assert "within 90 seconds" in found["Deadline, live"]
    assert "as long as" in found["Deadline, bulk"]
    assert "at most 5 % of the images" in found["Second look"]
    assert "less than 10 %" in found["Second look"]
    assert found["Alert damage"] == (
        "critical, when an image fails or an image is left to people, and hole was seen. One incident for each camera; over "
        "when nothing came for 1 day; people are told again after 1 hour if nobody takes it in hand."
    )
    assert found["Further model wear@1"] == "names every carton that was seen with 25 % or more."


def test_of_a_camera_only_what_is_otherwise_there_is_told() -> None:
    own = {"classes": {"hole": {"review": 0.1, "fail": 0.2}}, "alerts": {"late": False}}
    camera = told(Policy.parse(1, {**DOCUMENT, "cameras": {"dock-3": own}})).cameras["dock-3"]
    assert camera.classes == [ClassRule("hole", 0.1, 0.2)]
    assert camera.sentences == [("Alert late", "not here.")]
