"""The way of a policy into force."""

from typing import Any

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.gate.desk import Admission, PolicyDesk
from framegate.gate.document import Document, read_document, write_document
from framegate.gate.policy import Policy
from framegate.kernel.camera_health import CameraHealth
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.policies import EverythingForPeople, PolicyRefused
from framegate.ports.store import PolicyConflict
from tests.contracts.examples import CAMERA
from tests.support.policies import DOCUMENT, Inspector, register_model, serve_detector
from tests.support.values import inspected

STRICT = {"hole": {"review": 0.1, "fail": 0.6}, "carton": {"review": None, "fail": None}}


class Site:
    """A facility with a camera, a policy, and a detector that serves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = store = MemoryStore(self.clock)
        self.desk = PolicyDesk(DEFAULT_FACILITY, store.policies, store.cameras, store.registry, store.results)
        store.cameras.confirm_camera(DEFAULT_FACILITY, CAMERA, "lead")
        store.policies.add_policy(DEFAULT_FACILITY, DOCUMENT, "framegate")
        serve_detector(store.registry, "carton", "hole")

    def admit(self, **change: Any) -> Admission:
        text = write_document({**DOCUMENT, **change})
        return self.desk.admit(read_document(text, "policy.yaml"), self.clock.now())

    def inspect(self, images: int, **seen: float) -> None:
        inspector = Inspector(self.store.intake, self.store.progress)
        for _ in range(images):
            self.clock.advance(1)
            inspector.inspect(Policy.parse(1, DOCUMENT), inspected(**seen), now_s=self.clock.now().timestamp())


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_policy_that_names_what_is_there_becomes_the_next_version(site: Site) -> None:
    admission = site.admit(classes=STRICT, cameras={CAMERA: {"require": ["carton"]}})
    admission.insist(force=False)
    applied = site.desk.apply(admission, "A. Lead")
    assert (applied.version, applied.created_by) == (2, "A. Lead")
    assert site.store.policies.current_policy(DEFAULT_FACILITY) == applied


def test_names_of_nothing_are_refused_with_their_lines(site: Site) -> None:
    with pytest.raises(PolicyRefused) as caught:
        site.admit(require=["pallet"], cameras={"dock-9": {}}, chain=[{"model": "wear@1"}])
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["require[0]", "cameras.dock-9", "chain[0].model"]
    assert all(line.startswith("policy.yaml:") and line.split(":")[1].isdigit() for line in lines)


def test_a_chain_takes_classifiers_that_somebody_approved(site: Site) -> None:
    register_model(site.store.registry, "wear@1", ["crushed"], "classify", approve=False)
    register_model(site.store.registry, "wear@2", ["crushed"], "classify")
    with pytest.raises(PolicyRefused, match=r"chain\[0\].model: wear@1 is registered and cannot be in a chain"):
        site.admit(chain=[{"model": "wear@1"}])
    with pytest.raises(PolicyRefused, match="carton@1 finds boxes"):
        site.admit(chain=[{"model": "carton@1"}])
    site.admit(chain=[{"model": "wear@2"}], alerts={"a": {"when": ["pass"], "classes": ["crushed"]}})


def test_a_model_that_is_about_to_serve_may_be_named(site: Site) -> None:
    register_model(site.store.registry, "pallet@1", ["pallet"])
    model = site.store.registry.model("pallet@1")
    assert model is not None
    document = Document({**DOCUMENT, "require": ["pallet"]}, "policy.yaml")
    site.desk.admit(document, site.clock.now(), [ModelManifest.parse(model.manifest, model.ref)])


def test_while_nothing_serves_classes_are_not_checked_and_that_is_said() -> None:
    store = MemoryStore(FakeClock())
    desk = PolicyDesk(DEFAULT_FACILITY, store.policies, store.cameras, store.registry, store.results)
    admission = desk.admit(Document({**DOCUMENT, "require": ["pallet"]}, "policy.yaml"), store.clock.now())
    assert "the names of classes were not checked" in admission.notes[0]
    assert desk.apply(admission, "lead").version == 1


def test_rules_that_let_nothing_pass_are_refused_except_by_force(site: Site) -> None:
    admission = site.admit(require=["hole"], require_confidence=0.5)
    with pytest.raises(EverythingForPeople, match=r"policy.yaml: everything would go to people: .* --force"):
        admission.insist(force=False)
    admission.insist(force=True)


def test_a_policy_that_sends_all_lately_decided_images_to_people_is_refused(site: Site) -> None:
    site.inspect(39, hole=0.2)
    site.inspect(1)
    admission = site.admit(classes=STRICT)
    assert admission.everything == "of the newest 40 decided images of confirmed cameras, 39 would"
    with pytest.raises(EverythingForPeople):
        admission.insist(force=False)


def test_one_that_leaves_some_is_not_and_few_images_prove_nothing(site: Site) -> None:
    site.inspect(19, hole=0.2)
    assert site.admit(classes=STRICT).everything is None
    site.inspect(3)
    assert site.admit(classes=STRICT).everything is None


def test_images_of_unconfirmed_cameras_do_not_count(site: Site) -> None:
    site.inspect(20)
    site.clock.advance(1)
    inspector = Inspector(site.store.intake, site.store.progress)
    for n in range(600):
        inspector.inspect(
            Policy.parse(1, DOCUMENT), inspected(), now_s=site.clock.now().timestamp() + n / 1000, camera="stranger"
        )
    admission = site.admit(classes=STRICT)
    assert admission.tried.confirmed == (0, 20)
    assert admission.everything is None


def test_images_of_cameras_with_a_fault_do_not_count(site: Site) -> None:
    site.inspect(20)
    health = CameraHealth(faults={"moved": site.clock.now()})
    site.store.state.health[DEFAULT_FACILITY, CAMERA] = health
    site.inspect(600)
    admission = site.admit(classes=STRICT)
    assert admission.tried.candidate.ends["review"] == 600
    assert admission.tried.confirmed == (0, 20)
    assert admission.everything is None


def test_who_applies_for_a_version_that_is_not_the_newest_any_more_is_refused(site: Site) -> None:
    admission = site.admit(classes=STRICT)
    site.store.policies.add_policy(DEFAULT_FACILITY, {**DOCUMENT, "require": ["carton"]}, "night shift")
    with pytest.raises(PolicyConflict, match="night shift applied version 2"):
        site.desk.apply(admission, "lead")


def test_a_camera_without_a_pass_and_a_threshold_without_effect_are_noted(site: Site) -> None:
    cameras = {CAMERA: {"require": ["hole"], "require_confidence": 0.9}}
    classes = {"hole": {"review": 0.01, "fail": None}, "carton": {"review": None, "fail": None}}
    notes = site.admit(classes=classes, cameras=cameras).notes
    assert notes[0] == f"No image of {CAMERA} can pass by its own rules."
    assert "carton@1 reports nothing below 0.05: the threshold 0.01 for review of hole" in notes[1]
