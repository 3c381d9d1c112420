"""Images that were truly decided by a policy, and registered models with classes, on any family of stores."""

import time
from dataclasses import replace
from typing import Any

from framegate.gate.decide import decide
from framegate.gate.looks import decide_again
from framegate.gate.policy import Policy
from framegate.kernel.geometry import Region
from framegate.kernel.ids import DEFAULT_FACILITY, new_image_id
from framegate.kernel.inspection import Failed, Finding, Refused
from framegate.kernel.rollout import ModelKey, ModelState, Rollout
from framegate.kernel.states import Stage
from framegate.ports.progress import LookAgain, Progress
from framegate.ports.registry import Registry
from framegate.ports.store import Intake, NewImage
from tests.contracts.examples import accept, complete, must_claim, new_model
from tests.support.values import prepared

DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "classes": {"carton": {"review": None, "fail": None}, "hole": {"review": 0.3, "fail": 0.6}},
    "otherwise": {"review": 0.25, "fail": None},
}

_MANIFEST = """
schema = 1
name = "{name}"
version = "{version}"
licence = "MIT"
file = "model.onnx"
sha256 = "{sha256}"
[model]
head = "{head}"
classes = {classes}
[input]
width = 64
height = 64
dynamic_size = false
dynamic_batch = true
[thresholds]
floor = 0.05
"""


def register_model(
    registry: Registry, ref: str, classes: list[str], head: str = "end2end", *, approve: bool = True
) -> ModelKey:
    """Approved, unless not; its weights are nowhere."""
    key = ModelKey(ref, ref.encode().hex().ljust(64, "0")[:64])
    name, _, version = ref.partition("@")
    text = _MANIFEST.format(name=name, version=version, sha256=key.sha256, head=head, classes=classes)
    registry.register(replace(new_model(key), manifest=text), "test")
    if approve:
        for state in (ModelState.VALIDATED, ModelState.APPROVED):
            registry.advance(ref, state, "test", {})
    return key


def serve_detector(registry: Registry, *classes: str) -> None:
    """Lets carton@1 decide from now on."""
    registry.order(Rollout(register_model(registry, "carton@1", [*classes])), "test")


class Inspector:
    """Takes images through all stages; the gate decides as the real one does."""

    def __init__(self, intake: Intake, progress: Progress) -> None:
        self.intake, self.progress = intake, progress

    def inspect(
        self,
        policy: Policy,
        finding: Finding,
        *flags: str,
        now_s: float | None = None,
        second: Finding | None = None,
        **image: Any,
    ) -> NewImage:
        """`now_s`: the moment that its id tells, which is that of its acceptance; `second`: what a second look finds."""
        image_id = new_image_id(time.time() if now_s is None else now_s)
        new = accept(self.intake, **({"facility": DEFAULT_FACILITY, "image_id": image_id} | image))
        stages = [(Stage.PREPROCESS, prepared(*flags)), (Stage.INFERENCE, finding)]
        if isinstance(finding, Refused | Failed):
            stages = [(Stage.PREPROCESS, finding)]
        for stage, result in stages:
            assert complete(self.progress, must_claim(self.progress, stage, new), result)
        held = must_claim(self.progress, Stage.GATE, new)
        assert held.finding is not None
        if second is None:
            assert complete(self.progress, held, decide(policy, held.image, held.prepared, held.finding))
            return new
        assert complete(self.progress, held, LookAgain(Region(0, 0, 1280, 1080)))
        for stage, result in ((Stage.PREPROCESS, prepared()), (Stage.INFERENCE, second)):
            assert complete(self.progress, must_claim(self.progress, stage, new, look=2), result)
        held = must_claim(self.progress, Stage.GATE, new, look=2)
        assert held.first is not None
        assert held.finding is not None
        outcome = decide_again(policy, held.image, held.first, held.prepared, held.finding)
        assert complete(self.progress, held, outcome)
        return new
