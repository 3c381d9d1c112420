"""Which policy the gate decides by."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.gate.stage import GateHandler
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.inspection import Outcome
from framegate.ports.progress import Claim
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
