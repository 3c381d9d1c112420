"""Drift: every ended image counts once, what is found is kept with its images, and people end it or the images do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from framegate.kernel.drift_features import Kind, Part
from framegate.kernel.drift_state import Subject
from framegate.kernel.ids import CameraId
from framegate.kernel.incidents import IncidentState
from framegate.kernel.inspection import Quality
from framegate.kernel.states import Lane, Stage
from framegate.ports.notices import Announcer

from .drifting import HEALTH, LIMITS, drifts, sees
from .examples import (
    CAMERA,
    FACILITY,
    MODEL,
    OTHER_FACILITY,
    accept,
    complete,
    inspected,
    must_claim,
    outcome,
    prepared,
    serve,
)
from .harness import Harness

THIS = Subject(FACILITY, Kind.CAMERA, CAMERA)
ITS_MODEL = Subject(FACILITY, Kind.MODEL, MODEL)
HERE, EVERY = frozenset({FACILITY}), frozenset(IncidentState)
LONG_AGO, FAR = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
OTHER = CameraId("dock-8")
announce = Announcer("https://inspect.example", b"pepper")


def actions(harness: Harness) -> list[tuple[str, str, str]]:
    return [(e.actor, e.action, e.object) for e in harness.audit() if e.action.startswith("drift.")]


def test_what_ended_is_taken_in_once_however_often_somebody_looks(harness: Harness) -> None:
    sees(harness, 7)
    assert [harness.drifts.follow(LIMITS, 3).images for _ in range(4)] == [3, 3, 1, 0]
    known = harness.drifts.known(HERE)
    assert list(known) == [THIS, ITS_MODEL]
    assert {subject: harness.drifts.drift(subject) for subject in known} == known
    assert harness.drifts.drift(replace(THIS, facility=OTHER_FACILITY)) is None
    assert [drift.window.images for drift in known.values()] == [7, 7]
    assert harness.drifts.known(frozenset({OTHER_FACILITY})) == {}


def test_what_the_watch_of_the_cameras_has_not_judged_yet_waits(harness: Harness) -> None:
    image = accept(harness.intake)
    for stage, result in ((Stage.PREPROCESS, prepared()), (Stage.INFERENCE, inspected()), (Stage.GATE, outcome())):
        assert complete(harness.progress, must_claim(harness.progress, stage, image), result)
    assert harness.drifts.follow(LIMITS, 10).images == 0
    harness.camera_healths.follow(HEALTH, 10)
    assert harness.drifts.follow(LIMITS, 10).images == 1


def test_a_reference_is_frozen_once_enough_is_known(harness: Harness) -> None:
    sees(harness, 79)
    harness.drifts.follow(LIMITS, 1000)
    assert harness.drifts.reference(THIS, Part.PICTURE) is None
    sees(harness, 1)
    harness.drifts.follow(LIMITS, 1000)
    reference = harness.drifts.reference(THIS, Part.PICTURE)
    assert reference is not None
    assert reference.images == 80
    assert "brightness" in reference.bands["all"]
    assert "class" not in reference.bands["all"]
    of_model = harness.drifts.reference(ITS_MODEL, Part.MODEL)
    assert of_model is not None
    assert "class" in of_model.bands["all"]


def test_a_shift_is_found_with_the_images_that_show_it(harness: Harness) -> None:
    dark = drifts(harness)
    (finding,) = harness.drifts.findings(HERE)
    assert (finding.subject, finding.feature, finding.ended_at) == (THIS, "brightness", None)
    assert finding.psi >= LIMITS.effect
    assert sum(finding.seen) == sum(finding.expected) == 1 or abs(sum(finding.seen) - 1) < 0.01
    assert set(finding.moved) <= {image.image_id for image in dark[10:]}
    assert finding.moved
    assert harness.drifts.findings(HERE, subject=ITS_MODEL) == []
    assert harness.drifts.findings(frozenset({OTHER_FACILITY})) == []
    assert actions(harness) == [("framegate", "drift.found", "camera/dock-7")]


def test_it_is_an_incident_that_ends_when_the_images_are_as_before(harness: Harness) -> None:
    drifts(harness)
    harness.incidents.group(100, announce)
    (incident,) = harness.incidents.incidents(HERE, EVERY, 10)
    assert (incident.rule, incident.subject, incident.state) == ("drift", "camera/dock-7", IncidentState.OPEN)
    assert "brightness" in incident.summary
    sees(harness, 10)
    harness.drifts.follow(LIMITS, 1000)
    harness.incidents.group(100, announce)
    (incident,) = harness.incidents.incidents(HERE, EVERY, 10)
    assert incident.state is IncidentState.RESOLVED
    assert harness.drifts.findings(HERE) == []
    (finding,) = harness.drifts.findings(HERE, since=LONG_AGO)
    assert finding.ended_at is not None


def test_who_says_that_it_is_usual_now_ends_it_and_has_it_learnt_anew(harness: Harness) -> None:
    drifts(harness)
    assert harness.drifts.freeze(THIS, "ada")
    assert harness.drifts.findings(HERE) == []
    assert harness.drifts.reference(THIS, Part.PICTURE) is None
    harness.incidents.group(100, announce)
    (incident,) = harness.incidents.incidents(HERE, EVERY, 10)
    assert incident.state is IncidentState.RESOLVED
    assert actions(harness)[-1] == ("ada", "drift.frozen", "camera/dock-7")
    sees(harness, 100, light=60)
    harness.drifts.follow(LIMITS, 1000)
    assert harness.drifts.findings(HERE) == []
    assert harness.drifts.reference(THIS, Part.PICTURE) is not None
    assert not harness.drifts.freeze(Subject(FACILITY, Kind.CAMERA, "dock-99"), "ada")


def test_images_of_a_camera_with_a_fault_and_of_the_bulk_lane_are_passed_over(harness: Harness) -> None:
    sees(harness, 3, lane=Lane.BULK)
    assert harness.drifts.follow(LIMITS, 10).images == 3
    assert harness.drifts.known() == {}
    harness.camera_healths.suspend(FACILITY, CAMERA, "a forklift hit its mast", "ada")
    sees(harness, 4)
    harness.drifts.follow(LIMITS, 10)
    assert [drift.window.images for drift in harness.drifts.known().values()] == [0, 0]


def test_hours_are_kept_with_their_scores_until_they_are_forgotten(harness: Harness) -> None:
    sees(harness, 80)
    sees(harness, 20, light=60)
    harness.advance(0.01)
    harness.drifts.follow(LIMITS, 1000)
    hours = harness.drifts.hours(THIS, LONG_AGO)
    assert sum(hour.images for hour in hours) == 100
    assert sum(n for hour in hours for n in hour.counts["brightness"].values()) == 100
    assert hours[-1].scores["brightness"].psi >= LIMITS.effect
    assert harness.drifts.forget(LONG_AGO, 10) == 0
    assert harness.drifts.forget(hours[-1].at + timedelta(microseconds=1), 1000) >= 2
    assert harness.drifts.hours(THIS, LONG_AGO) == []
    assert len(harness.drifts.findings(HERE)) == 1, "what holds is not forgotten"


def test_whoever_is_not_seen_any_more_is_forgotten_with_what_was_learnt(harness: Harness) -> None:
    drifts(harness)
    sees(harness, 10, camera=OTHER)
    harness.drifts.follow(LIMITS, 1000)
    assert list(harness.drifts.known(compared=True)) == [THIS, ITS_MODEL], "the other one is still learnt"
    assert list(harness.drifts.known()) == [THIS, replace(THIS, name=OTHER), ITS_MODEL]
    for _ in range(100):
        if harness.drifts.forget(FAR, 1) == 0:
            break
    assert harness.drifts.known() == {}
    assert harness.drifts.findings(HERE, LONG_AGO) == []
    assert harness.drifts.hours(THIS, LONG_AGO) == []
    assert harness.drifts.reference(THIS, Part.PICTURE) is None
    assert not harness.drifts.freeze(THIS, "ada")
    sees(harness, 79)
    harness.drifts.follow(LIMITS, 1000)
    assert harness.drifts.known()[THIS].window.images == 9
    assert harness.drifts.reference(THIS, Part.PICTURE) is None, "it is learnt from the start"


def test_whoever_is_seen_is_not_forgotten_however_old_it_is(harness: Harness) -> None:
    sees(harness, 3)
    harness.drifts.follow(LIMITS, 10)
    (image,) = sees(harness, 1)
    harness.drifts.follow(LIMITS, 10)
    record = harness.results.image(HERE, image.image_id)
    assert record is not None
    assert record.decided_at is not None
    assert harness.drifts.forget(record.decided_at, 10) == 0
    assert list(harness.drifts.known()) == [THIS, ITS_MODEL]


def test_another_model_gets_a_reference_of_its_own_and_the_picture_keeps_its(harness: Harness) -> None:
    sees(harness, 80)
    harness.drifts.follow(LIMITS, 1000)
    serve(harness.registry, "other@2", "cd" * 32)
    for n in range(30):
        image = accept(harness.intake)
        quality = Quality(140.0, 120.0 + n % 5, 40 + n % 3, 0.0, 0.0, tint=(-4.0 + n % 2, 3.0))
        for stage, result in (
            (Stage.PREPROCESS, replace(prepared(), quality=quality)),
            (Stage.INFERENCE, inspected("carton", model="other@2", model_sha256="cd" * 32)),
            (Stage.GATE, outcome()),
        ):
            assert complete(harness.progress, must_claim(harness.progress, stage, image), result)
    harness.camera_healths.follow(HEALTH, 1000)
    harness.drifts.follow(LIMITS, 1000)
    assert harness.drifts.reference(THIS, Part.MODEL) is None
    assert harness.drifts.reference(THIS, Part.PICTURE) is not None
    assert harness.drifts.known()[THIS].parts[Part.MODEL].of == "other@2"
    assert Subject(FACILITY, Kind.MODEL, "other@2") in harness.drifts.known()
