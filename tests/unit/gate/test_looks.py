"""Two looks at one image: where the second one goes, and what becomes of both together."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.gate.decide import decide, judge
from framegate.gate.looks import decide_again, doubtful_region, is_only_uncertain, merged, zoom_of
from framegate.gate.policy import Policy
from framegate.kernel.detections import Detections
from framegate.kernel.geometry import Letterbox, Region
from framegate.kernel.inspection import Failed, Finding, FirstLook, Inspected, Label, Outcome, Prepared, Refused
from framegate.kernel.states import Verdict
from tests.support.values import prepared
from tests.unit.gate.test_decide import IMAGE

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "classes": {
        "carton": {"review": None, "fail": None},
        "hole": {"review": 0.3, "fail": 0.6},
        "dent": {"review": 0.2, "fail": None},
    },
    "otherwise": {"review": 0.25, "fail": None},
    "require": ["carton"],
    "second_look": {"clear_below": 0.1},
}
POLICY = Policy.parse(3, DOCUMENT)
REGION = Region(400, 100, 1280, 900)
#: (class, confidence), with a box inside the region, or (class, confidence, xyxy).
Row = tuple[str, float] | tuple[str, float, tuple[float, float, float, float]]
INSIDE, OUTSIDE = (900.0, 400.0, 1000.0, 500.0), (10.0, 10.0, 60.0, 60.0)
CARTON: Row = ("carton", 0.9, (300.0, 50.0, 1700.0, 1000.0))


def found(*rows: Row, model: str = "carton@1", **more: Any) -> Inspected:
    """In any order; sorted as a model's answer is."""
    ordered = sorted(rows, key=lambda row: -row[1])
    table = [[*(row[2] if len(row) > 2 else INSIDE), row[1], n] for n, row in enumerate(ordered)]
    detections = Detections.from_rows(np.array(table, np.float32).reshape(-1, 6))
    return Inspected(detections, tuple(row[0] for row in ordered), model, "0" * 64, "test engine", **more)


def frame(width: int = 1920, height: int = 1080) -> Prepared:
    return replace(prepared(), letterbox=Letterbox.fit(width, height, 640, 640))


def crop(*flags: str) -> Prepared:
    return replace(prepared(*flags), letterbox=Letterbox(1280, 900, 640, 640, 640, 450, 0, 95, 400, 100))


def both(first: Inspected, second: Finding, policy: Policy = POLICY, *flags: str) -> Outcome:
    looked = FirstLook(first, replace(frame(), quality=prepared(*flags).quality), REGION)
    return decide_again(policy, IMAGE, looked, crop(), second)


# --- where ----------------------------------------------------------------------------------------------------------


def region(first: Inspected, width: int = 1920, height: int = 1080) -> Region | None:
    return doubtful_region(POLICY.rules, frame(width, height), first)


def test_a_second_look_shows_what_is_doubtful_half_as_large_again() -> None:
    found_at = region(found(CARTON, ("hole", 0.4)))
    assert found_at == Region(310, 0, 1280, 1080)
    box = Letterbox.fit(1280, 1080, 640, 640)
    assert zoom_of(box) == pytest.approx(1.5 * zoom_of(frame().letterbox))


@pytest.mark.parametrize(
    ("corner", "expected"),
    [
        ((0, 0, 40, 40), Region(0, 0, 1280, 1080)),
        ((1880, 1040, 1920, 1080), Region(640, 0, 1280, 1080)),
        ((940, 500, 980, 580), Region(320, 0, 1280, 1080)),
    ],
)
def test_it_stays_in_the_picture(corner: tuple[float, float, float, float], expected: Region) -> None:
    assert region(found(("hole", 0.4, corner))) == expected


def test_it_covers_everything_that_is_doubtful_and_nothing_else_is_in_its_way() -> None:
    boxes = (300.0, 300.0, 340.0, 340.0), (700.0, 420.0, 760.0, 470.0)
    seen = found(("carton", 0.9, (0, 0, 4000, 3000)), ("hole", 0.4, boxes[0]), ("dent", 0.3, boxes[1]), ("hole", 0.29))
    at = region(seen, 4000, 3000)
    assert at is not None
    x1, y1, x2, y2 = at.xyxy
    assert all(x1 <= a and y1 <= b and c <= x2 and d <= y2 for a, b, c, d in boxes)
    assert (at.width, at.height) == (2667, 2667)


