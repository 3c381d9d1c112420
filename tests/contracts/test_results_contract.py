"""Reading: every filter, every page, and never another facility."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.inspection import ImageFacts, Inspected
from framegate.kernel.reviews import Choice, Decision
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.ports.progress import Ending, PrepareAgain
from framegate.ports.store import ImageFilter, ImageRecord, NewImage

from .examples import (
    FACILITY,
    MODEL,
    OTHER_FACILITY,
    accept,
    advance_to,
    complete,
    decide,
    inspected,
    labelled,
    must_claim,
    new_image,
    outcome,
    prepared,
)
from .harness import Harness, seconds

MINE = frozenset({FACILITY})
BOTH = frozenset({FACILITY, OTHER_FACILITY})


def ids(records: list[ImageRecord]) -> list[Any]:
    return [record.facts.image_id for record in records]


def find(harness: Harness, limit: int = 100, facilities: frozenset[FacilityId] = MINE, **where: Any) -> list[Any]:
    return ids(harness.results.images(ImageFilter(facilities, **where), limit))


def test_an_image_is_found_by_its_id(harness: Harness) -> None:
    image = accept(harness.intake)
    found = harness.results.image(MINE, image.image_id)
    assert found is not None
    assert isinstance(found.facts, ImageFacts)
    assert found.facts.image_id == image.image_id


def test_images_of_other_facilities_are_never_seen(harness: Harness) -> None:
    mine, other = accept(harness.intake), accept(harness.intake, facility=OTHER_FACILITY)
    for image in (mine, other):
        decide(harness.progress, image)
    assert harness.results.image(MINE, other.image_id) is None
    assert harness.results.image(frozenset(), mine.image_id) is None
    assert find(harness) == [mine.image_id]
    assert find(harness, facilities=BOTH) == [other.image_id, mine.image_id]
    assert find(harness, facilities=frozenset()) == []
    assert find(harness, sha256=other.sha256) == []
    assert ids([r for _, r in harness.results.outcomes_after(MINE, 0, 10)]) == [mine.image_id]
    assert harness.results.outcomes_after(frozenset(), 0, 10) == []


def test_an_unknown_image_is_none(harness: Harness) -> None:
    assert harness.results.image(MINE, new_image().image_id) is None
    assert harness.results.linked_image(new_image().image_id) is None


def test_who_brings_a_link_needs_no_facility(harness: Harness) -> None:
    for image in (accept(harness.intake), accept(harness.intake, facility=OTHER_FACILITY)):
        found = harness.results.linked_image(image.image_id)
        assert found is not None
        assert (found.facts.image_id, found.facts.facility) == (image.image_id, image.facility)


@pytest.fixture
def zoo(harness: Harness) -> dict[str, NewImage]:
    """Six images that differ in what can be asked for."""
    images = {
        "waiting": accept(harness.intake, metadata={"shipment": "S-1", "dock": "7"}),
        "bulk": accept(harness.intake, lane=Lane.BULK, metadata={"shipment": "S-1"}),
        "camera": accept(harness.intake, camera=CameraId("dock-8")),
        "pass": accept(harness.intake),
        "fail": accept(harness.intake),
        "rejected": accept(harness.intake),
    }
    decide(harness.progress, images["pass"], outcome(Verdict.PASS), ("box",))
    decide(harness.progress, images["fail"], outcome(Verdict.FAIL), ("box", "damage"))
    decide(harness.progress, images["rejected"], outcome(None), ())
    advance_to(harness.progress, images["camera"], Stage.INFERENCE)
    return images


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, {"waiting", "bulk", "camera", "pass", "fail", "rejected"}),
        ({"camera": CameraId("dock-8")}, {"camera"}),
        ({"state": ImageState.RECEIVED}, {"waiting", "bulk"}),
        ({"state": ImageState.PREPARED}, {"camera"}),
        ({"state": ImageState.DECIDED}, {"pass", "fail"}),
        ({"state": ImageState.REJECTED}, {"rejected"}),
        ({"verdict": Verdict.FAIL}, {"fail"}),
        ({"verdict": Verdict.REVIEW}, set()),
        ({"lane": Lane.BULK}, {"bulk"}),
        ({"detected": "box"}, {"pass", "fail"}),
        ({"detected": "damage"}, {"fail"}),
        ({"detected": "dam"}, set()),
        ({"metadata": {"shipment": "S-1"}}, {"waiting", "bulk"}),
        ({"metadata": {"shipment": "S-1", "dock": "7"}}, {"waiting"}),
        ({"metadata": {"shipment": "S-2"}}, set()),
        ({"metadata": {"none": "S-1"}}, set()),
        ({"state": ImageState.DECIDED, "detected": "box", "verdict": Verdict.PASS}, {"pass"}),
        ({"camera": CameraId("dock-8"), "state": ImageState.DECIDED}, set()),
        ({"reason": "clear"}, {"pass", "fail"}),
        ({"reason": "truncated"}, {"rejected"}),
        ({"reason": "clear", "verdict": Verdict.FAIL}, {"fail"}),
        ({"model": MODEL}, {"pass", "fail", "rejected"}),
        ({"model": "other@1"}, set()),
        ({"detected": "box", "min_confidence": 0.75}, {"pass", "fail"}),
        ({"detected": "damage", "min_confidence": 0.7}, set()),
        ({"min_confidence": 0.75}, {"pass", "fail"}),
        ({"min_confidence": 0.76}, set()),
        ({"max_confidence": 0.625}, {"fail"}),
        ({"detected": "box", "max_confidence": 0.7}, set()),
        ({"min_confidence": 0.63, "max_confidence": 0.74}, set()),
        ({"min_confidence": 0.6, "max_confidence": 0.7, "detected": "damage"}, {"fail"}),
        ({"reviewed": False}, {"waiting", "bulk", "camera", "pass", "fail", "rejected"}),
        ({"reviewed": True}, set()),
        ({"effective": Verdict.PASS}, {"pass"}),
        ({"effective": Verdict.PASS, "verdict": Verdict.FAIL}, set()),
        ({"effective": Verdict.FAIL, "camera": CameraId("dock-7"), "reviewed": False}, {"fail"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_all_given_conditions_hold(
    harness: Harness, zoo: dict[str, NewImage], where: dict[str, Any], expected: set[str]
) -> None:
    names = {image.image_id: name for name, image in zoo.items()}
    assert {names[i] for i in find(harness, **where)} == expected


@pytest.fixture
def asked(harness: Harness) -> dict[str, NewImage]:
    """Images that people were asked about."""
    images = {name: accept(harness.intake) for name in ("open", "passed", "failed", "unsure", "skipped", "taken back")}
    choices = {"passed": Choice.PASS, "failed": Choice.FAIL, "unsure": Choice.CANNOT_TELL, "skipped": Choice.SKIP}
    for name, image in images.items():
        decide(harness.progress, image, outcome(Verdict.REVIEW))
        choice = choices.get(name, Choice.FAIL if name == "taken back" else None)
        if choice is not None:
            decision = Decision(choice, "dent" if choice is Choice.FAIL else "")
            said = harness.reviews.decide(MINE, image.image_id, 1, image.sha256, decision, "ann", seconds(30))
            if name == "taken back" and said is not None:
                harness.reviews.undo(MINE, said.review_id, "ann", seconds(30))
    return images


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"effective": Verdict.REVIEW}, {"open", "unsure", "skipped", "taken back"}),
        ({"effective": Verdict.PASS}, {"passed"}),
        ({"effective": Verdict.FAIL}, {"failed"}),
        ({"effective": Verdict.FAIL, "verdict": Verdict.REVIEW, "detected": "box"}, {"failed"}),
        ({"effective": Verdict.FAIL, "verdict": Verdict.PASS}, set()),
        ({"effective": Verdict.FAIL, "reviewed": False}, set()),
        ({"reviewed": True}, {"passed", "failed", "unsure"}),
        ({"reviewed": True, "effective": Verdict.REVIEW}, {"unsure"}),
        ({"reviewed": False, "verdict": Verdict.REVIEW}, {"open", "skipped", "taken back"}),
        ({"verdict": Verdict.REVIEW}, {"open", "passed", "failed", "unsure", "skipped", "taken back"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_images_are_found_by_what_people_decided(
    harness: Harness, asked: dict[str, NewImage], where: dict[str, Any], expected: set[str]
) -> None:
    names = {image.image_id: name for name, image in asked.items()}
    assert {names[i] for i in find(harness, **where)} == expected


def test_a_confidence_is_compared_as_precisely_as_it_is_kept(harness: Harness) -> None:
    image, found = accept(harness.intake), inspected("box")
    found.detections.confidence[0] = 0.8  # as single precision a little more than 0.8
    advance_to(harness.progress, image, Stage.INFERENCE)
    assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, image), found)
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image), outcome())
    assert find(harness, min_confidence=0.8, max_confidence=0.8) == [image.image_id]


def test_an_image_with_several_detections_is_found_once(harness: Harness) -> None:
    image = accept(harness.intake)
    decide(harness.progress, image, seen=("box", "box", "box"))
    for where in ({"detected": "box"}, {"max_confidence": 1.0}, {"detected": "box", "max_confidence": 0.7}):
        assert find(harness, **where) == [image.image_id]


def test_the_model_of_an_image_in_flight_decided_nothing_yet(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.GATE)
    assert find(harness, model=MODEL) == []


def test_images_are_found_by_their_bytes(harness: Harness, zoo: dict[str, NewImage]) -> None:
    assert find(harness, sha256=zoo["pass"].sha256) == [zoo["pass"].image_id]


def test_images_are_found_by_when_they_were_received(harness: Harness, zoo: dict[str, NewImage]) -> None:
    record = harness.results.image(MINE, zoo["pass"].image_id)
    assert record is not None
    received, hour = record.facts.received_at, timedelta(hours=1)
    assert len(find(harness, received_since=received - hour, received_until=received + hour)) == 6
    assert find(harness, received_since=received + hour) == []
    assert find(harness, received_until=received - hour) == []
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert len(find(harness, received_since=first, received_until=last)) == 6


def test_the_newest_image_comes_first_and_the_limit_holds(harness: Harness, zoo: dict[str, NewImage]) -> None:
    newest_first = sorted((image.image_id for image in zoo.values()), reverse=True)
    assert find(harness) == newest_first
    assert find(harness, 2) == newest_first[:2]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_pages_follow_one_another_without_gap_or_repeat(harness: Harness, size: int) -> None:
    accepted = [accept(harness.intake).image_id for _ in range(7)]
    paged: list[Any] = []
    before = None
    while page := find(harness, size, before=before):
        assert len(page) <= size
        paged += page
        before = page[-1]
        # What arrives while somebody pages is newer, so it moves nothing.
        accept(harness.intake, facility=FACILITY)
    assert paged == accepted[::-1]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_pages_lead_back_the_way_they_came(harness: Harness, size: int) -> None:
    facilities = [FACILITY, OTHER_FACILITY] * 4
    accepted = [accept(harness.intake, facility=facility).image_id for facility in facilities]
    paged: list[Any] = []
    after = accepted[0]
    while page := find(harness, size, facilities=BOTH, after=after):
        assert len(page) <= size
        paged = page + paged
        after = page[0]
    assert paged == accepted[:0:-1]


def test_a_page_may_lie_between_two_images(harness: Harness) -> None:
    first, *between, last = (accept(harness.intake).image_id for _ in range(5))
    assert find(harness, after=first, before=last) == between[::-1]
    assert find(harness, 1, after=first, before=last) == between[:1]


def test_pages_hold_with_a_filter(harness: Harness, zoo: dict[str, NewImage]) -> None:
    first = find(harness, 1, state=ImageState.DECIDED)
    second = find(harness, 1, state=ImageState.DECIDED, before=first[0])
    assert [*first, *second] == [zoo["fail"].image_id, zoo["pass"].image_id]
    assert find(harness, 1, state=ImageState.DECIDED, before=second[0]) == []


# --- the order of endings ------------------------------------------------------------------------------------------


def test_outcomes_come_in_the_order_in_which_images_ended(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(4)]
    order = [images[2], images[0], images[3]]
    for image in order:
        decide(harness.progress, image)
    outcomes = harness.results.outcomes_after(MINE, 0, 10)
    assert ids([r for _, r in outcomes]) == [image.image_id for image in order]
    sequences = [sequence for sequence, _ in outcomes]
    assert sequences == sorted(set(sequences))
    assert sequences[0] > 0


def test_a_watcher_that_goes_on_from_the_last_sequence_misses_and_repeats_nothing(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(5)]
    seen: list[Any] = []
    sequence = 0
    for image in images:
        decide(harness.progress, image)
        if image is images[2]:  # so that one look brings several
            continue
        outcomes = harness.results.outcomes_after(MINE, sequence, 10)
        seen += ids([record for _, record in outcomes])
        sequence = outcomes[-1][0]
    assert seen == [image.image_id for image in images]
    assert harness.results.outcomes_after(MINE, sequence, 10) == []


def test_outcomes_are_limited_from_the_oldest_on(harness: Harness) -> None:
    images = [accept(harness.intake) for _ in range(3)]
    for image in images:
        decide(harness.progress, image)
    assert ids([r for _, r in harness.results.outcomes_after(MINE, 0, 2)]) == [i.image_id for i in images[:2]]


def test_minus_one_gives_only_the_newest_outcome(harness: Harness) -> None:
    assert harness.results.outcomes_after(MINE, -1, 10) == []
    images = [accept(harness.intake) for _ in range(3)]
    decide(harness.progress, images[0])
    decide(harness.progress, images[1])
    decide(harness.progress, accept(harness.intake, facility=OTHER_FACILITY))
    ((sequence, record),) = harness.results.outcomes_after(MINE, -1, 10)
    assert record.facts.image_id == images[1].image_id
    decide(harness.progress, images[2])
    assert ids([r for _, r in harness.results.outcomes_after(MINE, sequence, 10)]) == [images[2].image_id]


# --- one record ----------------------------------------------------------------------------------------------------


def test_timings_hold_moments_and_durations(harness: Harness) -> None:
    image = accept(harness.intake)
    for stage, result, work_ms in (
        (Stage.PREPROCESS, prepared(), 12.5),
        (Stage.INFERENCE, inspected("box"), 40.25),
        (Stage.GATE, outcome(), 1.0),
    ):
        assert complete(harness.progress, must_claim(harness.progress, stage, image), result, work_ms)
    record = harness.results.image(MINE, image.image_id)
    assert record is not None
    moments = [
        datetime.fromisoformat(record.timings[f"{m}_at"]) for m in ("received", "prepared", "inspected", "decided")
    ]
    assert moments == sorted(moments)
    assert all(moment.utcoffset() is not None for moment in moments)
    durations = [record.timings[f"{stage}_ms"] for stage in ("preprocess", "inference", "gate")]
    assert durations == pytest.approx([12.5, 40.25, 1.0])


def test_quality_and_recipe_of_a_decided_image_are_told(harness: Harness) -> None:
    image = accept(harness.intake)
    decide(harness.progress, image)
    record = harness.results.image(MINE, image.image_id)
    assert record is not None
    assert record.quality == prepared().quality.to_json()
    assert record.prepared is not None
    assert "simplejpeg" in str(record.prepared)


def test_the_history_tells_every_failed_attempt_in_order(harness: Harness) -> None:
    image = accept(harness.intake)
    for number in range(3):
        held = must_claim(harness.progress, Stage.PREPROCESS, image, f"worker-{number}")
        harness.progress.give_back([held], Ending.ERROR, f"cause {number}")
    decide(harness.progress, image)
    record = harness.results.image(MINE, image.image_id)
    assert record is not None
    assert [(e["worker"], e["cause"]) for e in record.history] == [(f"worker-{n}", f"cause {n}") for n in range(3)]
    assert record.attempts >= 1


def test_labels_of_the_chain_are_at_hand_at_the_gate_and_told_once_the_image_ended(harness: Harness) -> None:
    image, seen = accept(harness.intake), labelled(inspected("box", "damage"))
    advance_to(harness.progress, image, Stage.INFERENCE)
    assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, image), seen)
    held = must_claim(harness.progress, Stage.GATE, image)
    assert isinstance(held.finding, Inspected)
    assert (held.finding.labels, held.finding.chained) == (seen.labels, seen.chained)
    undecided = harness.results.image(MINE, image.image_id)
    assert undecided is not None
    assert undecided.labels == ()
    assert complete(harness.progress, held, outcome())
    record = harness.results.image(MINE, image.image_id)
    assert record is not None
    assert record.labels == seen.labels
    assert record.labels[1].detection == 0


def test_an_image_without_labels_tells_of_none(harness: Harness) -> None:
    image = accept(harness.intake)
    decide(harness.progress, image)
    record = harness.results.image(MINE, image.image_id)
    assert record is not None
    assert record.labels == ()


def test_the_labels_of_an_image_that_is_prepared_again_are_forgotten(harness: Harness) -> None:
    image = accept(harness.intake)
    advance_to(harness.progress, image, Stage.INFERENCE)
    assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, image), labelled(inspected("box")))
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image), PrepareAgain("gone"))
    again = must_claim(harness.progress, Stage.PREPROCESS, image, look=2)
    assert complete(harness.progress, again, prepared())
    again = must_claim(harness.progress, Stage.INFERENCE, image, look=2)
    assert complete(harness.progress, again, inspected("box"))
    found = must_claim(harness.progress, Stage.GATE, image, look=2).finding
    assert isinstance(found, Inspected)
    assert (found.labels, found.chained) == ((), ())
