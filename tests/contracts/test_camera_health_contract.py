"""Cameras are judged by their ended images, each once; what is wrong with them reaches the gate, intake and people."""

from dataclasses import replace

import pytest

from framegate.kernel.camera_health import FAULTS, Fault, HealthLimits
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.incidents import IncidentState
from framegate.kernel.inspection import Prepared, Refused
from framegate.kernel.states import ImageState, Lane, Stage, Verdict
from framegate.ports.notices import Announcer
from framegate.ports.store import NewImage
from tests.support.cameras import Place, dark

from .examples import (
    CAMERA,
    FACILITY,
    OTHER_FACILITY,
    accept,
    complete,
    decide,
    inspected,
    must_claim,
    outcome,
    prepared,
    serve,
)
from .harness import Harness, record

LIMITS = HealthLimits(warm_up=5, frozen_frames=3, frozen_s=0, dark_frames=2, recovery=2, silent_least_s=60)
HERE, EVERY = frozenset({FACILITY}), frozenset(IncidentState)
announce = Announcer("https://inspect.example", b"pepper")


def sees(harness: Harness, frame: Prepared, camera: CameraId = CAMERA, **more: object) -> NewImage:
    image = accept(harness.intake, camera=camera, **more)
    assert complete(harness.progress, must_claim(harness.progress, Stage.PREPROCESS, image), frame)
    assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, image), inspected())
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image), outcome())
    return image


def freeze(harness: Harness, camera: CameraId = CAMERA, **more: object) -> Prepared:
    frame = Place().frame()
    for _ in range(3):
        sees(harness, frame, camera, **more)
    harness.camera_healths.follow(LIMITS, 100)
    return frame


def at_the_gate(harness: Harness, camera: CameraId = CAMERA, facility: FacilityId = FACILITY) -> tuple[str, ...]:
    image = accept(harness.intake, camera=camera, facility=facility)
    found: list[tuple[str, ...]] = []
    for stage, result in ((Stage.PREPROCESS, prepared()), (Stage.INFERENCE, inspected()), (Stage.GATE, outcome())):
        held = must_claim(harness.progress, stage, image)
        found.append(held.image.camera_faults)
        assert complete(harness.progress, held, result)
    assert found[:2] == [(), ()]
    return found[2]


def actions(harness: Harness) -> list[tuple[str, str, str]]:
    entries = harness.audit()
    return [
        (e.actor, e.action, e.object)
        for e in entries
        if e.action.startswith(("camera.fault", "camera.rec", "camera.l", "camera.sus"))
    ]


def test_what_ended_is_judged_once_however_often_somebody_looks(harness: Harness) -> None:
    place = Place()
    for _ in range(7):
        sees(harness, place.frame())
    assert [harness.camera_healths.follow(LIMITS, 3).images for _ in range(4)] == [3, 3, 1, 0]
    health = harness.camera_healths.health(FACILITY, CAMERA)
    assert health is not None
    assert (health.frames, harness.camera_healths.faults()) == (7, {})
    assert harness.camera_healths.health(OTHER_FACILITY, CAMERA) is None


def test_a_fault_reaches_the_gate_and_only_for_this_camera(harness: Harness) -> None:
    freeze(harness)
    assert harness.camera_healths.faults() == {(FACILITY, CAMERA): ("frozen",)}
    assert harness.camera_healths.faults(frozenset({OTHER_FACILITY})) == {}
    assert harness.camera_healths.faulty() == dict.fromkeys(FAULTS, 0) | {"frozen": 1}
    assert at_the_gate(harness) == ("frozen",)
    assert at_the_gate(harness, CameraId("dock-8")) == ()
    assert at_the_gate(harness, facility=OTHER_FACILITY) == ()


def test_good_frames_end_it(harness: Harness) -> None:
    freeze(harness)
    place = Place(2)
    for _ in range(2):
        sees(harness, place.frame())
    (change,) = harness.camera_healths.follow(LIMITS, 100).changes
    assert (change.fault, change.began, change.well) == (Fault.FROZEN, False, True)
    assert at_the_gate(harness) == ()
    assert harness.camera_healths.faulty() == dict.fromkeys(FAULTS, 0)
    assert actions(harness) == [
        ("framegate", "camera.fault", CAMERA),
        ("framegate", "camera.recovered", CAMERA),
    ]