def test_there_is_none_where_it_would_show_no_more_than_the_first() -> None:
    assert region(found(("hole", 0.4, (100, 100, 1500, 900)))) is None, "the doubt fills the picture"
    assert region(found(("hole", 0.4, OUTSIDE)), 320, 320) is None, "the picture was enlarged already"
    assert region(found(CARTON, ("hole", 0.29))) is None, "nothing is doubtful"
    assert region(found(("hole", 0.4, OUTSIDE)), 640, 640) == Region(0, 0, 427, 427)


@given(
    size=st.tuples(st.integers(16, 8000), st.integers(16, 8000)),
    place=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_a_region_lies_in_its_picture_holds_the_middle_of_the_doubt_and_is_larger_than_before(
    size: tuple[int, int], place: tuple[float, float, float, float]
) -> None:
    width, height = size
    (x1, x2), (y1, y2) = sorted((place[0] * width, place[2] * width)), sorted((place[1] * height, place[3] * height))
    at = region(found(("hole", 0.4, (x1, y1, x2, y2))), width, height)
    if at is None:
        return
    left, top, right, bottom = at.xyxy
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left - 1 <= x1 <= x2 <= right + 1
    assert top - 1 <= y1 <= y2 <= bottom + 1
    gain = zoom_of(Letterbox.fit(at.width, at.height, 640, 640)) / zoom_of(frame(width, height).letterbox)
    assert gain >= 1.25


# --- when -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "flags", "expected"),
    [
        (found(CARTON, ("hole", 0.4)), (), True),
        (found(CARTON, ("hole", 0.4), ("dent", 0.9)), (), True),
        (found(CARTON, ("hole", 0.6)), (), False),
        (found(CARTON), (), False),
        (found(("hole", 0.4)), (), False),  # the subject is missing as well: no look brings it
        (found(CARTON, ("hole", 0.4)), ("blurred",), False),
    ],
)
def test_only_what_is_uncertain_and_nothing_else_may_be_looked_at_again(
    first: Inspected, flags: tuple[str, ...], expected: bool
) -> None:
    assert is_only_uncertain(judge(POLICY.rules, IMAGE, prepared(*flags), first)) is expected


# --- both together --------------------------------------------------------------------------------------------------

DOUBT = found(CARTON, ("hole", 0.4))


@pytest.mark.parametrize(
    ("second", "verdict", "reason", "said"),
    [
        (found(), Verdict.PASS, "clear", "hole at 0.40 (review from 0.30) was not there in a second look"),
        (found(("hole", 0.09)), Verdict.PASS, "clear", "was not there"),
        (found(("carton", 0.7), ("dent", 0.19)), Verdict.PASS, "clear", "was not there"),
        (found(("hole", 0.6)), Verdict.FAIL, "damage", "hole at 0.60 (fails from 0.60), in a second look"),
        (found(("hole", 0.7), ("hole", 0.4)), Verdict.FAIL, "damage", "hole at 0.70"),
        (found(("hole", 0.3)), Verdict.REVIEW, "second-look-uncertain", "in doubt as well; hole at 0.30"),
        (found(("hole", 0.1)), Verdict.REVIEW, "second-look-uncertain", "still sees hole at 0.10 (clear below 0.10)"),
        (
            found(("dent", 0.2)),
            Verdict.REVIEW,
            "looks-disagree",
            "hole at 0.40 (review from 0.30) in the first, dent at",
        ),
        (found(("hole", 0.5), ("hole", 0.4)), Verdict.REVIEW, "looks-disagree", "two looks disagree"),
        (found(("hole", 0.5), ("dent", 0.4)), Verdict.REVIEW, "looks-disagree", "dent at 0.40"),
        (found(model="carton@2"), Verdict.REVIEW, "looks-disagree", "the second that of carton@2"),
        (found(("hole", 0.6), model="carton@2"), Verdict.FAIL, "damage", "hole at 0.60"),
        (Failed("poison", "It kills."), Verdict.REVIEW, "second-look-failed", "came to nothing (poison): It kills."),
        (Refused("corrupt", "It is damaged."), Verdict.REVIEW, "second-look-failed", "(corrupt): It is damaged."),
    ],
)
def test_what_two_looks_come_to(second: Finding, verdict: Verdict, reason: str, said: str) -> None:
    end = both(DOUBT, second)
    assert (end.verdict, end.reason, end.policy_version) == (verdict, reason, 3)
    assert said in end.detail


