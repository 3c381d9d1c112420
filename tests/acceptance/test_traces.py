"""A box with a collector: what any tracing backend would show of one image."""

import itertools
import json
from collections.abc import Iterator
from uuid import UUID

import pytest

from framegate.starter import sample_frames
from tests.support.box import RunningBox, running_box, until
from tests.support.collector import Collector
from tests.support.jpegs import commented
from tests.support.receivers import ReceiverServer
from tests.support.spans import Spans

CAMERAS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRET = "canary-7f3a9c"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


@pytest.fixture(scope="module")
def traced(
    collector: Collector, receiver: ReceiverServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningBox]:
    environment = {
        "FRAMEGATE_TRACES__ENDPOINT": collector.url,
        "FRAMEGATE_TRACES__SAMPLE": "0",
        "FRAMEGATE_HOOKS__ALLOW": f"http://127.0.0.1:{receiver.port}",
    }
    with running_box(tmp_path_factory.mktemp("traced") / "data", **environment) as running:
        running.run("cameras", "add", "dock-1")
        yield running


def failing(box: RunningBox, **headers: str) -> str:
    """An image that fails, so that somebody is told."""
    for frame in sample_frames():
        data = commented(frame.read_bytes(), f"frame {next(_numbers)}")
        answer = box.upload(data, headers=headers, **{"meta.order": SECRET})
        record = box.outcome(answer.json()["id"])
        if record["verdict"] == "fail":
            return str(record["id"])
    pytest.fail("no sample frame fails")


def whole(collector: Collector, image: str, count: int) -> Spans | None:
    """The request of an image and all that is below it, once that are so many spans."""
    spans = Spans(collector.spans)
    found = Spans(span for span in spans.named("POST /v1/images") if span.attributes["framegate.image.id"] == image)
    for above in found:  # grows meanwhile
        found += [span for span in spans if span.parent_id == above.context.span_id]
    return found if len(found) >= count else None


def test_an_image_is_one_trace_from_http_to_the_hook(
    traced: RunningBox, collector: Collector, receiver: ReceiverServer
) -> None:
    secret = traced.run("hooks", "add", "--url", f"http://127.0.0.1:{receiver.port}/{SECRET}").strip()
    image = failing(traced, traceparent=CAMERAS)
    expected = [
        "server POST /v1/images",
        "internal store",
        "client intake.accept",
        *(f"producer send frame-{name}-live" for name in ("submitted", "prepared", "inspected")),
        *(f"consumer process frame-{name}-live" for name in ("submitted", "prepared", "inspected")),
        *["client progress.claim", "internal load", "client progress.complete"] * 3,
        *("internal preprocess", "internal inference", "internal gate"),
        "client deliver webhook",
    ]
    mine = until(lambda: whole(collector, image, len(expected)), 30, "the last span")
    assert sorted(f"{span.kind} {span.name}" for span in mine) == sorted(expected)
    assert {span.context.trace_id for span in mine} == {CAMERAS[3:35]}
    assert mine.one("POST /v1/images").parent_id == CAMERAS[36:52]
    assert collector.services >= {f"framegate-{name}" for name in ("ingest", "preprocess", "inference", "alerts")}

    hook = mine.one("deliver webhook")
    (told, *_) = [one for one in receiver.requests if SECRET in one.line and "traceparent" in one.headers]
    assert told.headers["traceparent"] == f"00-{hook.context.trace_id}-{hook.context.span_id}-01"
    assert json.loads(told.body)["data"]["image"]["id"] == image

    everything = b"".join(collector.bodies)
    for canary in (SECRET, traced.key, secret, "postgresql://"):
        assert canary.encode() not in everything

    shown = json.loads(traced.run("trace", image, "--json"))
    assert (shown["trace_id"], shown["recorded"]) == (CAMERAS[3:35], True)
    names = [bar["what"] for bar in shown["bars"]]
    for what in ("received", "preprocess", "inference", "gate", "fail", "hook: incident.opened"):
        assert what in names
    printed = traced.run("trace", image)
    assert CAMERAS[3:35] in printed
    assert "since the outcome" in printed


def test_an_image_that_is_not_sampled_leaves_nothing_but_is_told_of_by_the_command(
    traced: RunningBox, collector: Collector
) -> None:
    image = failing(traced)
    shown = json.loads(traced.run("trace", image, "--json"))
    assert (shown["trace_id"], shown["recorded"]) == (None, False)
    assert traced.stop() == 0, "its end sends what waits"
    assert UUID(image).hex not in collector.spans.trace_ids()
    assert image not in {span.attributes.get("framegate.image.id") for span in collector.spans}
