"""What docs/policy.md shows can be applied."""

import re
from pathlib import Path

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.gate.alerting import DEFAULT_ALERTS, OCCASIONS
from framegate.gate.desk import PolicyDesk
from framegate.gate.document import read_document
from framegate.gate.policy import FLAGS, Policy
from framegate.kernel.camera_health import IGNORABLE
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId
from framegate.kernel.manifest import ModelManifest
from framegate.starter import starter_dir
from tests.support.policies import register_model, serve_detector

PAGE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text("utf-8")
[EXAMPLE] = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_is_applied_to_a_box_with_the_starter() -> None:
    store = MemoryStore(FakeClock())
    desk = PolicyDesk(DEFAULT_FACILITY, store.policies, store.cameras, store.registry, store.results)
    serve_detector(store.registry, *ModelManifest.load(starter_dir()).classes)
    register_model(store.registry, "wear@1", ["new", "crushed"], "classify")
    for camera in ("dock-3", "dock-4"):
        store.cameras.confirm_camera(DEFAULT_FACILITY, CameraId(camera), "lead")
    admission = desk.admit(read_document(EXAMPLE, "policy.md"), store.clock.now())
    admission.insist(force=False)
    assert (admission.notes, desk.apply(admission, "lead").version) == ((), 1)


def test_the_defaults_are_as_the_example_writes_them() -> None:
    policy = Policy.parse(1, read_document(EXAMPLE, "policy.md").raw)
    assert {name: policy.rules.alerts[name] for name in DEFAULT_ALERTS} == DEFAULT_ALERTS
    assert policy.rules.doubtful_quality == {*FLAGS} - {"small"}
    assert policy.rules.ignored_faults == {"silent"}
    assert set(policy.for_camera("dock-3").alerts) == {"damage", "operations", "late", "crushed-pallet"}


def test_the_page_names_every_occasion_and_every_doubt() -> None:
    for name in (*OCCASIONS, *FLAGS, *IGNORABLE):
        assert f"`{name}`" in PAGE or f"{name}:" in PAGE
