"""What is drift and what is not: shifts are found soon, days that differ are not, and few things are said."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framegate.kernel.drift import alert_about, follow
from framegate.kernel.drift_features import Kind, Part, Seen, count, label, model_bins, picture_bins
from framegate.kernel.drift_learning import learn
from framegate.kernel.drift_reference import Block, Reference
from framegate.kernel.drift_state import Drift, DriftChange, DriftLimits, Finding, Subject
from framegate.kernel.inspection import Prepared, Quality
from tests.support.drift import FACILITY, START, Dock, Hall

DOCK = Subject(FACILITY, Kind.CAMERA, "dock-1")
#: Days of 200 images, so that a reference is learnt quickly; everything else as it is shipped.
QUICK = DriftLimits(learn_images=1000)
DAYS = 7.6


AN_IMAGE = next(Dock("dock-1", 1, images_a_day=1000).images(START, 1))


def began(changes: list[DriftChange], kind: Kind = Kind.CAMERA) -> list[Finding]:
    return [one for change in changes for one in change.began if change.subject.kind is kind]


@pytest.fixture(scope="module")
def learning() -> Hall:
    hall = Hall([Dock("dock-1", 11, images_a_day=400)], QUICK)
    assert began(hall.lives(DAYS)) == []
    return hall


@pytest.fixture
def hall(learning: Hall) -> Hall:
    """One camera whose reference is frozen."""
    return deepcopy(learning)


@pytest.fixture
def learnt(hall: Hall) -> dict[tuple[Subject, Part], Reference]:
    return hall.shelf.references


@pytest.mark.parametrize(
    ("shift", "features"),
    [
        ({"light": 0.6}, {"brightness", "contrast", "dark", "bright"}),
        ({"blur": 0.5}, {"sharpness"}),
        ({"tint": 14.0}, {"blue", "red"}),
        ({"damaged": 8.0}, {"verdict", "class"}),
    ],
    ids=["light", "blur", "colour", "classes"],
)
def test_a_shift_is_found_within_500_images(hall: Hall, shift: dict[str, float], features: set[str]) -> None:
    for name, value in shift.items():
        setattr(hall.docks[0], name, value)
    before, found = hall.taken, set[str]()
    while hall.taken < before + 500:
        hall.lives(0.05)
        found = {name.partition(":")[0] for name in hall.shelf.drifts[DOCK].holds}
        if found & features:
            break
    assert found & features
    assert hall.taken - before <= 500


def test_a_finding_says_what_there_is_more_of_and_ends_when_all_is_as_before(hall: Hall) -> None:
    hall.docks[0].blur = 0.4
    changes = [change for change in hall.lives(3) if change.subject == DOCK]
    finding = next(one for one in began(changes) if one.feature == "sharpness")
    alert = alert_about(next(change for change in changes if finding in change.began))
    assert alert is not None
    assert (alert.rule, alert.severity, alert.subject, alert.over) == ("drift", "warning", "camera/dock-1", False)
    assert "sharpness (PSI" in alert.summary
    assert "framegate drift status dock-1" in alert.summary
    assert sum(finding.expected) == pytest.approx(1, abs=0.01)
    assert sum(finding.seen) == pytest.approx(1, abs=0.01)
    hall.docks[0].blur = 1.0
    ends = [change for change in hall.lives(4) if change.subject == DOCK and change.ended]
    assert ends[-1].well
    over = alert_about(ends[-1])
    assert over is not None
    assert over.over
    assert hall.shelf.findings[finding.finding_id].ended_at is not None


def test_another_model_is_learnt_and_the_picture_stays_compared(hall: Hall) -> None:
    hall.docks[0].model = "carton@2"
    hall.lives(0.5)
    drift = hall.shelf.drifts[DOCK]
    assert drift.parts[Part.MODEL].frozen_at is None
    assert drift.parts[Part.MODEL].of == "carton@2"
    assert drift.parts[Part.PICTURE].frozen_at is not None


def test_a_few_images_of_another_model_in_between_change_nothing(hall: Hall) -> None:
    hall.docks[0].model = "carton@2"
    before = hall.taken
    while hall.taken < before + 10:
        hall.lives(0.01)
    hall.docks[0].model = "carton@1"
    hall.lives(0.5)
    assert hall.shelf.drifts[DOCK].parts[Part.MODEL].frozen_at is not None


def test_a_faulty_camera_is_not_looked_at_and_its_open_window_is_dropped(hall: Hall) -> None:
    drift = hall.shelf.drifts[DOCK]
    (seen, *_) = hall.docks[0].images(hall.now, 0.5)
    follow([seen], hall.shelf, QUICK)
    assert drift.window.images > 0
    follow([replace(seen, faulty=True)], hall.shelf, QUICK)
    assert drift.window.images == 0


def test_what_is_kept_is_read_again_as_it_was(hall: Hall, learnt: dict[tuple[Subject, Part], Reference]) -> None:
    for reference in learnt.values():
        assert Reference.from_json(reference.to_json()) == reference
    drift = hall.shelf.drifts[DOCK]
    assert Drift.from_json(drift.to_json()) == drift
    assert Drift.from_json(drift.to_json() | {"of a newer release": 1}) == drift


def test_groups_hold_enough_and_have_names(learnt: dict[tuple[Subject, Part], Reference]) -> None:
    for reference in learnt.values():
        for expected in reference.bands["all"].values():
            assert len(expected.labels) == len(expected.counts)
            inner = expected.counts[1 : len(expected.upto)]
            assert all(number >= 0.05 * sum(expected.counts) * 0.9 for number in inner)


def seen(quality: Quality | None = None, **more: object) -> Seen:
    one = AN_IMAGE
    frame = one.prepared
    assert frame is not None
    prepared: Prepared | None = replace(frame, quality=quality) if quality else frame
    return replace(one, **({"prepared": prepared} | more))  # type: ignore[arg-type]


def test_an_image_that_could_not_be_decoded_counts_by_how_it_ended() -> None:
    bins = [*picture_bins(seen(prepared=None)), *model_bins(seen(prepared=None, model=None, ended_as="rejected"))]
    assert dict(bins).keys() == {"metadata", "verdict"}
    assert dict(bins)["verdict"] == "=rejected"


def test_an_image_without_boxes_is_one_with_none() -> None:
    bins = list(model_bins(seen(boxes=())))
    assert {("class", "=none"), ("top", "=none"), ("boxes", "0")} <= set(bins)


def test_pictures_of_an_older_release_have_no_colour() -> None:
    assert "blue" not in dict(picture_bins(seen(Quality(100, 100, 40, 0, 0))))


def test_a_model_of_a_thousand_classes_is_bounded() -> None:
    counts: dict[str, dict[str, int]] = {}
    for n in range(1000):
        count(counts, model_bins(seen(boxes=[(f"class-{n}", 0.9, (0.0, 0.0, 9.0, 9.0))])))
    assert len(counts["class"]) <= 49
    assert sum(counts["class"].values()) == 1000
    assert sum(name.startswith("confidence:") for name in counts) == 16


def test_values_are_told_in_words() -> None:
    assert label("brightness", None, 4) == "below 30"
    assert label("brightness", 5, 9) == "30 to 60"
    assert label("brightness", 41, None) == "246 or more"
    assert (label("boxes", None, 0), label("boxes", 2, 2), label("boxes", 3, None)) == ("0", "2", "3 or more")


@given(st.lists(st.floats(0, 255), min_size=80, max_size=80), st.floats(0, 255))
@settings(max_examples=30, deadline=None)
def test_any_reference_can_be_compared_with_any_window(values: list[float], value: float) -> None:
    def block(day: int, numbers: list[float]) -> Block:
        counts: dict[str, dict[str, int]] = {}
        for number in numbers:
            count(counts, picture_bins(seen(Quality(100, number, 40, 0, 0))))
        at = START + timedelta(days=day)
        return Block(at, at + timedelta(minutes=9), len(numbers), counts)

    reference = learn([block(n, values[n * 10 : n * 10 + 10]) for n in range(8)], 5, START)
    expected = reference.bands["all"]["brightness"]
    score = expected.score(block(9, [value] * 10).counts["brightness"])
    assert 0 <= score.p <= 1
    assert score.psi >= 0
    assert 0 <= score.js <= 1
    assert sum(expected.counts) == 80


def test_windows_of_what_did_not_change_have_p_values_that_are_about_even() -> None:
    """Of 400 windows as they were learnt; of a false alarm's p there must not be more than there should be."""
    rng = np.random.default_rng(3)

    def block(day: int) -> Block:
        bins = np.clip(rng.normal(20, 3, 150), 1, 40).astype(int)
        counts = {"brightness": {str(key): int(n) for key, n in zip(*np.unique(bins, return_counts=True), strict=True)}}
        at = START + timedelta(days=day)
        return Block(at, at, 150, counts)

    expected = learn([block(n // 5) for n in range(35)], 50, START).bands["all"]["brightness"]
    values = np.array([expected.score(block(9).counts["brightness"]).p for _ in range(400)])
    for level in (0.05, 0.2, 0.5):
        assert (values <= level).mean() <= level + 0.03
    assert (values <= 0.5).mean() >= 0.2
