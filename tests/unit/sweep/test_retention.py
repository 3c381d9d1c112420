"""What was kept for as long as it was to be kept is erased by the sweep, whoever dies in between."""

from datetime import timedelta

import pytest

from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryStore
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.retention import RetentionClass
from framegate.observability.catalogue import RETENTION_OVERDUE_SECONDS
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.ports.store import NewImage
from framegate.sweep.retention import RetentionWatch
from tests.contracts.examples import FACILITY, accept, decide

DAY_S = timedelta(days=1).total_seconds()


class Box:
    def __init__(self) -> None:
        self.clock, self.metrics = FakeClock(), Metrics()
        self.store, self.blobs = MemoryStore(self.clock), MemoryBlobs(self.clock)
        log = get_log(stage="sweep")
        self.watch = RetentionWatch(self.store.retention, self.blobs, self.clock, self.metrics, log)

    def ended(self, **changes: object) -> NewImage:
        image = accept(self.store.intake, **changes)
        self.blobs.put(image.blob_key, b"picture")
        decide(self.store.progress, image)
        return image

    def there(self, image: NewImage) -> tuple[bool, bool | None]:
        (told,) = [one for one in self.store.upkeep.blob_keys(None, 100) if one.image_id == image.image_id]
        return self.blobs.exists(image.blob_key), told.there


@pytest.fixture
def box() -> Box:
    return Box()


def test_what_is_due_goes_with_its_file_and_nothing_else_does(box: Box) -> None:
    old = [box.ended(metadata={"dock": "4"}) for _ in range(3)]
    box.clock.advance(DAY_S)
    young = box.ended()
    box.store.retention.keep(FACILITY, {RetentionClass.PASS: 1, RetentionClass.METADATA: 1}, "lead")
    for _ in range(2):
        box.watch.look()
    assert [box.there(image) for image in (*old, young)] == [(False, False)] * 3 + [(True, True)]
    shown = box.metrics.render()[0].decode()
    assert 'framegate_parts_erased_total{part="original"} 3.0' in shown
    assert 'framegate_parts_erased_total{part="metadata"} 3.0' in shown
    box.clock.advance(DAY_S)
    box.watch.look()
    assert box.there(young) == (False, False)


def test_how_long_files_are_overdue_is_shown_also_while_they_cannot_be_deleted(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = box.ended()
    box.store.retention.erase(FACILITY, image.image_id, "asked for", "lead")
    box.clock.advance(70)

    def away(_: str) -> None:
        raise DependencyUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(box.blobs, "delete", away)
        box.watch.look()
    assert box.metrics.value(RETENTION_OVERDUE_SECONDS) == 70
    box.watch.look()
    assert box.metrics.value(RETENTION_OVERDUE_SECONDS) == 0


def test_an_erasure_whose_files_are_still_there_is_finished_by_the_next_look(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = box.ended()
    box.store.retention.erase(FACILITY, image.image_id, "asked for", "lead")
    assert box.there(image) == (True, None)

    def away(_: str) -> None:
        raise DependencyUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(box.blobs, "delete", away)
        box.watch.look()
    assert box.there(image) == (True, None)
    assert 'framegate_housekeeping_failures_total{work="retention"} 1.0' in box.metrics.render()[0].decode()
    box.watch.look()
    assert box.there(image) == (False, False)


def test_an_erasure_whose_files_are_gone_but_that_is_not_noted_is_noted_by_the_next_look(box: Box) -> None:
    image = box.ended()
    box.store.retention.erase(FACILITY, image.image_id, "asked for", "lead")
    box.blobs.delete(image.blob_key)
    box.watch.look()
    assert box.there(image) == (False, False)
