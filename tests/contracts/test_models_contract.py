"""The model registry: who vouches for a model, and when a deployment takes over."""

from dataclasses import replace

import pytest

from framegate.kernel.errors import ModelRefused
from framegate.kernel.inspection import Look
from framegate.kernel.rollout import ModelKey, ModelState, Rollout
from framegate.kernel.states import Stage, Verdict
from framegate.ports.registry import DeploymentState, ShadowResult

from .examples import (
    FACILITY,
    MODEL,
    MODEL_SHA,
    accept,
    advance_to,
    approved,
    complete,
    decide,
    inspected,
    must_claim,
    new_model,
    outcome,
)
from .harness import Harness

OTHER = ModelKey("starter@2", "cd" * 32)
FIRST = ModelKey(MODEL, MODEL_SHA)


def test_a_registered_model_is_found_with_everything_it_came_with(harness: Harness) -> None:
    new = new_model(FIRST)
    registered = harness.registry.register(new, "someone")
    assert registered == harness.registry.model(MODEL)
    assert (registered.key, registered.state, registered.registered_by) == (FIRST, ModelState.REGISTERED, "someone")
    assert (registered.manifest, registered.blob_key, registered.size_bytes) == (
        new.manifest,
        new.blob_key,
        new.size_bytes,
    )
    assert harness.registry.model("nobody@1") is None


def test_registering_the_same_model_again_changes_nothing_even_after_a_check_amended_it(harness: Harness) -> None:
    harness.registry.register(new_model(FIRST), "someone")
    checked = harness.registry.advance(MODEL, ModelState.VALIDATED, "someone", {"boxes": 7}, manifest="amended")
    assert checked.manifest == "amended"
    assert harness.registry.register(new_model(FIRST), "another") == checked


@pytest.mark.parametrize("change", [{"sha256": "ef" * 32}, {"manifest": "schema = 2"}])
def test_a_ref_stands_for_one_model_for_ever(harness: Harness, change: dict[str, str]) -> None:
    harness.registry.register(new_model(FIRST), "someone")
    with pytest.raises(ModelRefused, match="new version"):
        harness.registry.register(replace(new_model(FIRST), **change), "someone")


def test_models_are_listed_by_name_the_newest_version_first(harness: Harness) -> None:
    for ref in ("b@1", "a@9", "a@10"):
        harness.registry.register(new_model(ModelKey(ref, "ab" * 32)), "someone")
    assert [model.ref for model in harness.registry.models()] == ["a@10", "a@9", "b@1"]


def test_a_model_cannot_be_approved_unchecked_nor_deployed_unapproved(harness: Harness) -> None:
    harness.registry.register(new_model(FIRST), "someone")
    with pytest.raises(ModelRefused, match="models check"):
        harness.registry.advance(MODEL, ModelState.APPROVED, "lead", {})
    harness.registry.advance(MODEL, ModelState.VALIDATED, "someone", {})
    with pytest.raises(ModelRefused, match="models approve"):
        harness.registry.order(Rollout(FIRST), "lead")
    assert harness.registry.deployment() is None


def test_every_step_is_an_event_with_who_and_what(harness: Harness) -> None:
    approved(harness.registry, FIRST)
    harness.registry.order(Rollout(FIRST), "lead", "better on tape")
    events = harness.registry.events(MODEL)
    assert [(e.action, e.actor) for e in events] == [
        ("model.registered", "test"),
        ("model.validated", "test"),
        ("model.approved", "test"),
        ("model.ordered.incumbent", "lead"),
        ("model.serving.incumbent", "lead"),
    ]
    assert events[3].body["detail"] == "better on tape"
    assert harness.registry.events("nobody@1") == []


def test_what_nobody_registered_is_refused_with_the_remedy(harness: Harness) -> None:
    for attempt in (
        lambda: harness.registry.advance("nobody@1", ModelState.VALIDATED, "someone", {}),
        lambda: harness.registry.order(Rollout(ModelKey("nobody@1", "ab" * 32)), "someone"),
    ):
        with pytest.raises(ModelRefused, match="there is no model nobody@1"):
            attempt()


def test_a_deployment_names_the_weights_it_means(harness: Harness) -> None:
    approved(harness.registry, FIRST)
    with pytest.raises(ModelRefused, match="other weights"):
        harness.registry.order(Rollout(ModelKey(MODEL, "ef" * 32)), "lead")


