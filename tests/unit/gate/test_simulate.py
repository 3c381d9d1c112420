"""Images that were decided, decided again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.gate.decide import decide
from framegate.gate.policy import Policy
from framegate.gate.simulate import Case, Incidents, Simulation, case_of, ended_since
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, ImageId
from framegate.kernel.inspection import Alert, Failed, Finding, Label, Refused
from framegate.kernel.states import Verdict
from framegate.ports.store import ImageRecord, NewImage
from tests.contracts.examples import CAMERA, accept
from tests.support.policies import DOCUMENT, Inspector
from tests.support.values import inspected

CURRENT = Policy.parse(1, DOCUMENT)


class Box:
    """A store whose images were decided by a real gate."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.inspector = Inspector(self.store.intake, self.store.progress)
        self.store.cameras.confirm_camera(DEFAULT_FACILITY, CAMERA, "lead")

    def inspect(
        self, finding: Finding, *flags: str, policy: Policy = CURRENT, second: Finding | None = None, **image: Any
    ) -> NewImage:
        self.clock.advance(1)
        now_s = self.clock.now().timestamp()
        return self.inspector.inspect(policy, finding, *flags, now_s=now_s, second=second, **image)

    def records(self, since: timedelta = timedelta(days=7), limit: int = 10_000) -> list[ImageRecord]:
        return list(ended_since(self.store.results, DEFAULT_FACILITY, self.clock.now() - since, limit))

    def simulate(self, **change: Any) -> Simulation:
        simulation = Simulation(Policy.parse(2, {**DOCUMENT, **change}), CURRENT)
        for record in self.records():
            simulation.add(record)
        return simulation


LOOKS = {"second_look": {"max_share": 1, "clear_below": 0.1}}


@pytest.fixture
def box() -> Box:
    return Box()


def test_under_the_same_policy_every_image_ends_as_it_did(box: Box) -> None:
    for finding in (inspected(carton=0.9), inspected(hole=0.3), inspected(hole=0.6), inspected()):
        box.inspect(finding)
    box.inspect(inspected(carton=0.9), "blurred")
    box.inspect(inspected(carton=0.9), camera=CameraId("stranger"))
    box.inspect(Refused("truncated", "it ends early"))
    box.inspect(Failed("poison", "it kills"))
    simulation = box.simulate()
    assert simulation.flips == {}
    assert simulation.replayed == 8
    assert (
        simulation.decided
        == simulation.candidate.ends
        == {"pass": 2, "review": 3, "fail": 1, "rejected": 1, "failed": 1}
    )
    assert simulation.confirmed == (2, 5)
    assert simulation.candidate.alerts == {"damage": 1, "operations": 1}


def test_what_was_for_people_because_of_its_camera_stays_so_unless_the_candidate_ignores_that(box: Box) -> None:
    image = box.inspect(inspected(carton=0.9))
    box.inspect(inspected(carton=0.9))
    newer, older = box.records()
    doubted = replace(older, verdict=Verdict.REVIEW, reason="camera-fault", detail="its camera has a fault: moved")
    assert doubted.facts.image_id == image.image_id
    assert newer.verdict is Verdict.PASS
    found, counted = {}, {}
    for what in ("review", "ignore"):
        simulation = Simulation(Policy.parse(2, {**DOCUMENT, "camera_faults": {"moved": what}}), CURRENT)
        simulation.add(doubted)
        found[what] = dict(simulation.flips)
        counted[what] = simulation.confirmed
    assert found == {"review": {}, "ignore": {("review", "pass"): 1}}
    # What no policy could have passed says nothing about this one.
    assert counted == {"review": (0, 0), "ignore": (0, 1)}


def test_flips_are_counted_with_examples(box: Box) -> None:
    doubtful = [box.inspect(inspected(hole=0.4)) for _ in range(5)]
    box.inspect(inspected(hole=0.7))
    simulation = box.simulate(classes={"hole": {"review": 0.5, "fail": None}})
    assert simulation.flips == {("review", "pass"): 5, ("fail", "review"): 1}
    newest = [image.image_id for image in reversed(doubtful)]
    assert simulation.examples["review", "pass"] == newest[:3]


