"""Which policy the gate decides by, and when it asks for a second look."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.gate.stage import GateHandler
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.inspection import Failed, Finding, FirstLook, Outcome
from framegate.kernel.states import Verdict
from framegate.observability.catalogue import SECOND_LOOK_SHARE, SECOND_LOOKS
from framegate.observability.metrics import Metrics
from framegate.ports.progress import Claim, LookAgain, Result
from framegate.ports.store import PolicyVersion
from tests.support.inference import claim
from tests.support.policies import DOCUMENT
from tests.support.values import inspected, prepared


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(FakeClock())


def decided(handler: GateHandler) -> Outcome:
    job: Claim = replace(claim(prepared()), finding=inspected(hole=0.4))
    (result,) = handler.handle([handler.load(job)])
    assert isinstance(result, Outcome)
    return result


def test_a_facility_without_a_policy_gets_the_first_one(store: MemoryStore) -> None:
    outcome = decided(GateHandler(store.policies, DOCUMENT, store.clock))
    assert (outcome.policy_version, outcome.reason) == (1, "uncertain")
    current = store.policies.current_policy(DEFAULT_FACILITY)
    assert current is not None
    assert current.created_by == "framegate"


def test_what_somebody_applies_in_the_same_moment_comes_before_it(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs: Mapping[str, Any] = {**DOCUMENT, "classes": {"hole": {"review": None, "fail": 0.3}}}
    look = store.policies.current_policy
    answers: list[PolicyVersion | None] = [None]
    monkeypatch.setattr(store.policies, "current_policy", lambda f: answers.pop() if answers else look(f))
    store.policies.add_policy(DEFAULT_FACILITY, theirs, "A. Lead")
    outcome = decided(GateHandler(store.policies, DOCUMENT, store.clock))
    assert (outcome.policy_version, outcome.reason) == (1, "damage")
    assert store.policies.policy(DEFAULT_FACILITY, 2) is None


def test_a_new_version_is_followed_within_seconds(store: MemoryStore) -> None:
    handler = GateHandler(store.policies, DOCUMENT, store.clock)
    assert decided(handler).policy_version == 1
    store.policies.add_policy(DEFAULT_FACILITY, {**DOCUMENT, "classes": {}}, "A. Lead")
    store.clock.advance(3)
    assert decided(handler).policy_version == 2


# --- second looks ---------------------------------------------------------------------------------------------------


class Gate:
    """A gate whose facility has second looks by `second_look`."""

    def __init__(self, store: MemoryStore, second_look: Any) -> None:
        self.metrics = Metrics()
        document = DOCUMENT if second_look is None else {**DOCUMENT, "second_look": second_look}
        self.handler = GateHandler(store.policies, document, store.clock, self.metrics)

    def see(self, finding: Finding, first: FirstLook | None = None) -> Result:
        job = replace(claim(prepared()), finding=finding, first=first)
        (result,) = self.handler.handle([self.handler.load(job)])
        return result

    def counted(self, result: str) -> float:
        return self.metrics.value(SECOND_LOOKS, {"result": result})


def test_an_uncertain_image_is_looked_at_again_and_everything_else_decided(store: MemoryStore) -> None:
    gate = Gate(store, {"max_share": 1})
    again = gate.see(inspected(carton=0.9, hole=0.4))
    assert isinstance(again, LookAgain)
    assert again.region.xyxy == (0, 0, 1280, 1080)
    for finding in (inspected(hole=0.7), inspected(carton=0.9), Failed("poison", "It kills.")):
        assert isinstance(gate.see(finding), Outcome)
    assert gate.counted("asked") == 1
    assert gate.metrics.value(SECOND_LOOK_SHARE) == pytest.approx(1 / 4)


@pytest.mark.parametrize("second_look", [None, False])
def test_without_a_word_about_it_there_is_no_second_look(store: MemoryStore, second_look: Any) -> None:
    result = Gate(store, second_look).see(inspected(hole=0.4))
    assert isinstance(result, Outcome)
    assert result.detail == "hole at 0.40 (review from 0.30)"


def test_beyond_its_share_an_uncertain_image_goes_to_people_at_once_and_says_why(store: MemoryStore) -> None:
    gate = Gate(store, {"max_share": 0.1})
    results = [gate.see(inspected(hole=0.4)) for _ in range(29)]
    assert sum(isinstance(result, LookAgain) for result in results) == 3
    last = results[-1]
    assert isinstance(last, Outcome)
    assert (last.verdict, last.reason) == (Verdict.REVIEW, "uncertain")
    assert last.detail == "hole at 0.40 (review from 0.30); no second look: their share of 10% is used up"
    assert gate.counted("budget") == 26


def test_where_a_second_look_would_show_no_more_there_is_none_and_it_costs_nothing(store: MemoryStore) -> None:
    gate = Gate(store, {"max_share": 0.1})
    small = replace(prepared(), letterbox=Letterbox.fit(300, 200, 640, 640))
    job = replace(claim(small), finding=inspected(hole=0.4))
    (result,) = gate.handler.handle([gate.handler.load(job)])
    assert isinstance(result, Outcome)
    assert result.detail == "hole at 0.40 (review from 0.30); a second look would not show more of it"
    assert gate.counted("no-gain") == 1
    assert isinstance(gate.see(inspected(hole=0.4)), LookAgain)


@pytest.mark.parametrize(
    ("finding", "told", "verdict"),
    [
        (inspected(), "pass", Verdict.PASS),
        (inspected(hole=0.7), "fail", Verdict.FAIL),
        (inspected(hole=0.4), "uncertain", Verdict.REVIEW),
        (inspected(dent=0.4), "disagree", Verdict.REVIEW),
        (Failed("poison", "It kills."), "failed", Verdict.REVIEW),
    ],
)
def test_the_second_look_decides_and_there_is_no_third(
    store: MemoryStore, finding: Finding, told: str, verdict: Verdict
) -> None:
    gate = Gate(store, {"max_share": 1, "clear_below": 0.05})
    doubt = inspected(hole=0.4)
    again = gate.see(doubt)
    assert isinstance(again, LookAgain)
    result = gate.see(finding, FirstLook(doubt, prepared(), again.region))
    assert isinstance(result, Outcome)
    assert (result.verdict, len(result.looks)) == (verdict, 2)
    assert gate.counted(told) == 1
