"""What people order, in terms of rollouts."""

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.rollout import ModelKey, Rollout
from framegate.ports.registry import Registry
from framegate.worker.deploying import before, parse_share, planned
from tests.contracts.examples import approved

ONE, TWO, THREE = (ModelKey(f"carton@{n}", f"{n}{n}" * 32) for n in (1, 2, 3))


@pytest.fixture
def registry() -> Registry:
    made = MemoryStore(FakeClock()).registry
    for key in (ONE, TWO, THREE):
        approved(made, key)
    return made


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), ("1", 1.0)])
def test_a_share_is_a_percentage_or_a_fraction(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0", "0%", "5", "101%", "-5%", "five", "", "%", "nan"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"5% or 0\.05"):
        parse_share(text)


def test_a_deployment_takes_the_place_of_everything(registry: Registry) -> None:
    registry.order(Rollout(ONE, TWO, 0.1, THREE), "lead")
    assert planned(registry, TWO.ref, canary=None, shadow=False) == Rollout(TWO)


def test_a_canary_keeps_the_incumbent_and_the_shadow(registry: Registry) -> None:
    registry.order(Rollout(ONE, shadow=THREE), "lead")
    assert planned(registry, TWO.ref, canary=0.05, shadow=False) == Rollout(ONE, TWO, 0.05, THREE)
    assert planned(registry, THREE.ref, canary=0.05, shadow=False) == Rollout(ONE, THREE, 0.05)


def test_a_shadow_keeps_the_incumbent_and_the_canary(registry: Registry) -> None:
    registry.order(Rollout(ONE, TWO, 0.2), "lead")
    assert planned(registry, THREE.ref, canary=None, shadow=True) == Rollout(ONE, TWO, 0.2, THREE)
    assert planned(registry, TWO.ref, canary=None, shadow=True) == Rollout(ONE, shadow=TWO)


def test_what_makes_no_sense_is_refused_with_a_reason(registry: Registry) -> None:
    with pytest.raises(ModelRefused, match="nothing serves"):
        planned(registry, TWO.ref, canary=0.05, shadow=False)
    registry.order(Rollout(ONE), "lead")
    with pytest.raises(ModelRefused, match="a canary or a shadow"):
        planned(registry, TWO.ref, canary=0.05, shadow=True)
    with pytest.raises(ModelRefused, match="compared with itself"):
        planned(registry, ONE.ref, canary=0.05, shadow=False)
    with pytest.raises(ModelRefused, match="there is no model nobody@1"):
        planned(registry, "nobody@1", canary=None, shadow=False)


def test_going_back_takes_the_canary_away_first_and_then_the_model(registry: Registry) -> None:
    with pytest.raises(ModelRefused, match="nothing serves"):
        before(registry)
    registry.order(Rollout(ONE), "lead")
    with pytest.raises(ModelRefused, match="first model that served"):
        before(registry)
    registry.order(Rollout(TWO), "lead")
    registry.order(Rollout(TWO, THREE, 0.5), "lead")
    assert before(registry) == Rollout(TWO)
    registry.order(before(registry), "lead")
    assert before(registry) == Rollout(ONE)
