"""What a worker tells of its steps, and of the images that ended."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from framegate.kernel.geometry import Region
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId
from framegate.kernel.inspection import Finding, FirstLook, Outcome, Refused
from framegate.kernel.messages import FrameInspected, FrameSubmitted, encode
from framegate.kernel.states import ImageState, Lane, Verdict
from framegate.observability.catalogue import (
    BATCH_FILL,
    CONFIDENCE,
    DETECTIONS_PER_IMAGE,
    IMAGE_CONTRAST,
    IMAGE_EXPOSURE,
    IMAGE_FLAGS,
    IMAGE_SHARPNESS,
    IMAGES_SETTLED,
    MESSAGE_RECEIVES,
    OUTCOMES,
    QUEUE_WAIT_SECONDS,
    REJECTIONS,
    STEP_SECONDS,
    VERDICT_REASONS,
    VERDICT_SECONDS,
)
from framegate.observability.metrics import Metrics
from framegate.ports.progress import Claim, Completion
from framegate.worker.outcomes import OutcomeMetrics
from tests.support.inference import claim
from tests.support.values import inspected, prepared
from tests.unit.worker.conftest import Rig

STAGE = {"stage": "preprocess"}
TRACE = "0af7651916cd43dd8448eb211c80319c"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def test_every_step_of_the_loop_is_timed(rig: Rig) -> None:
    images = rig.accept(6)
    with rig.running():
        rig.until(lambda: rig.metrics.value(IMAGES_SETTLED, STAGE) == 6)

    def steps(step: str) -> float:
        return rig.metrics.value(STEP_SECONDS, {**STAGE, "step": step}, "_count")

    assert steps("load") == len(images)
    assert steps("handle") == len(rig.stage.batches)
    assert steps("receive") >= steps("claim") >= 1
    assert steps("settle") >= 1


def test_a_step_that_fails_is_timed_as_well(rig: Rig) -> None:
    def refuse(jobs: Sequence[Claim]) -> None:
        raise ValueError("not these")

    rig.accept(1)
    rig.stage.on_handle = refuse
    with rig.running():
        rig.until(lambda: rig.metrics.value(STEP_SECONDS, {**STAGE, "step": "handle"}, "_count") == 1)
    assert rig.metrics.value(IMAGES_SETTLED, STAGE) == 0


def test_a_batch_tells_how_full_it_was(rig: Rig) -> None:
    rig.accept(1)
    with rig.running(max_batch=4):
        rig.until(lambda: rig.metrics.value(IMAGES_SETTLED, STAGE) == 1)
    assert rig.metrics.value(BATCH_FILL, STAGE, "_sum") == 0.25


def test_a_message_tells_how_often_it_was_received(rig: Rig) -> None:
    rig.accept(1)
    (delivery,) = rig.queue.receive(["frame-submitted-live"], 1, timedelta(), timedelta(seconds=9))
    rig.queue.release([delivery])
    with rig.running():
        rig.until(lambda: rig.metrics.value(IMAGES_SETTLED, STAGE) == 1)
    assert rig.metrics.value(MESSAGE_RECEIVES, STAGE, "_sum") == 2


@pytest.mark.parametrize(("flags", "there"), [("01", True), ("00", False)])
def test_the_wait_of_an_image_whose_trace_is_recorded_leads_to_the_trace(rig: Rig, flags: str, there: bool) -> None:
    (image,) = rig.accept(1)
    rig.queue.acknowledge(rig.queue.receive(["frame-submitted-live"], 1, timedelta(), timedelta(seconds=9)))
    message = FrameSubmitted(DEFAULT_FACILITY, image, trace=f"00-{TRACE}-b7ad6b7169203331-{flags}")
    rig.queue.send("frame-submitted-live", [encode(message)])
    with rig.running():
        rig.until(lambda: rig.metrics.value(IMAGES_SETTLED, STAGE) == 1)
    waits = [line for line in rendered(rig.metrics) if line.startswith(f"{QUEUE_WAIT_SECONDS.name}_bucket")]
    assert any(f'# {{trace_id="{TRACE}"}}' in line for line in waits) is there


# --- images that ended ----------------------------------------------------------------------------------------------


def rendered(metrics: Metrics) -> list[str]:
    return metrics.render(OPEN_METRICS)[0].decode().splitlines()


class Ended:
    """Counts what a gate completes with."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.told = OutcomeMetrics(self.metrics)

    def end(
        self, outcome: Outcome, finding: Finding, *flags: str, lane: Lane = Lane.LIVE, first: FirstLook | None = None
    ) -> None:
        job = claim(prepared(*flags))
        image = replace(job.image, lane=lane, camera=CameraId("dock-7"))
        message = FrameInspected(image.facility, image.image_id, 1, lane, f"00-{TRACE}-b7ad6b7169203331-01")
        job = replace(job, image=image, message=message, finding=finding, first=first)
        self.told.ended(Completion(job, outcome, 250.0), outcome)


