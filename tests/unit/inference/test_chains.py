"""The classifiers of the policies' chains are there when they may be, and nothing waits for those that are not."""

from collections.abc import Mapping
from typing import Any

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.inference.chains import ChainModels
from framegate.inference.classes import decode_classes
from framegate.inference.fleet import LoadedModel, warm_models
from framegate.kernel.errors import BlobMissing, EngineFault
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.inspection import ImageFacts
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.rollout import ModelKey, ModelState
from framegate.observability.catalogue import MODEL_LOAD_FAILURES
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from tests.contracts.examples import approved, new_model
from tests.support.inference import CLASSIFIER, ColourEngine, claim
from tests.unit.inference.test_stage import MANIFEST as DETECTOR

WEAR, SCENE = ModelKey("wear@1", "11" * 32), ModelKey("scene@1", "22" * 32)
HALL, YARD = FacilityId("main"), FacilityId("yard")


class Plant:
    """Policies, a registry, and the chains of one worker."""

    def __init__(self) -> None:
        self.clock, self.metrics = FakeClock(), Metrics()
        self.store = MemoryStore(self.clock)
        self.trouble: dict[str, Exception] = {}
        self.engines: dict[str, ColourEngine] = {}
        self.chains = ChainModels(
            self.store.policies, self.store.registry, self._load, self.clock, self.metrics, get_log()
        )

    def _load(self, key: ModelKey) -> LoadedModel:
        if error := self.trouble.get(key.ref):
            raise error
        self.engines[key.ref] = ColourEngine()
        return LoadedModel(key, CLASSIFIER, self.engines[key.ref])

    def policy(self, *models: str, facility: FacilityId = HALL, cameras: Mapping[str, Any] | None = None) -> None:
        document = {"chain": [{"model": ref} for ref in models], "cameras": cameras or {}}
        self.store.policies.add_policy(facility, document, "lead")
        self.chains.refresh()

    @property
    def ready(self) -> set[str]:
        return set(self.chains.now.models)

    @property
    def failures(self) -> float:
        return self.metrics.value(MODEL_LOAD_FAILURES)


@pytest.fixture
def plant() -> Plant:
    return Plant()


def facts(camera: str = "dock-1") -> ImageFacts:
    image = claim(None).image
    return ImageFacts(**{n: getattr(image, n) for n in ImageFacts.__slots__} | {"camera": CameraId(camera)})


def test_the_models_of_all_facilities_and_cameras_are_loaded_once(plant: Plant) -> None:
    for key in (WEAR, SCENE):
        approved(plant.store.registry, key)
    plant.policy(WEAR.ref, cameras={"dock-9": {"chain": [{"model": SCENE.ref}]}})
    first = dict(plant.engines)
    plant.policy(WEAR.ref, facility=YARD)
    assert plant.ready == {WEAR.ref, SCENE.ref}
    assert plant.engines == first
    links = {camera: [link.model for link in plant.chains.now.links(facts(camera))] for camera in ("dock-1", "dock-9")}
    assert links == {"dock-1": [WEAR.ref], "dock-9": [SCENE.ref]}


def test_a_facility_without_a_policy_has_no_chain(plant: Plant) -> None:
    plant.chains.refresh()
    assert plant.chains.now.links(facts()) == ()


def test_a_model_that_nobody_approved_is_not_loaded_until_somebody_does(plant: Plant) -> None:
    plant.store.registry.register(new_model(WEAR), "test")
    plant.policy(WEAR.ref)
    assert (plant.ready, plant.failures) == (set(), 1)
    for state in (ModelState.VALIDATED, ModelState.APPROVED):
        plant.store.registry.advance(WEAR.ref, state, "test", {})
    plant.clock.advance(30)
    plant.chains.refresh()
    assert plant.ready == {WEAR.ref}


@pytest.mark.parametrize("error", [EngineFault("no softmax"), BlobMissing("gone"), RuntimeError("vendor")])
def test_a_model_that_cannot_be_loaded_holds_up_no_other_and_is_not_tried_all_the_time(
    plant: Plant, error: Exception
) -> None:
    for key in (WEAR, SCENE):
        approved(plant.store.registry, key)
    plant.trouble[SCENE.ref] = error
    plant.policy(SCENE.ref, WEAR.ref)
    for _ in range(3):
        plant.chains.refresh()
    assert (plant.ready, plant.failures) == ({WEAR.ref}, 1)
    assert [link.model for link in plant.chains.now.links(facts())] == [SCENE.ref, WEAR.ref]
    plant.trouble.clear()
    plant.clock.advance(30)
    plant.chains.refresh()
    assert plant.ready == {WEAR.ref, SCENE.ref}


def test_a_model_that_is_not_registered_is_missing_and_counted(plant: Plant) -> None:
    plant.policy("nobody@1")
    assert (plant.ready, plant.failures) == (set(), 1)


def test_an_engine_that_no_chain_names_any_more_is_closed_between_batches_only(plant: Plant) -> None:
    approved(plant.store.registry, WEAR)
    plant.policy(WEAR.ref)
    plant.policy()
    assert plant.ready == set()
    assert not plant.engines[WEAR.ref].closed
    plant.chains.tidy()
    assert plant.engines[WEAR.ref].closed


def test_closing_frees_what_serves_and_what_leaves(plant: Plant) -> None:
    for key in (WEAR, SCENE):
        approved(plant.store.registry, key)
    plant.policy(WEAR.ref, SCENE.ref)
    plant.policy(SCENE.ref)
    plant.chains.close()
    assert {ref for ref, engine in plant.engines.items() if engine.closed} == {WEAR.ref, SCENE.ref}


def test_a_policy_that_is_wrong_costs_its_own_facility_the_chain_and_no_other(plant: Plant) -> None:
    approved(plant.store.registry, WEAR)
    plant.policy("no version", facility=YARD)
    plant.policy(WEAR.ref)
    assert plant.ready == {WEAR.ref}
    assert [link.model for link in plant.chains.now.links(facts())] == [WEAR.ref]


def test_a_detector_in_a_chain_is_refused_when_it_is_loaded_and_its_engine_closed() -> None:
    engine = ColourEngine()
    load = warm_models(lambda _: DETECTOR, lambda _: engine, FakeClock(), decode_classes)
    with pytest.raises(EngineFault, match="cannot be part of a chain"):
        load(WEAR)
    assert engine.closed


def test_a_classifier_that_is_deployed_as_the_detector_is_refused_when_it_is_loaded() -> None:
    engine = ColourEngine()
    load = warm_models(lambda _: CLASSIFIER, lambda _: engine, FakeClock())
    with pytest.raises(EngineFault, match="cannot be the detector"):
        load(WEAR)
    assert engine.closed


def test_a_classifier_is_warm_when_it_is_loaded() -> None:
    engine = ColourEngine()

    def open_model(_: ModelKey) -> ModelManifest:
        return CLASSIFIER

    warm_models(open_model, lambda _: engine, FakeClock(), decode_classes)(WEAR)
    assert {1, 4} <= set(engine.sizes)