@pytest.mark.parametrize("second_look", [{}, {"clear_below": None}])
def test_a_second_look_that_may_clear_nothing_only_finds(second_look: dict[str, Any]) -> None:
    policy = Policy.parse(3, {**DOCUMENT, "second_look": second_look})
    assert both(DOUBT, found(), policy).reason == "second-look-uncertain"
    assert both(DOUBT, found(("hole", 0.6)), policy).verdict is Verdict.FAIL


def test_what_the_rest_of_the_picture_lacks_is_not_made_good_by_a_second_look() -> None:
    chained = {**DOCUMENT, "chain": [{"model": "wear@1", "of": ["carton"]}]}
    end = both(replace(DOUBT, chained=("wear@1",)), found(), Policy.parse(3, chained))
    assert (end.verdict, end.reason) == (Verdict.REVIEW, "chain-unavailable")
    assert both(DOUBT, found(), POLICY, "blurred").reason == "quality"
    assert both(found(("hole", 0.4)), found(("carton", 0.9))).reason == "subject-missing"


def test_the_quality_of_the_region_does_not_count() -> None:
    looked = FirstLook(DOUBT, frame(), REGION)
    assert decide_again(POLICY, IMAGE, looked, crop("flat", "blurred"), found()).verdict is Verdict.PASS


def test_what_the_first_look_fails_under_a_policy_that_became_stricter_fails() -> None:
    strict = Policy.parse(4, {**DOCUMENT, "classes": {**DOCUMENT["classes"], "hole": {"review": 0.1, "fail": 0.35}}})
    end = both(DOUBT, found(), strict)
    assert (end.verdict, end.policy_version) == (Verdict.FAIL, 4)
    assert end.found is DOUBT


def test_a_second_look_that_is_not_wanted_any_more_when_it_comes_still_finds_and_clears_nothing() -> None:
    without = Policy.parse(4, {**DOCUMENT, "second_look": False})
    assert both(DOUBT, found(), without).verdict is Verdict.REVIEW
    assert both(DOUBT, found(("hole", 0.7)), without).verdict is Verdict.FAIL


def test_an_alert_about_uncertain_images_is_raised_after_two_looks_too_and_can_wait_for_their_reason() -> None:
    alerts = {"doubt": {"when": ["uncertain"]}, "quarrel": {"when": ["looks-disagree"], "classes": ["dent"]}}
    policy = Policy.parse(3, {**DOCUMENT, "alerts": alerts})
    assert [alert.rule for alert in both(DOUBT, found(("dent", 0.3)), policy).alerts] == ["doubt", "quarrel"]
    assert [alert.rule for alert in both(DOUBT, found(("hole", 0.3)), policy).alerts] == ["doubt"]
    assert both(DOUBT, found(), policy).alerts == ()


def test_the_outcome_tells_of_both_looks() -> None:
    end = both(DOUBT, found(("hole", 0.6), ("carton", 0.5)))
    first, second = end.looks
    assert (first.region, first.model, first.said) == (None, "carton@1", "hole at 0.40 (review from 0.30)")
    assert [name for name, _, _ in first.seen] == ["carton", "hole"]
    assert (second.region, second.zoom) == ((400, 100, 1680, 1000), 0.5)
    assert (second.engine, second.said) == ("test engine", "hole at 0.60 (fails from 0.60)")
    assert [name for name, _, _ in second.seen] == ["hole", "carton"]
    nothing = both(DOUBT, Failed("exhausted", "Over.")).looks[1]
    assert (nothing.model, nothing.seen, nothing.said) == (None, (), "exhausted: Over.")


# --- the merge ------------------------------------------------------------------------------------------------------


def names(one: Inspected) -> list[tuple[str, float]]:
    return [(name, round(c, 2)) for name, c in zip(one.classes, one.detections.confidence.tolist(), strict=True)]