def test_the_first_deployment_serves_at_once(harness: Harness) -> None:
    harness.workers.report("inference-0", [Stage.INFERENCE], False, "starting", None)
    approved(harness.registry, FIRST)
    ordered = harness.registry.order(Rollout(FIRST), "lead")
    assert ordered.state is DeploymentState.ACTIVE
    assert ordered.activated_at is not None
    assert harness.registry.active() == ordered == harness.registry.deployment()
    assert harness.registry.model(MODEL).state is ModelState.DEPLOYED  # type: ignore[union-attr]


def replacing(harness: Harness, *workers: str, **roles: object) -> int:
    """FIRST serves, `workers` live, and a deployment of OTHER has been ordered: its number."""
    approved(harness.registry, FIRST)
    approved(harness.registry, OTHER)
    harness.registry.order(Rollout(FIRST), "lead")
    for worker in workers:
        harness.workers.report(worker, [Stage.INFERENCE], True, "", None)
    rollout = Rollout(**(roles or {"incumbent": OTHER}))  # type: ignore[arg-type]
    return harness.registry.order(rollout, "lead").number


def test_a_deployment_waits_until_every_living_worker_has_loaded_it(harness: Harness) -> None:
    number = replacing(harness, "one", "two")
    harness.workers.report("gate", [Stage.GATE], True, "", None)
    assert harness.registry.settle(number).state is DeploymentState.PENDING
    harness.registry.report_load(number, "one", "")
    assert harness.registry.settle(number).state is DeploymentState.PENDING
    assert harness.registry.active().rollout.incumbent == FIRST  # type: ignore[union-attr]
    harness.registry.report_load(number, "two", "")
    assert harness.registry.settle(number).state is DeploymentState.ACTIVE
    assert harness.registry.active().rollout.incumbent == OTHER  # type: ignore[union-attr]


def test_a_worker_that_died_is_not_waited_for(harness: Harness) -> None:
    number = replacing(harness, "dead", "alive")
    harness.advance(16)
    harness.workers.report("alive", [Stage.INFERENCE], True, "", None)
    harness.registry.report_load(number, "alive", "")
    assert harness.registry.settle(number).state is DeploymentState.ACTIVE


def test_a_model_that_one_worker_cannot_load_never_serves_and_the_old_one_goes_on(harness: Harness) -> None:
    number = replacing(harness, "one", "two")
    harness.registry.report_load(number, "one", "")
    harness.registry.report_load(number, "two", "out of memory")
    failed = harness.registry.settle(number)
    assert (failed.state, failed.detail) == (DeploymentState.FAILED, "two: out of memory")
    assert harness.registry.active().rollout.incumbent == FIRST  # type: ignore[union-attr]
    assert harness.registry.model(OTHER.ref).state is ModelState.APPROVED  # type: ignore[union-attr]
    assert harness.registry.events(OTHER.ref)[-1].action == "model.not-loaded"


def test_settling_again_changes_nothing(harness: Harness) -> None:
    number = replacing(harness, "one")
    harness.registry.report_load(number, "one", "")
    active = harness.registry.settle(number)
    harness.registry.report_load(number, "one", "too late")
    assert harness.registry.settle(number) == active


def test_an_active_deployment_is_awaited_until_every_living_worker_serves_it(harness: Harness) -> None:
    number = replacing(harness, "one", "two", "dead")
    for worker in ("one", "two", "dead"):
        harness.registry.report_load(number, worker, "")
    assert harness.registry.settle(number).state is DeploymentState.ACTIVE
    harness.workers.report("gate", [Stage.GATE], True, "", None)
    harness.registry.report_serving(number, "one")
    assert harness.registry.awaited(number) == {"two", "dead"}
    harness.advance(16)
    harness.workers.report("two", [Stage.INFERENCE], True, "", None)
    harness.workers.report("late", [Stage.INFERENCE], True, "", None)
    assert harness.registry.awaited(number) == {"two", "late"}
    for worker in ("two", "late", "late"):
        harness.registry.report_serving(number, worker)
    assert harness.registry.awaited(number) == frozenset()


def test_with_no_worker_alive_a_deployment_serves_from_the_next_start(harness: Harness) -> None:
    number = replacing(harness)
    assert harness.registry.deployment(number).state is DeploymentState.ACTIVE  # type: ignore[union-attr]


def test_what_was_replaced_is_retired_and_may_come_back(harness: Harness) -> None:
    replacing(harness)
    assert harness.registry.model(MODEL).state is ModelState.RETIRED  # type: ignore[union-attr]
    harness.registry.order(Rollout(FIRST), "lead", "rolled back")
    assert harness.registry.model(MODEL).state is ModelState.DEPLOYED  # type: ignore[union-attr]
    assert [d.state for d in harness.registry.deployments()] == ["active", "ended", "ended"]