def test_all_faults_of_a_camera_are_one_incident_that_ends_with_the_last(harness: Harness) -> None:
    place = Place()
    for _ in range(5):
        sees(harness, place.frame())
    for _ in range(2):
        sees(harness, dark(place))
    same = place.frame()
    for _ in range(3):
        sees(harness, same)
    harness.camera_healths.follow(replace(LIMITS, recovery=3), 100)
    harness.incidents.group(100, announce)
    (incident,) = harness.incidents.incidents(HERE, EVERY, 10)
    assert (incident.rule, incident.subject, incident.state) == ("camera", f"camera/{CAMERA}", IncidentState.OPEN)
    assert (incident.severity, incident.images, incident.first_image) == ("critical", 2, None)
    assert incident.summary.startswith("dock-7 is dark: brightness 9 where")
    assert harness.camera_healths.faults() == {(FACILITY, CAMERA): ("frozen",)}
    for _ in range(3):
        sees(harness, place.frame())
    harness.camera_healths.follow(replace(LIMITS, recovery=3), 100)
    harness.incidents.group(100, announce)
    (incident,) = harness.incidents.incidents(HERE, EVERY, 10)
    assert (incident.state, incident.resolved_by) == (IncidentState.RESOLVED, "framegate")
    freeze(harness)
    harness.incidents.group(100, announce)
    assert len(harness.incidents.incidents(HERE, frozenset({IncidentState.OPEN}), 10)) == 1


def test_what_began_and_ended_before_anybody_grouped_it_is_over(harness: Harness) -> None:
    freeze(harness)
    harness.camera_healths.lift(FACILITY, CAMERA, "lead")
    freeze(harness)
    assert [check for check in harness.upkeep.check_invariants() if check.violations] == []
    assert harness.incidents.group(100, announce).alerts == 3
    states = sorted(incident.state for incident in harness.incidents.incidents(HERE, EVERY, 10))
    assert states == [IncidentState.OPEN, IncidentState.RESOLVED]
    assert harness.incidents.group(100, announce).alerts == 0


def test_the_end_of_what_a_person_resolved_before_changes_nothing(harness: Harness) -> None:
    freeze(harness)
    harness.incidents.group(100, announce)
    (incident,) = harness.incidents.incidents(HERE, EVERY, 10)
    harness.incidents.resolve(HERE, incident.incident_id, "lead", announce)
    harness.camera_healths.lift(FACILITY, CAMERA, "lead")
    grouped = harness.incidents.group(100, announce)
    assert (grouped.alerts, list(grouped.changes)) == (1, [])
    assert harness.incidents.group(100, announce).alerts == 0
    assert len(harness.incidents.incidents(HERE, EVERY, 10)) == 1


def test_a_person_lifts_it_and_what_is_usual_is_learnt_anew(harness: Harness) -> None:
    freeze(harness)
    assert harness.camera_healths.lift(FACILITY, CAMERA, "lead") == ("frozen",)
    assert at_the_gate(harness) == ()
    health = harness.camera_healths.health(FACILITY, CAMERA)
    assert health is not None
    assert (health.frames, dict(health.faults)) == (0, {})
    assert actions(harness)[-1] == ("lead", "camera.lifted", CAMERA)
    assert harness.camera_healths.lift(FACILITY, CAMERA, "lead") == ()
    assert harness.camera_healths.lift(FACILITY, CameraId("nobody"), "lead") == ()


def test_a_camera_that_a_person_suspends_is_believed_again_only_when_a_person_says_so(harness: Harness) -> None:
    place = Place()
    for _ in range(6):
        sees(harness, place.frame())
    harness.camera_healths.follow(LIMITS, 100)
    assert harness.camera_healths.suspend(FACILITY, CAMERA, "a forklift hit it", "lead")
    assert harness.camera_healths.suspend(FACILITY, CAMERA, "again", "other")
    for _ in range(3 * LIMITS.recovery):
        sees(harness, place.frame())
    harness.camera_healths.follow(LIMITS, 100)
    assert harness.camera_healths.faults() == {(FACILITY, CAMERA): ("suspended",)}
    assert harness.camera_healths.faulty() == dict.fromkeys(FAULTS, 0) | {"suspended": 1}
    assert at_the_gate(harness) == ("suspended",)
    assert actions(harness) == [("lead", "camera.suspended", CAMERA)]
    harness.incidents.group(100, announce)
    (incident,) = harness.incidents.incidents(HERE, EVERY, 10)
    assert incident.subject == f"camera/{CAMERA}"
    assert incident.summary == f"{CAMERA} is suspended: lead says: a forklift hit it"
    assert harness.camera_healths.lift(FACILITY, CAMERA, "lead") == ("suspended",)
    health = harness.camera_healths.health(FACILITY, CAMERA)
    assert health is not None
    assert health.frames == 6, "what was usual is known still"
    assert at_the_gate(harness) == ()
    harness.incidents.group(100, announce)
    (incident,) = harness.incidents.incidents(HERE, EVERY, 10)
    assert incident.state is IncidentState.RESOLVED