def test_in_the_region_the_second_look_replaces_what_may_count_and_leaves_the_rest() -> None:
    first = found(CARTON, ("hole", 0.4), ("dent", 0.15), ("dent", 0.12, OUTSIDE))
    second = found(("carton", 0.95), ("dent", 0.3), ("hole", 0.05))
    together = merged(POLICY.rules, FirstLook(first, frame(), REGION), second)
    assert names(together) == [("carton", 0.9), ("dent", 0.3), ("dent", 0.12), ("hole", 0.05)]
    assert together.detections.xyxy[2].tolist() == list(OUTSIDE)


def test_labels_go_where_their_detections_go() -> None:
    labels = Label(None, "scene@1", "dock", 0.5), Label(0, "wear@1", "new", 0.9), Label(1, "wear@1", "gone", 0.9)
    first = found(CARTON, ("hole", 0.4), labels=labels, chained=("scene@1", "wear@1"))
    second = found(
        ("dent", 0.95),
        ("carton", 0.5),
        labels=(Label(None, "scene@1", "crop", 0.9), Label(0, "wear@1", "crushed", 0.8), Label(1, "wear@1", "no", 0.7)),
        chained=("wear@1",),
    )
    together = merged(POLICY.rules, FirstLook(first, frame(), REGION), second)
    assert together.classes == ("dent", "carton")
    assert set(together.labels) == {
        Label(None, "scene@1", "dock", 0.5),
        Label(0, "wear@1", "crushed", 0.8),
        Label(1, "wear@1", "new", 0.9),
    }
    assert together.chained == ("wear@1",)


def test_a_model_that_names_whole_pictures_need_not_answer_for_a_part() -> None:
    chain = [{"model": "scene@1"}, {"model": "wear@1", "of": ["carton"]}]
    rules = Policy.parse(3, {**DOCUMENT, "chain": chain}).rules
    first = FirstLook(replace(DOUBT, chained=("scene@1", "wear@1")), frame(), REGION)
    assert merged(rules, first, found(chained=("wear@1",))).chained == ("scene@1", "wear@1")
    assert merged(rules, first, found(chained=("scene@1",))).chained == ("scene@1",)
    silent = replace(first, found=replace(DOUBT, chained=()))
    assert merged(rules, silent, found(chained=("scene@1", "wear@1"))).chained == ()


def test_nothing_and_nothing_is_nothing() -> None:
    together = merged(POLICY.rules, FirstLook(found(), frame(), REGION), found())
    assert (len(together.detections), together.classes) == (0, ())


# --- what holds always ----------------------------------------------------------------------------------------------

rows = st.lists(
    st.tuples(
        st.sampled_from(["carton", "hole", "dent", "graffiti"]),
        st.floats(0.05, 1).map(lambda c: round(c, 2)),
        st.sampled_from([INSIDE, OUTSIDE, (380.0, 90.0, 420.0, 110.0)]),
    ),
    max_size=6,
)
findings = st.one_of(
    rows.map(lambda some: found(*some)),
    rows.map(lambda some: found(*some, model="other@1")),
    st.just(Failed("poison", "It kills.")),
    st.just(Refused("corrupt", "It is damaged.")),
)


@given(first=rows, second=findings, flags=st.sampled_from([(), ("blurred",)]))
def test_a_second_look_never_takes_a_guarantee_away(first: list[Row], second: Finding, flags: tuple[str, ...]) -> None:
    one = found(*first)
    alone = decide(POLICY, IMAGE, prepared(*flags), one)
    end = both(one, second, POLICY, *flags)
    if alone.verdict is Verdict.FAIL:
        assert end.verdict is Verdict.FAIL, "a clear fail became something else"
    again = decide(POLICY, IMAGE, prepared(), second)
    if isinstance(second, Inspected) and again.verdict is Verdict.FAIL:
        assert end.verdict is Verdict.FAIL, "a defect that a look is sure of was dropped"
    if end.verdict is Verdict.PASS:
        assert isinstance(second, Inspected)
        assert again.reason in ("clear", "subject-missing"), "a pass with a doubt in the second look"
        assert end.found is not None
        assert decide(POLICY, IMAGE, prepared(*flags), end.found).verdict is Verdict.PASS
        outside = [row for row in first if row[0] != "carton" and row[2] == OUTSIDE]  # type: ignore[misc]
        assert all(row[1] < POLICY.rules.thresholds(row[0]).review for row in outside)  # type: ignore[operator]
        assert set(alone.reason.split()) <= {"clear", "uncertain"}
    assert end.state == "decided"
    assert len(end.looks) == 2
