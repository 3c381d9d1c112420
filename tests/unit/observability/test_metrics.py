import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from framegate.kernel.ids import CameraId, FacilityId
from framegate.observability.catalogue import (
    CAMERAS_FOLDED,
    DEAD_LETTERS,
    DEAD_LETTERS_WAITING,
    IMAGES_SETTLED,
    MESSAGES_RELAYED,
    STAGE_SECONDS,
    STEP_SECONDS,
)
from framegate.observability.labels import OTHER, BoundedLabel
from framegate.observability.metrics import Metrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def test_the_order_in_which_labels_are_written_does_not_matter() -> None:
    metrics = Metrics()
    metrics.count(DEAD_LETTERS, stage="gate", cause="poison")
    metrics.count(DEAD_LETTERS, 2, cause="poison", stage="gate")
    metrics.count(DEAD_LETTERS, stage="poison", cause="gate")
    assert metrics.value(DEAD_LETTERS, {"stage": "gate", "cause": "poison"}) == 3
    assert metrics.value(DEAD_LETTERS, {"stage": "poison", "cause": "gate"}) == 1


@pytest.mark.parametrize("labels", [{}, {"stage": "gate", "lane": "live"}, {"lane": "live"}])
def test_labels_that_the_metric_does_not_have_are_refused_each_time(labels: dict[str, str]) -> None:
    metrics = Metrics()
    metrics.count(IMAGES_SETTLED, stage="gate")
    for _ in range(2):
        with pytest.raises(ValueError, match="label"):
            metrics.count(IMAGES_SETTLED, **labels)
    with pytest.raises(ValueError, match="label"):
        metrics.count(MESSAGES_RELAYED, stage="gate")


def test_a_forgotten_series_is_gone_and_comes_back_when_it_is_set_again() -> None:
    metrics = Metrics()
    for queue in ("a", "b"):
        metrics.set(DEAD_LETTERS_WAITING, 3, queue=queue)
    metrics.forget(DEAD_LETTERS_WAITING, queue="a")
    assert b'queue="a"' not in metrics.render()[0]
    metrics.set(DEAD_LETTERS_WAITING, 4, queue="b")
    metrics.set(DEAD_LETTERS_WAITING, 5, queue="a")
    assert metrics.value(DEAD_LETTERS_WAITING, {"queue": "a"}) == 5
    assert metrics.value(DEAD_LETTERS_WAITING, {"queue": "b"}) == 4


def test_no_observation_of_many_threads_is_lost() -> None:
    metrics, together = Metrics(), threading.Barrier(8)

    def write() -> None:
        together.wait(10)
        for number in range(500):
            metrics.count(IMAGES_SETTLED, stage=str(number % 7))
            metrics.observe(STAGE_SECONDS, 0.2, stage=str(number % 7))

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(write) for _ in range(8)]:
            done.result(30)
    assert sum(metrics.value(IMAGES_SETTLED, {"stage": str(number)}) for number in range(7)) == 4000
    assert sum(metrics.value(STAGE_SECONDS, {"stage": str(number)}, "_count") for number in range(7)) == 4000


def test_what_is_set_after_others_forget_is_always_scraped() -> None:
    metrics, stop = Metrics(), threading.Event()

    def forget() -> None:
        while not stop.is_set():
            metrics.forget(DEAD_LETTERS_WAITING, queue="other")

    with ThreadPoolExecutor(1) as pool:
        forgetting = pool.submit(forget)
        try:
            for number in range(1, 2000):
                metrics.set(DEAD_LETTERS_WAITING, number, queue="mine")
                assert metrics.value(DEAD_LETTERS_WAITING, {"queue": "mine"}) == number
        finally:
            stop.set()
        forgetting.result(10)


def test_a_trace_becomes_the_exemplar_of_its_bucket_in_openmetrics() -> None:
    metrics, trace = Metrics(), "0af7651916cd43dd8448eb211c80319c"
    metrics.observe(STEP_SECONDS, 0.004, trace, stage="gate", step="claim")
    metrics.observe(STEP_SECONDS, 7, stage="gate", step="claim")
    body, content_type = metrics.render(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    samples = families["framegate_step_seconds"].samples
    assert [(s.name, s.labels["le"], s.exemplar.labels, s.exemplar.value) for s in samples if s.exemplar] == [
        ("framegate_step_seconds_bucket", "0.005", {"trace_id": trace}, 0.004)
    ]
    assert b"trace_id" not in metrics.render()[0]


def test_when_a_series_began_is_no_series_of_its_own() -> None:
    metrics = Metrics()
    metrics.observe(STAGE_SECONDS, 0.2, stage="gate")
    metrics.count(IMAGES_SETTLED, stage="gate")
    body = metrics.render(OPENMETRICS)[0]
    assert b"framegate_images_settled_total" in body
    assert b"_created" not in body


def test_a_trace_that_openmetrics_has_no_room_for_is_left_out_and_the_observation_counts() -> None:
    metrics = Metrics()
    metrics.observe(STAGE_SECONDS, 0.2, "f" * 121, stage="gate")
    assert metrics.value(STAGE_SECONDS, {"stage": "gate"}, "_count") == 1
    assert b"trace_id" not in metrics.render(OPENMETRICS)[0]
    metrics.observe(STAGE_SECONDS, 0.2, "f" * 120, stage="gate")
    assert b"trace_id" in metrics.render(OPENMETRICS)[0]


def test_cameras_beyond_the_limit_are_other_and_counted_once() -> None:
    metrics, facility = Metrics(cameras=2), FacilityId("main")
    labels = [metrics.camera(facility, CameraId(name)) for name in ("a", "b", "c", "d", "c", "a")]
    assert labels == ["main/a", "main/b", OTHER, OTHER, OTHER, "main/a"]
    assert metrics.value(CAMERAS_FOLDED) == 2


def test_classes_beyond_64_are_other() -> None:
    metrics = Metrics()
    labels = {metrics.label_class(f"class-{number}") for number in range(100)}
    assert len(labels) == 65
    assert OTHER in labels


def test_what_is_folded_is_counted_up_to_a_bound() -> None:
    told: list[int] = []
    label = BoundedLabel(1, told.append)
    for number in range(150):
        label(str(number))
    assert told == list(range(1, 101))
