"""Cameras that cannot be believed are found, and those that can are left in peace."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framegate.kernel.camera_faults import alert_about, awake_since, fall_silent, lifted, observe, silent_at
from framegate.kernel.camera_health import CameraHealth, Fault, FaultChange, HealthLimits, Observation
from framegate.kernel.inspection import Prepared, Scene
from tests.support.cameras import CAMERA, FACILITY, START, Place, Watched, blocked, dark, dirty, prepared, turned

LIMITS = HealthLimits()
HERE = FACILITY, CAMERA
BAD: dict[Fault, Callable[[Place], Prepared]] = {
    Fault.DARK: dark,
    Fault.BLOCKED: blocked,
    Fault.DIRTY: dirty,
    Fault.MOVED: lambda place: turned(place.frame()),
}
#: Frames until it is certain; the layout of late must first have turned as well.
WITHIN = {Fault.DARK: 5, Fault.BLOCKED: 5, Fault.DIRTY: 30, Fault.MOVED: 40}


def warm(place: Place, frames: int = 200, **options: float) -> Watched:
    watched = Watched(**options)
    assert watched.sees(*(place.frame() for _ in range(frames))) == []
    return watched


def frames_until(watched: Watched, make: Callable[[], Prepared], limit: int) -> tuple[int, list[FaultChange]]:
    for n in range(1, limit + 1):
        if changes := watched.sees(make()):
            return n, changes
    return limit, []


@pytest.mark.parametrize("goods", [0.0, 0.5, 1.0])
def test_a_healthy_camera_with_noise_and_goods_raises_nothing(goods: float) -> None:
    """In 600,000 frames of 60 streams of six kinds there was no false alarm (docs/decisions/0010)."""
    watched, place = Watched(), Place(7, goods=goods)
    assert watched.sees(*(place.frame() for _ in range(1500))) == []
    assert watched.health.frames > 1490


@given(seed=st.integers(0, 2**32 - 1), every_s=st.floats(0.05, 3600))
@settings(max_examples=10)
def test_no_healthy_camera_is_accused_at_whatever_pace(seed: int, every_s: float) -> None:
    assert warm(Place(seed), 150, every_s=every_s).faults == set()


@pytest.mark.parametrize("fault", list(BAD))
def test_each_fault_is_found_is_told_with_its_numbers_and_is_over_after_good_frames(fault: Fault) -> None:
    place = Place(3)
    watched = warm(place)
    frames, changes = frames_until(watched, lambda: BAD[fault](place), WITHIN[fault])
    assert [(c.fault, c.began, c.well) for c in changes] == [(fault, True, False)], frames
    assert "where" in changes[0].detail
    assert "±" in changes[0].detail
    assert "frames" in changes[0].detail
    assert watched.sees(*(BAD[fault](place) for _ in range(100))) == []
    # The layout of late needs a while to turn back, everything else exactly the frames of the limit.
    most = 60 if fault is Fault.MOVED else LIMITS.recovery
    frames, changes = frames_until(watched, place.frame, most)
    assert [(c.fault, c.began, c.well) for c in changes] == [(fault, False, True)]
    assert frames >= LIMITS.recovery
    assert watched.faults == set()
    assert watched.sees(*(place.frame() for _ in range(100))) == []


@given(seed=st.integers(0, 2**32 - 1), goods=st.floats(0, 1), fault=st.sampled_from(list(BAD)))
@settings(max_examples=20)
def test_every_camera_is_found_faulty_in_time_and_well_again(seed: int, goods: float, fault: Fault) -> None:
    place = Place(seed, goods=goods)
    watched = warm(place, 150)
    watched.sees(*(BAD[fault](place) for _ in range(WITHIN[fault])))
    assert watched.faults == {fault}
    watched.sees(*(place.frame() for _ in range(80)))
    assert watched.faults == set()


@pytest.mark.parametrize("fault", list(BAD))
def test_what_is_usual_is_not_learnt_from_a_faulty_camera(fault: Fault) -> None:
    place = Place(4)
    watched = warm(place)
    frames_until(watched, lambda: BAD[fault](place), WITHIN[fault])
    before = watched.health.to_json()
    watched.sees(*(BAD[fault](place) for _ in range(500)))
    after = watched.health.to_json()
    usual = ("frames", "sharpness", "exposure", "contrast", "distance", "layout")
    assert {name: after[name] for name in usual} == {name: before[name] for name in usual}
    assert watched.faults == {fault}


@pytest.mark.parametrize("fault", list(BAD))
def test_a_few_bad_frames_are_no_fault(fault: Fault) -> None:
    place = Place(5)
    watched = warm(place)
    for _ in range(30):
        assert watched.sees(*(BAD[fault](place) for _ in range(4))) == []
        assert watched.sees(*(place.frame() for _ in range(20))) == []


def test_good_frames_between_bad_ones_do_not_end_a_fault() -> None:
    place = Place(6)
    watched = warm(place)
    watched.sees(*(dark(place) for _ in range(5)))
    for _ in range(10):
        assert watched.sees(*(place.frame() for _ in range(LIMITS.recovery - 1)), dark(place)) == []
    assert watched.faults == {Fault.DARK}


def test_the_very_same_picture_again_and_again_is_a_frozen_camera() -> None:
    place, watched = Place(1), Watched(every_s=5)
    same = place.frame()
    frames, changes = frames_until(watched, lambda: same, 50)
    assert frames == 10
    assert [(c.fault, c.detail) for c in changes] == [(Fault.FROZEN, "the very same picture 10 times in 45 s")]
    assert watched.sees(*[same] * 50) == []
    frames, changes = frames_until(watched, place.frame, 50)
    assert (frames, [(c.fault, c.began) for c in changes]) == (10, [(Fault.FROZEN, False)])


def test_a_burst_of_the_same_picture_is_frozen_only_after_the_time_too() -> None:
    watched = Watched(every_s=0.5)
    same = Place(1).frame()
    frames, changes = frames_until(watched, lambda: same, 100)
    assert frames == 61
    assert "61 times in 30 s" in changes[0].detail


@pytest.mark.parametrize(("tiles", "found"), [(56, True), (55, False)])
def test_a_clock_in_the_picture_does_not_hide_that_it_is_frozen(tiles: int, found: bool) -> None:
    frame, ticks = Place(1).frame(), count()

    def with_clock() -> Prepared:
        assert frame.scene is not None
        clock = bytes((value + 1 + next(ticks)) % 256 for value in frame.scene.tiles[tiles:])
        return replace(frame, scene=Scene(frame.scene.tiles[:tiles] + clock, frame.scene.layout))

    assert bool(frames_until(Watched(), with_clock, 50)[1]) is found


def test_a_place_where_nothing_happens_is_not_frozen() -> None:
    place = Place(1, goods=0.0)
    same_layout = place.frame().scene
    assert same_layout is not None
    frames = (
        replace(f, scene=Scene(f.scene.tiles, same_layout.layout))
        for f in (place.frame() for _ in range(200))
        if f.scene
    )
    assert Watched().sees(*frames) == []


def test_blank_pictures_are_not_called_frozen_though_they_are_the_same() -> None:
    place = Place(2)
    watched = warm(place)
    black = replace(place.frame(exposure=2.0, contrast=0.5, sharpness=0.0), scene=Scene(bytes(64), bytes(64)))
    watched.sees(*[black] * 100)
    assert watched.faults == {Fault.DARK}


def test_a_camera_has_several_faults_and_is_well_only_after_the_last() -> None:
    place = Place(8)
    watched = warm(place)
    watched.sees(*(turned(place.frame()) for _ in range(40)))
    watched.sees(*(dark(place) for _ in range(10)))
    assert watched.faults == {Fault.MOVED, Fault.DARK}
    assert watched.sees(*(dark(place) for _ in range(50))) == []  # in the dark nobody sees where it looks
    changes = watched.sees(*(turned(place.frame()) for _ in range(10)))
    assert [(c.fault, c.began, c.well) for c in changes] == [(Fault.DARK, False, False)]
    changes = watched.sees(*(place.frame() for _ in range(60)))
    assert [(c.fault, c.began, c.well) for c in changes] == [(Fault.MOVED, False, True)]


def test_a_lens_that_gets_dirty_over_weeks_does_not_become_its_own_measure() -> None:
    place = Place(9)
    watched = warm(place)
    changes: list[FaultChange] = []
    for n in range(9000):
        changes += watched.sees(place.frame(sharpness=140 * 0.9998**n))
    assert [(c.fault, c.began) for c in changes] == [(Fault.DIRTY, True)]


def test_nothing_is_compared_before_enough_is_known() -> None:
    place, watched = Place(1), Watched()
    assert watched.sees(*(place.frame() for _ in range(40)), *(dark(place) for _ in range(LIMITS.warm_up - 41))) == []


def test_images_that_could_not_be_decoded_say_only_that_the_camera_is_there() -> None:
    place = Place(1)
    watched = warm(place)
    before = watched.health.to_json()
    assert watched.sees(*[None] * 50) == []
    after = watched.health.to_json()
    assert after["last_at"] != before["last_at"]
    assert {n: v for n, v in after.items() if n not in ("last_at", "interval", "pause_s")} == {
        n: v for n, v in before.items() if n not in ("last_at", "interval", "pause_s")
    }


def test_frames_of_an_older_release_are_judged_by_their_measures_alone() -> None:
    place, watched = Place(1), Watched()
    assert watched.sees(*(prepared(place.frame().quality, None) for _ in range(200))) == []
    (change,) = watched.sees(*(prepared(dark(place).quality, None) for _ in range(5)))
    assert change.fault is Fault.DARK


def test_images_may_come_in_any_order() -> None:
    place = Place(2)
    watched = warm(place)
    last = watched.health.last_at
    late = Observation(FACILITY, CAMERA, START, place.frame())
    assert observe(watched.health, late, LIMITS) == []
    assert watched.health.last_at == last


def test_a_camera_is_silent_after_many_of_its_usual_intervals() -> None:
    watched = warm(Place(1), every_s=60)
    last = watched.health.last_at
    assert last is not None
    due = silent_at(watched.health, LIMITS)
    assert due == last + timedelta(seconds=20 * 60)
    assert fall_silent(watched.health, HERE, due - timedelta(seconds=1), START, LIMITS) == []
    (change,) = fall_silent(watched.health, HERE, due, START, LIMITS)
    assert (change.fault, change.detail) == (Fault.SILENT, "no image for 20 min, where one every 60 s is usual")
    assert silent_at(watched.health, LIMITS) is None
    assert fall_silent(watched.health, HERE, due + timedelta(days=1), START, LIMITS) == []


def test_a_silent_camera_is_well_again_after_good_frames() -> None:
    place = Place(1)
    watched = warm(place)
    watched.at += timedelta(days=1)
    assert fall_silent(watched.health, HERE, watched.at, START, LIMITS)
    frames, changes = frames_until(watched, place.frame, 50)
    assert (frames, [(c.fault, c.began, c.well) for c in changes]) == (10, [(Fault.SILENT, False, True)])


def test_a_night_that_was_silent_once_is_usual_from_then_on() -> None:
    place = Place(1)
    watched = warm(place)
    for _ in range(5):
        watched.at += timedelta(hours=12)
        watched.sees(*(place.frame() for _ in range(20)))
    night = watched.at + timedelta(hours=12)
    assert fall_silent(watched.health, HERE, night, START, LIMITS) == []
    assert fall_silent(watched.health, HERE, night + timedelta(hours=16), START, LIMITS)


def test_no_camera_is_to_blame_for_our_own_absence() -> None:
    watched = warm(Place(1))
    back = watched.at + timedelta(days=2)
    assert awake_since(START, watched.at, watched.at + timedelta(seconds=60)) == START
    assert awake_since(START, watched.at, back) == back
    assert fall_silent(watched.health, HERE, back, back, LIMITS) == []
    assert fall_silent(watched.health, HERE, back + timedelta(hours=1), back, LIMITS)


def test_who_lifts_says_that_it_is_well_as_it_is() -> None:
    place = Place(1)
    watched = warm(place)
    watched.sees(*(turned(place.frame()) for _ in range(40)))
    watched.health, alert = lifted(watched.health, HERE, "lead")
    assert alert is not None
    assert (alert.over, alert.subject, alert.summary) == (
        True,
        "camera/dock-7",
        "lead says that dock-7 is well (moved)",
    )
    assert watched.sees(*(turned(place.frame()) for _ in range(300))) == []
    assert lifted(watched.health, HERE, "lead")[1] is None


def test_the_incident_begins_with_the_first_fault_and_ends_with_the_last() -> None:
    began = FaultChange(FACILITY, CAMERA, Fault.DARK, True, "brightness 9 where 120 ± 4 is usual, for 5 frames", False)
    alert = alert_about(began)
    assert alert is not None
    assert (alert.rule, alert.severity, alert.subject, alert.over) == ("camera", "critical", "camera/dock-7", False)
    assert alert.summary == "dock-7 is dark: brightness 9 where 120 ± 4 is usual, for 5 frames"
    mild = alert_about(replace(began, fault=Fault.DIRTY))
    assert mild is not None
    assert mild.severity == "warning"
    ended = replace(began, began=False, detail="over")
    assert alert_about(ended) is None
    over = alert_about(replace(ended, well=True))
    assert over is not None
    assert over.over


def test_health_survives_being_stored() -> None:
    place = Place(1)
    watched = warm(place)
    watched.sees(*(dark(place) for _ in range(10)))
    raw = json.loads(json.dumps(watched.health.to_json()))
    again = CameraHealth.from_json({**raw, "of_a_newer_release": 1})
    assert again.to_json() == watched.health.to_json()
    assert again.faults == watched.health.faults
    assert len(json.dumps(raw)) < 3000