def test_a_newer_order_ends_one_that_is_still_pending(harness: Harness) -> None:
    number = replacing(harness, "one")
    newer = harness.registry.order(Rollout(OTHER), "lead")
    assert harness.registry.deployment(number).state is DeploymentState.ENDED  # type: ignore[union-attr]
    harness.registry.report_load(number, "one", "")
    assert harness.registry.settle(number).state is DeploymentState.ENDED
    assert harness.registry.deployment() == newer


def test_a_canary_and_a_shadow_are_kept_with_their_share(harness: Harness) -> None:
    third = ModelKey("starter@3", "ef" * 32)
    harness.registry.register(new_model(third), "test")
    with pytest.raises(ModelRefused, match="cannot be a shadow"):
        replacing(harness, incumbent=FIRST, canary=OTHER, canary_share=0.05, shadow=third)
    harness.registry.advance(third.ref, ModelState.VALIDATED, "test", {})
    rollout = Rollout(FIRST, OTHER, 0.05, third)
    assert harness.registry.order(rollout, "lead").rollout == rollout
    states = {model.ref: model.state for model in harness.registry.models()}
    assert states == {FIRST.ref: "deployed", OTHER.ref: "deployed", third.ref: "validated"}


def test_what_each_model_did_is_counted_since_the_deployment_began(harness: Harness) -> None:
    approved(harness.registry, FIRST)
    approved(harness.registry, OTHER)
    first = harness.registry.order(Rollout(FIRST), "lead")
    decide(harness.progress, accept(harness.intake), outcome(Verdict.PASS))
    harness.advance(1)
    second = harness.registry.order(Rollout(FIRST, OTHER, 0.5), "lead")
    for verdict in (Verdict.PASS, Verdict.FAIL):
        image = accept(harness.intake)
        advance_to(harness.progress, image, Stage.INFERENCE)
        found = inspected("box", model=OTHER.ref, model_sha256=OTHER.sha256)
        assert complete(harness.progress, must_claim(harness.progress, Stage.INFERENCE, image), found, work_ms=80.0)
        assert complete(harness.progress, must_claim(harness.progress, Stage.GATE, image), outcome(verdict))
    tallies = harness.registry.tally(second.number)
    assert tallies.keys() == {OTHER.ref}
    assert dict(tallies[OTHER.ref].ends) == {"pass": 1, "fail": 1}
    assert tallies[OTHER.ref].images == 2
    assert tallies[OTHER.ref].inference_ms == pytest.approx(80.0)
    assert harness.registry.tally(first.number)[FIRST.ref].share("pass") == 1.0


def test_a_shadow_is_compared_with_what_decided_the_same_images(harness: Harness) -> None:
    assert harness.shadows.compare_shadow(OTHER, 0.3).images == 0
    # The classes' confidences fall from 0.75 by 1/8.
    same, fewer, unclear, undecided = (accept(harness.intake) for _ in range(4))
    decide(harness.progress, same, seen=("hole", "tear"))
    decide(harness.progress, fewer, seen=("hole", "tear"))
    decide(harness.progress, unclear, seen=("hole",))
    for image, classes in (
        (same, ("hole", "tear")),
        (fewer, ("hole",)),
        (unclear, ("hole", "tear", "dent", "wet", "open")),
        (undecided, ("hole",)),
    ):
        found = inspected(*classes)
        result = ShadowResult(FACILITY, image.image_id, OTHER, "an engine", found.detections, found.classes)
        harness.shadows.record_shadow([result])
        harness.shadows.record_shadow([result])
    comparison = harness.shadows.compare_shadow(OTHER, 0.7)
    assert (comparison.images, comparison.agreed) == (3, 3)
    comparison = harness.shadows.compare_shadow(OTHER, 0.3)
    assert (comparison.images, comparison.agreed) == (3, 1)
    assert comparison.classes == {"dent": (0, 1), "hole": (3, 3), "tear": (2, 2), "wet": (0, 1)}
    assert harness.shadows.compare_shadow(FIRST, 0.3).images == 0


def test_a_shadow_is_not_compared_with_what_two_looks_found(harness: Harness) -> None:
    image = accept(harness.intake)
    looks = Look(None, 0.5, "hole at 0.75", MODEL), Look((0, 0, 32, 24), 0.75, "nothing", MODEL)
    decide(harness.progress, image, replace(outcome(), looks=looks, found=inspected("hole")))
    found = inspected("hole")
    result = ShadowResult(FACILITY, image.image_id, OTHER, "an engine", found.detections, found.classes)
    harness.shadows.record_shadow([result])
    assert harness.shadows.compare_shadow(OTHER, 0.3).images == 0
