"""Spans on their way to a collector, and to one that does not take them."""

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from framegate.adapters.otlp import MOST_WAITING, SpanSender, otlp_exporter
from framegate.bootstrap import open_tracing
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import new_image_id
from framegate.kernel.states import Stage
from framegate.kernel.tracecontext import SpanContext, new_span_id, root_of
from framegate.observability.catalogue import SPANS
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Kind, Span
from framegate.settings import Settings, TraceSettings
from tests.support.box import until
from tests.support.collector import Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def span(name: str = "one", **changes: object) -> Span:
    values: dict[str, object] = {
        "name": name,
        "kind": Kind.INTERNAL,
        "context": root_of(new_image_id(), new_span_id()),
        "parent_id": "",
        "start_ns": 1_000_000_007,
        "end_ns": 1_000_000_019,
    }
    return Span(**(values | changes))  # type: ignore[arg-type]


def sender(url: str, told: Counter[str], timeout_s: float = 2) -> SpanSender:
    exporter = otlp_exporter(f"{url}/v1/traces", timeout_s)
    return SpanSender(exporter, {"service.name": "framegate-test"}, lambda result, count: told.update({result: count}))


@pytest.mark.parametrize("kind", list(Kind))
def test_a_span_arrives_as_it_was_told(collector: Collector, kind: Kind) -> None:
    root = root_of(new_image_id(), new_span_id())
    link = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1)
    sent = [
        span("above", context=root, kind=kind, attributes={"a": "text", "b": 2, "c": 0.5, "d": True}),
        span("below", context=root.next(new_span_id()), parent_id=root.span_id, links=(link,), error="ValueError"),
    ]
    told: Counter[str] = Counter()
    sending = sender(collector.url, told)
    for one in sent:
        sending(one)
    sending.close()
    assert told == {"exported": 2}
    assert collector.services == {"framegate-test"}

    def essence(one: Span) -> tuple[object, ...]:
        ids = one.context.trace_id, one.context.span_id, one.parent_id
        links = [(link.trace_id, link.span_id) for link in one.links]
        return one.name, one.kind, ids, one.start_ns, one.end_ns, dict(one.attributes), links, one.error

    assert [essence(one) for one in collector.spans] == [essence(one) for one in sent]


def test_what_no_collector_takes_is_counted_and_keeps_nobody_waiting() -> None:
    told: Counter[str] = Counter()
    sending = sender("http://127.0.0.1:9", told, timeout_s=1)
    began = time.monotonic()
    for _ in range(100):
        sending(span())
    assert time.monotonic() - began < 0.5
    sending.close()
    assert time.monotonic() - began < 8
    assert told == {"failed": 100}


def test_a_collector_that_refuses_costs_its_spans_only(collector: Collector) -> None:
    collector.status = 400
    told: Counter[str] = Counter()
    sending = sender(collector.url, told)
    sending(span())
    until(lambda: told["failed"] == 1, 10, "the refusal")
    collector.status = 200
    sending(span("later"))
    sending.close()
    assert told == {"failed": 1, "exported": 1}
    assert [one.name for one in collector.spans] == ["later"]


def test_a_collector_that_does_not_answer_fills_the_queue_and_no_more(collector: Collector) -> None:
    collector.gate.clear()
    told: Counter[str] = Counter()
    sending = sender(collector.url, told, timeout_s=30)
    for _ in range(2 * MOST_WAITING):
        sending(span())
    assert told["dropped"] >= MOST_WAITING - 600, "what is in the thread's hands is in the queue no more"
    before, began = told["dropped"], time.monotonic()
    sending.close()
    assert time.monotonic() - began < 5
    assert told["dropped"] > before, "what waits at the end is not waited for"


def test_a_share_and_an_endpoint_are_all_that_is_to_be_set(collector: Collector) -> None:
    metrics = Metrics()
    settings = Settings(traces=TraceSettings(endpoint=collector.url, sample=1))
    with open_tracing(settings, metrics, [Stage.GATE]) as tracing:
        assert tracing.on
        traced = tracing.upload("")
        assert traced.begin(new_image_id(), "main", "dock-1")
        traced.recorded("POST /v1/images", Kind.SERVER, "frame-submitted-live")
    assert len(collector.spans.tree()) == 4
    assert collector.services == {"framegate-gate"}
    assert metrics.value(SPANS, {"result": "exported"}) == 4


def test_without_an_endpoint_nothing_is_recorded() -> None:
    with open_tracing(Settings(), Metrics(), [Stage.GATE]) as tracing:
        assert not tracing.on
        assert tracing.upload("").begin(new_image_id(), "main", "dock-1") == ""


def test_an_endpoint_without_opentelemetry_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "framegate.adapters.otlp", None)
    settings = Settings(traces=TraceSettings(endpoint="http://127.0.0.1:9"))
    with (
        pytest.raises(ConfigurationError, match=r"pip install 'framegate\[traces\]'"),
        open_tracing(settings, Metrics(), [Stage.GATE]),
    ):
        pass