def test_the_policy_that_holds_is_tried_as_well_where_older_ones_decided(box: Box) -> None:
    box.inspect(inspected(hole=0.4), policy=Policy.parse(1, {**DOCUMENT, "classes": {}}))
    older = Policy.parse(1, {**DOCUMENT, "otherwise": {"review": None, "fail": None}, "classes": {}})
    box.inspect(inspected(hole=0.4), policy=older)
    simulation = box.simulate(classes={"hole": {"review": None, "fail": 0.4}})
    assert simulation.decided == {"review": 1, "pass": 1}
    assert simulation.current is not None
    assert simulation.current.ends == {"review": 2}
    assert simulation.candidate.ends == {"fail": 2}


def test_new_alerts_are_foreseen_with_their_groups(box: Box) -> None:
    for pallet in ("P-1", "P-1", "P-2"):
        box.inspect(inspected(hole=0.7), metadata={"pallet": pallet})
    simulation = box.simulate(alerts={"damage": {"when": ["fail"], "group_by": ["metadata.pallet"]}})
    assert simulation.current is not None
    assert (simulation.current.alerts, simulation.candidate.alerts) == ({"damage": 3}, {"damage": 3})
    assert (simulation.current.incidents.count, simulation.candidate.incidents.count) == (1, 2)


def test_a_copy_of_an_earlier_outcome_raises_no_alert(box: Box) -> None:
    box.inspect(inspected(hole=0.7))
    copied = [replace(record, reused_from=record.facts.image_id) for record in box.records()]
    simulation = Simulation(CURRENT, None)
    simulation.add(copied[0])
    assert (simulation.candidate.ends, simulation.candidate.alerts) == ({"fail": 1}, {})


def test_a_pause_longer_than_the_window_begins_another_incident() -> None:
    incidents, now = Incidents(), datetime(2026, 1, 2, tzinfo=UTC)
    alert = Alert("damage", "critical", "camera/dock-1", "One sentence.", window_s=600)
    for minutes in (0, 10, 21, 25):
        incidents.add(alert, now - timedelta(minutes=minutes))
    incidents.add(replace(alert, subject="camera/dock-2"), now - timedelta(minutes=25))
    assert incidents.count == 3


def test_what_a_chain_left_unanswered_stays_unanswered(box: Box) -> None:
    chain = [{"model": "wear@1"}, {"model": "scene@1"}]
    policy = Policy.parse(1, {**DOCUMENT, "chain": chain})
    found = replace(inspected(carton=0.9), chained=("scene@1",), labels=(Label(None, "scene@1", "dock", 0.9),))
    box.inspect(found, policy=policy)
    simulation = box.simulate(chain=chain)
    assert (simulation.flips, simulation.candidate.unseen) == ({}, 0)
    simulation = box.simulate(chain=[{"model": "scene@1"}])
    assert simulation.flips == {("review", "pass"): 1}


def test_a_classifier_that_never_saw_the_image_counts_as_having_answered_and_is_counted(box: Box) -> None:
    box.inspect(inspected(carton=0.9))
    simulation = box.simulate(chain=[{"model": "wear@1"}])
    assert (simulation.flips, simulation.candidate.unseen) == ({}, 1)


def test_what_cannot_be_decided_again_is_left_out_with_the_reason(box: Box) -> None:
    box.inspect(inspected(carton=0.9))
    [record] = box.records()
    simulation = Simulation(CURRENT, None)
    for change in ({"prepared": None}, {"prepared": {"quality": {}}}, {"model": None}):
        simulation.add(replace(record, **change))
    assert simulation.replayed == 0
    assert simulation.left_out == {
        "no measures of its quality are stored": 2,
        "what found its detections is not stored": 1,
    }


