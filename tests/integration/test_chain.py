"""Registered models, real files and real runtimes: a detector and behind it the classifier that the policy names."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framegate.adapters.engine_onnxruntime import OnnxRuntimeEngine
from framegate.adapters.engine_openvino import OpenVinoEngine
from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryStore
from framegate.gate.decide import decide
from framegate.gate.policy import Policy
from framegate.inference.chains import ChainModels
from framegate.inference.classes import decode_classes
from framegate.inference.fleet import Fleet, warm_models
from framegate.inference.naming import Naming
from framegate.inference.stage import InferenceHandler
from framegate.kernel.frames import encode_frame
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.inspection import Inspected, Prepared
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.rollout import ModelState, Rollout
from framegate.kernel.states import Verdict
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.engine import Engine
from framegate.ports.registry import RegisteredModel
from framegate.worker.models import ModelFiles, register
from tests.support.inference import claim
from tests.support.models import TINY_CLASSES, tiny_classifier, tiny_manifest
from tests.support.values import quality

RUNTIMES: dict[str, Callable[[ModelManifest], Engine]] = {
    "onnxruntime": lambda manifest: OnnxRuntimeEngine(manifest, 4, threads=1, device="cpu"),
    "openvino": lambda manifest: OpenVinoEngine(manifest, 4, threads=1, precision="f32"),
}
POLICY = {
    "schema": 1,
    "classes": {},
    "otherwise": {"review": None, "fail": None},
    "chain": [{"model": "tiny-cls@1", "of": ["tear"]}],
}


class Works:
    """A registry with both models, and one inference worker."""

    def __init__(self, directory: Path, new_engine: Callable[[ModelManifest], Engine]) -> None:
        self.blobs, self.store, self.metrics = MemoryBlobs(FakeClock()), MemoryStore(FakeClock()), Metrics()
        registry, clock = self.store.registry, FakeClock()
        detector = self._approved(tiny_manifest(directory / "detector"))
        self.classifier = register(registry, self.blobs, tiny_classifier(directory / "classifier"), "test")
        self.store.policies.add_policy(DEFAULT_FACILITY, POLICY, "lead")
        files = ModelFiles(registry, self.blobs, directory / "cache")
        fleet = Fleet(warm_models(files.with_weights, new_engine, clock), clock)
        fleet.load(Rollout(detector.key))
        fleet.serve(Rollout(detector.key))
        load = warm_models(files.with_weights, new_engine, clock, decode_classes)
        self.chains = ChainModels(self.store.policies, registry, load, clock, self.metrics, get_log())
        naming = Naming(self.chains, self.metrics, get_log())
        self.handler = InferenceHandler(fleet, self.blobs, label=naming.label)

    def _approved(self, manifest: ModelManifest) -> RegisteredModel:
        model = register(self.store.registry, self.blobs, manifest, "test")
        return self.approve(model)

    def approve(self, model: RegisteredModel) -> RegisteredModel:
        for state in (ModelState.VALIDATED, ModelState.APPROVED):
            model = self.store.registry.advance(model.ref, state, "test", {})
        return model

    def look(self) -> tuple[Inspected, Verdict | None, str]:
        """What was found in a picture that is blue all in all, and green where its one detection is; and the outcome.

        The tiny detector says: a tear, whose corners are the means of red (4), green (8), blue (20) and of red in the
        first row (24).
        """
        frame = np.zeros((32, 32, 3), np.uint8)
        frame[0, :, 0], frame[27, :, 0] = 24, 104
        frame[8:24, 4:20, 1] = 32
        frame[28:, :, 2] = 160
        box = Letterbox.fit(32, 32, 32, 32)
        self.blobs.put("frame", encode_frame(frame, "raw"), durable=False)
        job = self.handler.load(claim(Prepared("frame", "raw", box, quality(), {})))
        (found,) = self.handler.handle([job])
        assert isinstance(found, Inspected)
        assert [box for _, _, box in found.detections] == [(4, 8, 20, 24)]
        end = decide(Policy.parse(1, POLICY), job.claim.image, job.prepared, found)
        return found, end.verdict, end.reason


@pytest.fixture(params=RUNTIMES)
def works(request: pytest.FixtureRequest, tmp_path: Path) -> Works:
    return Works(tmp_path, RUNTIMES[request.param])


def test_an_approved_classifier_names_the_crop_and_the_picture_passes(works: Works) -> None:
    works.approve(works.classifier)
    works.chains.refresh()
    found, verdict, reason = works.look()
    (label,) = found.labels
    assert (label.detection, label.model, label.name) == (0, "tiny-cls@1", TINY_CLASSES[1])
    assert label.confidence == pytest.approx(1, abs=1e-5)
    assert (verdict, reason) == (Verdict.PASS, "clear")


def test_a_classifier_that_nobody_approved_leaves_the_detections_and_sends_the_picture_to_people(works: Works) -> None:
    works.chains.refresh()
    found, verdict, reason = works.look()
    assert (found.classes, found.labels) == (("tear",), ())
    assert (verdict, reason) == (Verdict.REVIEW, "chain-unavailable")


def test_weights_that_are_damaged_in_the_store_are_not_asked_for_names(works: Works) -> None:
    works.approve(works.classifier)
    works.blobs.delete(works.classifier.blob_key)
    works.blobs.put(works.classifier.blob_key, b"not what was registered", durable=False)
    works.chains.refresh()
    found, verdict, reason = works.look()
    assert (found.labels, verdict, reason) == ((), Verdict.REVIEW, "chain-unavailable")


def test_a_classifier_without_its_softmax_is_not_loaded(works: Works, tmp_path: Path) -> None:
    """Its three values are means of 0..255 instead of shares."""
    manifest = tiny_classifier(tmp_path / "raw", shares=False)
    model = register(works.store.registry, works.blobs, replace(manifest, version="2", text=renamed(manifest)), "test")
    works.approve(model)
    works.store.policies.add_policy(DEFAULT_FACILITY, {"chain": [{"model": model.ref}]}, "lead")
    works.chains.refresh()
    assert works.chains.now.models == {}


def renamed(manifest: ModelManifest) -> str:
    return manifest.text.replace('version = "1"', 'version = "2"')