PASS = Outcome(ImageState.DECIDED, Verdict.PASS, "clear", "nothing", 1)


def test_an_outcome_counts_with_its_reason_and_its_time() -> None:
    ended = Ended()
    ended.end(PASS, inspected())
    ended.end(
        Outcome(ImageState.REJECTED, None, "truncated", "half of it", 1), Refused("truncated", "half"), lane=Lane.BULK
    )
    value = ended.metrics.value
    assert value(OUTCOMES, {"state": "decided", "verdict": "pass"}) == 1
    assert value(OUTCOMES, {"state": "rejected", "verdict": ""}) == 1
    assert value(VERDICT_REASONS, {"reason": "clear"}) == 1
    assert value(REJECTIONS, {"reason": "truncated"}) == 1
    assert value(VERDICT_SECONDS, {"lane": "live"}, "_sum") == value(VERDICT_SECONDS, {"lane": "bulk"}, "_sum") == 0.25
    assert any(VERDICT_SECONDS.name in line and TRACE in line for line in rendered(ended.metrics))


def test_what_was_found_counts_by_model_and_class() -> None:
    ended = Ended()
    ended.end(PASS, inspected(carton=0.9, hole=0.25))
    ended.end(PASS, inspected())
    value = ended.metrics.value
    assert value(DETECTIONS_PER_IMAGE, {"model": "carton@1"}, "_count") == 2
    assert value(DETECTIONS_PER_IMAGE, {"model": "carton@1"}, "_sum") == 2
    assert value(CONFIDENCE, {"model": "carton@1", "class": "hole"}, "_sum") == pytest.approx(0.25)


def test_classes_beyond_the_limit_are_counted_together() -> None:
    ended = Ended()
    ended.end(PASS, inspected(**{f"class-{n}": 0.5 for n in range(70)}))
    assert ended.metrics.value(CONFIDENCE, {"model": "carton@1", "class": "other"}, "_count") == 6


def test_the_quality_of_a_camera_is_that_of_its_live_images() -> None:
    ended = Ended()
    ended.end(PASS, inspected(), "blurred", "small")
    ended.end(PASS, inspected(), lane=Lane.BULK)
    value, camera = ended.metrics.value, {"camera": "main/dock-7"}
    assert value(IMAGE_SHARPNESS, camera, "_sum") == 200
    assert value(IMAGE_EXPOSURE, camera, "_sum") == 120
    assert value(IMAGE_CONTRAST, camera, "_sum") == 40
    assert [value(IMAGE_FLAGS, {"flag": flag}) for flag in ("blurred", "small", "none", "too-dark")] == [1, 1, 1, 0]


def test_after_a_second_look_both_looks_and_the_whole_picture_count() -> None:
    ended = Ended()
    first = FirstLook(inspected(hole=0.4), prepared("blurred"), Region(0, 0, 640, 480))
    both = inspected(carton=0.9, hole=0.5)
    ended.end(replace(PASS, found=both), inspected(hole=0.5), "too-dark", first=first)
    assert ended.metrics.value(DETECTIONS_PER_IMAGE, {"model": "carton@1"}, "_sum") == 2
    assert ended.metrics.value(IMAGE_FLAGS, {"flag": "blurred"}) == 1
    assert ended.metrics.value(IMAGE_FLAGS, {"flag": "too-dark"}) == 0
