"""What people see of models."""

import pytest

from framegate.adapters.memory import MemoryBlobs
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.people import Role
from framegate.kernel.rollout import ModelKey, ModelState, Rollout
from framegate.kernel.states import Stage, Verdict
from framegate.ports.registry import ShadowResult
from framegate.starter import starter_dir
from framegate.worker.models import register
from tests.contracts.examples import FACILITY, MODEL, accept, decide, inspected, outcome
from tests.support.policies import register_model
from tests.unit.ingest.fakes import HALL, OTHER_HALL

from .fakes import PeopleBox

pytestmark = pytest.mark.anyio
HOSTILE = "<img src=x>"


async def shown(box: PeopleBox, path: str = "/models") -> str:
    """For an admin everywhere, unless the test has added anna."""
    if not box.store.people.people():
        box.add_person("anna", Role.ADMIN, HALL, DEFAULT_FACILITY)
    return await box.see(path)


def three_models(box: PeopleBox) -> list[ModelKey]:
    return [register_model(box.store.registry, f"carton@{n}", ["carton", "hole"]) for n in (1, 2, 3)]


async def test_a_box_without_a_model_says_what_to_do(box: PeopleBox) -> None:
    page = await shown(box)
    assert "No model decides yet" in page
    assert "framegate models import" in page


async def test_what_decides_is_said_in_a_sentence_with_who_ordered_it(box: PeopleBox) -> None:
    one, two, three = three_models(box)
    box.store.registry.order(Rollout(one, two, 0.05, three), "A. Lead")
    page = await shown(box)
    assert ">carton@1</a> decides, and" in page
    assert "on trial decides for 5 % of the cameras" in page
    assert ">carton@3</a> looks on and decides nothing" in page
    assert "ordered by <strong>A. Lead</strong>" in page
    assert "All workers use it." not in page
    assert "No worker that runs models was seen" in page
    assert "Let carton@2 decide everything" in page
    assert "End the trial" in page


async def test_whether_all_workers_use_it_is_said(box: PeopleBox) -> None:
    (one, *_) = three_models(box)
    order = box.store.registry.order(Rollout(one), "lead")
    box.store.workers.report("w", [Stage.INFERENCE], ready=True, reason="", metrics_port=None)
    page = await shown(box)
    assert "These workers still use what served before" in page
    assert "data-unsettled" in page
    box.store.registry.report_serving(order.number, "w")
    page = await shown(box)
    assert "All workers use it." in page
    assert "data-unsettled" not in page


async def test_going_back_names_the_model_that_it_brings(box: PeopleBox) -> None:
    one, two, _ = three_models(box)
    box.store.registry.order(Rollout(one), "lead")
    assert "/v1/deployments/rollback" not in await shown(box)
    box.store.registry.order(Rollout(two), "lead")
    page = await shown(box)
    assert "Go back to carton@1" in page
    assert "no more by carton@2" in page


async def test_what_is_on_its_way_names_the_workers_that_are_waited_for(box: PeopleBox) -> None:
    one, two, _ = three_models(box)
    box.store.registry.order(Rollout(one), "lead")
    box.store.workers.report("box/inference-0", [Stage.INFERENCE], ready=True, reason="", metrics_port=None)
    box.store.registry.order(Rollout(two), "lead")
    page = await shown(box)
    assert "data-unsettled" in page
    assert "Waits for 1 worker: box/inference-0." in page
    assert "on its way" in page


async def test_what_a_worker_could_not_load_says_why(box: PeopleBox) -> None:
    one, two, _ = three_models(box)
    box.store.registry.order(Rollout(one), "lead")
    box.store.workers.report("w", [Stage.INFERENCE], ready=True, reason="", metrics_port=None)
    order = box.store.registry.order(Rollout(two), "lead")
    box.store.registry.report_load(order.number, "w", f"no memory {HOSTILE}")
    box.store.registry.settle(order.number)
    page = await shown(box)
    assert "The last order came to nothing" in page
    assert "no memory &lt;img" in page
    assert HOSTILE not in page