def test_an_image_on_its_way_is_left_out(box: Box) -> None:
    image = box.inspect(inspected(carton=0.9))
    accept(box.store.intake, facility=DEFAULT_FACILITY, image_id=ImageId(UUID(int=image.image_id.int + 1)))
    assert box.simulate().left_out == {"still on its way": 1}


def test_confidences_are_compared_as_the_gate_compared_them(box: Box) -> None:
    """0.3 as float32 lies above 0.3: the gate sent it to people."""
    box.inspect(inspected(hole=0.3))
    [record] = box.records()
    case = case_of(record)
    assert isinstance(case, Case)
    assert case.under(CURRENT).detail == record.detail
    again = decide(CURRENT, record.facts, case.prepared, case.finding)
    assert (again.verdict, again.detail) == (record.verdict, record.detail)


def test_only_images_of_the_time_asked_for_are_read_and_at_most_so_many(box: Box) -> None:
    old = box.inspect(inspected(carton=0.9))
    box.clock.advance(3 * 86_400)
    new = [box.inspect(inspected(carton=0.9)) for _ in range(4)]
    assert [r.facts.image_id for r in box.records(timedelta(days=1))] == [one.image_id for one in reversed(new)]
    assert [r.facts.image_id for r in box.records(timedelta(days=1), 2)] == [new[3].image_id, new[2].image_id]
    assert box.records()[-1].facts.image_id == old.image_id


def test_rates_are_those_of_the_time_that_the_images_cover(box: Box) -> None:
    box.inspect(inspected(hole=0.4))
    box.clock.advance(4 * 3600)
    simulation = box.simulate()
    assert simulation.hours(box.clock.now()) == pytest.approx(4)
    told = simulation.to_json(box.clock.now())
    assert told["reviews_per_hour"] == told["candidate"]["reviews_per_hour"] == 0.25
    assert Simulation(CURRENT, None).hours(box.clock.now()) == 1


SECOND_LOOKS: list[Finding] = [
    inspected(),
    inspected(hole=0.7),
    inspected(hole=0.4),
    inspected(hole=0.15),
    inspected(dent=0.4),
    Failed("poison", "It kills."),
]


@pytest.mark.parametrize("second", SECOND_LOOKS)
def test_an_image_that_was_looked_at_twice_ends_as_it_did_under_the_same_policy(box: Box, second: Finding) -> None:
    policy = Policy.parse(1, {**DOCUMENT, **LOOKS})
    box.inspect(inspected(carton=0.9, hole=0.4), second=second, policy=policy)
    simulation = box.simulate(**LOOKS)
    assert simulation.flips == {}
    assert (simulation.replayed, simulation.twice, simulation.candidate.doubts) == (1, 1, 0)


def test_both_looks_are_judged_again_by_other_thresholds(box: Box) -> None:
    policy = Policy.parse(1, {**DOCUMENT, **LOOKS})
    box.inspect(inspected(carton=0.9, hole=0.4), second=inspected(), policy=policy)
    box.inspect(inspected(carton=0.9, hole=0.4), second=inspected(hole=0.5), policy=policy)
    first = box.simulate(**LOOKS, classes={"hole": {"review": 0.2, "fail": 0.4}})
    assert first.flips == {("pass", "fail"): 1, ("review", "fail"): 1}
    second = box.simulate(**LOOKS, classes={"hole": {"review": 0.2, "fail": 0.5}})
    assert second.flips == {("review", "fail"): 1}
    assert box.simulate().flips == {("pass", "review"): 1}, "without it nothing is cleared"


def test_no_second_look_is_taken_and_that_is_counted(box: Box) -> None:
    box.inspect(inspected(carton=0.9, hole=0.4))
    box.inspect(inspected(carton=0.9))
    simulation = box.simulate(**LOOKS)
    assert simulation.flips == {}
    told = simulation.to_json(box.clock.now())
    assert (told["second_looks"], told["candidate"]["second_looks_not_taken"]) == (0, 1)
    assert told["current"]["second_looks_not_taken"] == 0