def test_a_camera_can_be_suspended_before_it_sent_anything_but_not_one_that_is_not_there(harness: Harness) -> None:
    assert not harness.camera_healths.suspend(FACILITY, CameraId("nobody"), "why", "lead")
    assert harness.camera_healths.health(FACILITY, CameraId("nobody")) is None
    harness.cameras.confirm_camera(FACILITY, CAMERA, "lead")
    assert not harness.camera_healths.suspend(OTHER_FACILITY, CAMERA, "why", "lead")
    assert harness.camera_healths.suspend(FACILITY, CAMERA, "why", "lead")
    assert at_the_gate(harness) == ("suspended",)
    freeze(harness)
    assert harness.camera_healths.lift(FACILITY, CAMERA, "lead") == ("frozen", "suspended")
    assert harness.camera_healths.faults() == {}


def test_images_of_the_bulk_lane_are_of_another_time(harness: Harness) -> None:
    freeze(harness, lane=Lane.BULK)
    assert harness.camera_healths.health(FACILITY, CAMERA) is None
    assert harness.camera_healths.follow(LIMITS, 100).images == 0


def test_images_that_were_refused_or_prepared_by_an_older_release_do_no_harm(harness: Harness) -> None:
    image = accept(harness.intake)
    held = must_claim(harness.progress, Stage.PREPROCESS, image)
    assert complete(harness.progress, held, Refused("truncated", "The picture ends too early."))
    assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image), outcome(None))
    decide(harness.progress, accept(harness.intake))
    assert harness.camera_healths.follow(LIMITS, 100).images == 2
    health = harness.camera_healths.health(FACILITY, CAMERA)
    assert health is not None
    assert (health.frames, health.tiles) == (1, "")


def served(harness: Harness) -> None:
    harness.policies.add_policy(FACILITY, {"schema": 1}, "test")
    serve(harness.registry)


def test_a_frozen_camera_does_not_pass_by_what_was_decided_before(harness: Harness) -> None:
    """It sends the same bytes; an outcome that is copied would never come to the gate."""
    served(harness)
    frame = Place().frame()
    sees(harness, frame, sha256="cd" * 32)
    for _ in range(2):
        assert record(harness, accept(harness.intake, sha256="cd" * 32)).reused_from is not None
    harness.camera_healths.follow(LIMITS, 100)
    assert harness.camera_healths.faults() == {(FACILITY, CAMERA): ("frozen",)}
    assert record(harness, accept(harness.intake, sha256="cd" * 32)).state is ImageState.RECEIVED
    harness.camera_healths.lift(FACILITY, CAMERA, "lead")
    assert record(harness, accept(harness.intake, sha256="cd" * 32)).state is ImageState.DECIDED


def test_what_a_faulty_camera_was_decided_is_not_copied_when_it_is_well(harness: Harness) -> None:
    served(harness)
    doubted = replace(outcome(Verdict.REVIEW), reason="camera-fault")
    decide(harness.progress, accept(harness.intake, sha256="ef" * 32), doubted)
    assert record(harness, accept(harness.intake, sha256="ef" * 32)).state is ImageState.RECEIVED


@pytest.fixture
def quick(harness: Harness) -> Harness:
    """With a camera that sent five frames, and has been watched since."""
    place = Place()
    for _ in range(6):
        sees(harness, place.frame())
    harness.camera_healths.follow(LIMITS, 100)
    return harness


def wait(harness: Harness, seconds: int, limits: HealthLimits = LIMITS) -> list[Fault]:
    """Somebody looks every half minute."""
    found: list[Fault] = []
    for _ in range(seconds // 30):
        harness.advance(30)
        found += [change.fault for change in harness.camera_healths.follow(limits, 100).changes]
    return found


def test_a_camera_that_sends_nothing_any_more_is_silent(quick: Harness) -> None:
    assert wait(quick, 30) == []
    assert wait(quick, 120) == [Fault.SILENT]
    assert quick.camera_healths.faults() == {(FACILITY, CAMERA): ("silent",)}


def test_a_camera_whose_image_waits_for_us_is_not_silent(quick: Harness) -> None:
    quick.advance(1)
    accept(quick.intake)
    assert wait(quick, 300) == []


def test_a_watcher_that_was_away_blames_nobody(quick: Harness) -> None:
    quick.advance(7200)
    assert list(quick.camera_healths.follow(LIMITS, 100).changes) == []
    assert wait(quick, 30) == []
    assert wait(quick, 120) == [Fault.SILENT]