async def test_only_who_manages_models_in_every_facility_is_offered_anything(box: PeopleBox) -> None:
    one, two, _ = three_models(box)
    box.store.registry.order(Rollout(one, two, 0.5), "lead")
    box.add_person("anna", Role.ADMIN, HALL)  # and another facility has cameras
    box.store.cameras.confirm_camera(OTHER_HALL, CameraId("c"), "lead")
    for path in ("/models", "/models/carton@3"):
        assert "data-api" not in await shown(box, path)
    assert "admin in every facility" in await shown(box)
    assert "only who may see all of them" in await shown(box)
    for hall in (OTHER_HALL, DEFAULT_FACILITY):
        box.store.people.set_role("anna", hall, Role.VIEWER, "lead")
    page = await shown(box)
    assert "data-api" not in page
    assert "Neither of the two has decided an image yet" in page
    for hall in (OTHER_HALL, DEFAULT_FACILITY):
        box.store.people.set_role("anna", hall, Role.ADMIN, "lead")
    assert "data-api" in await shown(box)


async def test_a_canary_is_compared_by_verdicts_and_time(box: PeopleBox) -> None:
    one, canary = three_models(box)[0], register_model(box.store.registry, MODEL, ["box"])
    box.store.registry.order(Rollout(one, canary, 0.5), "lead")
    for verdict in (Verdict.PASS, Verdict.PASS, Verdict.PASS, Verdict.REVIEW):
        decide(box.store.progress, accept(box.store.intake), outcome(verdict))
    page = await shown(box)
    assert f"{MODEL}: 75.0 % passed, 25.0 % for people, 0.0 % failed" in page


async def test_a_shadow_is_compared_class_by_class(box: PeopleBox) -> None:
    one, two, _ = three_models(box)
    box.store.registry.order(Rollout(one, shadow=two), "lead")
    assert "It has not seen an image yet" in await shown(box)
    for seen in (("hole",), ("hole", "hole")):
        image = accept(box.store.intake)
        decide(box.store.progress, image, seen=("hole",))
        found = inspected(*seen)
        result = ShadowResult(FACILITY, image.image_id, two, "an engine", found.detections, found.classes)
        box.store.shadows.record_shadow([result])
    page = await shown(box)
    assert "looked at <strong>2</strong> images" in page
    assert "In <strong>1</strong> of them (50.0 %)" in page
    assert 'aria-label="3 boxes"' in page


async def test_a_model_shows_what_its_maker_measured_and_who_vouched_for_it(box: PeopleBox) -> None:
    starter = ModelManifest.load(starter_dir())
    register(box.store.registry, MemoryBlobs(box.clock, box.spool), starter, "lead")
    registry = box.store.registry
    assert "framegate models check carton@1" in await shown(box, "/models/carton@1")
    registry.advance("carton@1", ModelState.VALIDATED, "lead", {})
    page = await shown(box, "/models/carton@1")
    assert 'data-api="POST /v1/models/carton@1/approve"' in page
    registry.advance("carton@1", ModelState.APPROVED, "A. Lead", {"comment": f"seen {HOSTILE}"})
    page = await shown(box, "/models/carton@1")
    assert "/approve" not in page
    for text in (
        "31.7 %",
        "42.9 %",
        "28.3 %",
        "AGPL-3.0",
        "640 \N{MULTIPLICATION SIGN} 640",
        "rendered by models/carton/render.py",
        "A. Lead",
    ):
        assert text in page, text
    assert "seen &lt;img" in page
    assert HOSTILE not in page


@pytest.mark.parametrize("ref", ["carton@9", "carton", "@", "a" * 300 + "@1"])
async def test_a_model_that_nobody_registered_is_not_there(box: PeopleBox, ref: str) -> None:
    box.add_person("anna", Role.ADMIN)
    await box.see(f"/models/{ref}", status=404)
