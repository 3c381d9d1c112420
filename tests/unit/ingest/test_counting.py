"""What comes in is counted once, whichever way it came."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from framegate.adapters.memory import FakeClock, MemoryStore
from framegate.ingest.counting import CountedIntake
from framegate.kernel.errors import DependencyUnavailable
from framegate.kernel.states import ImageState, Verdict
from framegate.kernel.tracecontext import unsampled
from framegate.observability.catalogue import (
    CAMERA_IMAGES,
    IMAGE_METADATA,
    IMAGES_ACCEPTED,
    IMAGES_REUSED,
    OUTCOMES,
    UPLOAD_BYTES,
)
from framegate.observability.metrics import Metrics
from framegate.ports.store import Accepted, NewImage
from tests.contracts.examples import new_image
from tests.support.pictures import jpeg
from tests.unit.ingest.fakes import ApiBox

JPEG = {"Content-Type": "image/jpeg"}


class Counted:
    """An intake in memory and what it counted."""

    def __init__(self) -> None:
        self.store, self.metrics = MemoryStore(FakeClock()), Metrics()
        self.intake = CountedIntake(self.store.intake, self.metrics)

    def reused(self, kind: str) -> float:
        return self.metrics.value(IMAGES_REUSED, {"kind": kind})


def test_a_recorded_image_counts_with_its_camera_its_size_and_its_metadata() -> None:
    counted = Counted()
    image = new_image(b"one", metadata={"shipment": "S-1", "meta.x": "y"})
    counted.intake.accept([image])
    value = counted.metrics.value
    assert value(IMAGES_ACCEPTED, {"lane": str(image.lane)}) == 1
    assert value(CAMERA_IMAGES, {"camera": f"{image.facility}/{image.camera}"}) == 1
    assert (value(UPLOAD_BYTES, suffix="_count"), value(UPLOAD_BYTES, suffix="_sum")) == (1, image.size_bytes)
    assert value(IMAGE_METADATA, {"field": "shipment", "presence": "present"}) == 1
    assert value(IMAGE_METADATA, {"field": "dock", "presence": "missing"}) == 1
    assert value(IMAGE_METADATA, {"field": "shipment", "presence": "missing"}) == 0


def test_a_repeated_request_is_a_replay_and_a_conflict_is_nothing() -> None:
    counted = Counted()
    first = new_image(b"one", idempotency_key="k", request_hash="1")
    again = new_image(b"one", idempotency_key="k", request_hash="1")
    other = new_image(b"two", idempotency_key="k", request_hash="2")
    counted.intake.accept([first, again, other])
    assert counted.metrics.value(IMAGES_ACCEPTED, {"lane": str(first.lane)}) == 1
    assert (counted.reused("replayed"), counted.reused("copied")) == (1, 0)


def test_a_copied_outcome_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()
    accept = counted.store.intake.accept

    def copying(images: Sequence[NewImage]) -> list[Accepted]:
        return [replace(answer, state=ImageState.DECIDED, verdict=Verdict.FAIL) for answer in accept(images)]

    monkeypatch.setattr(counted.store.intake, "accept", copying)
    counted.intake.accept([new_image(b"one")])
    assert counted.reused("copied") == 1
    assert counted.metrics.value(OUTCOMES, {"state": "decided", "verdict": "fail"}) == 1


def test_what_could_not_be_recorded_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted()

    def unavailable(_: object) -> None:
        raise DependencyUnavailable("for the test")

    monkeypatch.setattr(counted.store.intake, "accept", unavailable)
    with pytest.raises(DependencyUnavailable):
        counted.intake.accept([new_image(b"one")])
    assert counted.metrics.value(UPLOAD_BYTES, suffix="_count") == 0


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_answer_tells_the_template_of_its_route_the_status_and_the_area(box: ApiBox) -> None:
    async with box.client() as client:
        accepted = await client.post("/v1/images?camera=c", content=jpeg(1), headers=JPEG)
        for path in (f"/v1/images/{accepted.json()['id']}", "/healthz", "/no/such/path", "/v1/images/nonsense"):
            await client.get(path)
        await client.delete("/v1/images")
    assert box.metrics.answers == [
        ("/v1/images", 202, "uploads"),
        ("/v1/images/{image_id}", 200, "api"),
        ("/healthz", 200, "api"),
        ("other", 404, ""),
        ("/v1/images/{image_id}", 404, "api"),
        ("/v1/images", 405, "api"),
    ]


@pytest.mark.anyio
async def test_the_time_of_an_upload_knows_its_trace(box: ApiBox) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with box.client() as client:
        for _ in range(2):
            headers = {**JPEG, "traceparent": trace, "Idempotency-Key": "k-1"}
            await client.post("/v1/images?camera=c", content=jpeg(1), headers=headers)
    told = [told for _, told in box.metrics.seconds]
    assert told == [unsampled(trace), ""], "nothing is recorded here, and of the repeated one no trace is told"
