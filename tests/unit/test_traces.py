"""One image, from its upload to whoever is told of it, is one trace."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest

from framegate.adapters.memory import FakeClock
from framegate.alerts.dispatcher import Dispatcher, DispatchOptions
from framegate.kernel.errors import EngineFault
from framegate.kernel.ids import ImageId, new_uuid7
from framegate.kernel.inspection import Alert
from framegate.kernel.states import Stage, Verdict
from framegate.kernel.tracecontext import is_sampled, trace_id_of
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Kind, Systems, Tracing
from framegate.ports.hooks import HookKind
from framegate.ports.notices import Announcer
from framegate.ports.progress import Claim, Result
from framegate.worker.handler import WorkerOptions
from framegate.worker.loop import Worker
from tests.contracts.examples import inspected, outcome, prepared
from tests.contracts.hooks import subscription
from tests.support.clocks import let_time_pass
from tests.support.pictures import jpeg
from tests.support.spans import Spans, names
from tests.unit.ingest.fakes import HALL, ApiBox

STAGES = (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE)
CAMERAS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ALERT = Alert("damage", "critical", "dock-1", "A torn carton.")
SECRET = "canary-7f3a"


@dataclass
class Scripted:
    """A stage with a result that is always the same, after whatever the script says."""

    stage: Stage
    result: Result
    before: Callable[[Sequence[Claim]], None] = lambda jobs: None

    def load(self, claim: Claim) -> Claim:
        return claim

    def handle(self, jobs: Sequence[Claim]) -> list[Result]:
        self.before(jobs)
        return [self.result for _ in jobs]

    def settled(self, jobs: Sequence[Claim]) -> None:
        pass

    def close(self) -> None:
        pass


class Site:
    """An API, the three stages and a receiver, over memory."""

    def __init__(self, spool: Path, sample: float = 1.0, cameras_per_s: float = 10.0) -> None:
        self.spans, ticks = Spans(), count(1_000)
        self.tracing = Tracing(
            self.spans,
            sample=sample,
            cameras_per_s=cameras_per_s,
            systems=Systems("memory", "memory"),
            now_ns=lambda: next(ticks),
        )
        self.clock = FakeClock(blocking=True)
        self.api = ApiBox(spool, clock=self.clock, tracing=self.tracing)
        self.store = self.api.store
        results: list[Result] = [prepared(), inspected("box"), outcome(Verdict.FAIL, 1, ALERT)]
        self.stages = {stage: Scripted(stage, result) for stage, result in zip(STAGES, results, strict=True)}

    def upload(self, trace: str = "", number: int = 0) -> ImageId:
        async def send() -> UUID:
            headers = {"Content-Type": "image/jpeg"} | ({"traceparent": trace} if trace else {})
            parameters = {"camera": "dock-1", "meta.secret": SECRET}
            async with self.api.client() as client:
                answer = await client.post("/v1/images", content=jpeg(seed=number), headers=headers, params=parameters)
            assert answer.status_code == 202, answer.text
            return UUID(answer.json()["id"])

        return ImageId(anyio.run(send))

    @contextmanager
    def running(self, *stages: Stage, **options: Any) -> Iterator[None]:
        stop = threading.Event()
        with ExitStack() as stack:
            stack.callback(stop.set)
            for stage in stages:
                wanted = WorkerOptions(owner=str(stage), poll=timedelta(milliseconds=20), **options)
                worker = Worker(
                    self.stages[stage],
                    self.store.queue,
                    self.store.progress,
                    wanted,
                    self.clock,
                    Metrics(),
                    self.tracing,
                )
                thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
                thread.start()
                stack.callback(thread.join, 20)
                stack.callback(stop.set)
            yield

    def decide(self, *images: ImageId) -> None:
        """Until all of them have ended; time passes, so that what failed is tried again."""
        with self.running(*STAGES):
            let_time_pass(self.clock, lambda: all(self._ended(image) for image in images), 0.05)

    def _ended(self, image: ImageId) -> bool:
        record = self.store.results.image(frozenset({HALL}), image)
        return record is not None and record.decided_at is not None

    def tell(self) -> None:
        """One round of the alerts stage."""
        dispatcher = Dispatcher(
            self.store.deliveries, {HookKind.WEBHOOK: self.api.hook}, lambda *_: ("whsec_c2VjcmV0",), "alerts",
            DispatchOptions(), self.clock, lambda: 0.5, Metrics(), get_log(), tracing=self.tracing,
        )  # fmt: skip
        self.store.incidents.group(100, Announcer("https://inspect.example", b"pepper"))
        dispatcher.dispatch()
        assert dispatcher.drain(10)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.api.close()


def test_an_image_is_one_trace_from_the_upload_to_the_hook(site: Site) -> None:
    site.store.endpoints.add_endpoint(subscription(facility=HALL, created_at=site.clock.now()), "test")
    image = site.upload()
    site.decide(image)
    site.tell()
    assert site.spans.trace_ids() == {image.hex}
    assert site.spans.tree() == [
        "server POST /v1/images",
        "  internal store",
        "  client intake.accept",
        "  producer send frame-submitted-live",
        "    consumer process frame-submitted-live",
        "      client progress.claim",
        "      internal load",
        "      internal preprocess",
        "      client progress.complete",
        "      producer send frame-prepared-live",
        "        consumer process frame-prepared-live",
        "          client progress.claim",
        "          internal load",
        "          internal inference",
        "          client progress.complete",
        "          producer send frame-inspected-live",
        "            consumer process frame-inspected-live",
        "              client progress.claim",
        "              internal load",
        "              internal gate",
        "              client progress.complete",
        "    client deliver webhook",
    ]


def test_the_receiver_is_given_the_span_that_tells_of_it(site: Site) -> None:
    site.store.endpoints.add_endpoint(subscription(facility=HALL, created_at=site.clock.now()), "test")
    image = site.upload()
    site.decide(image)
    site.tell()
    (received,) = site.api.hook.received
    assert received.message.trace == str(site.spans.one("deliver webhook").context)


def test_the_camera_is_above_all_of_it_where_it_has_a_trace(site: Site) -> None:
    image = site.upload(CAMERAS)
    site.decide(image)
    assert site.spans.trace_ids() == {trace_id_of(CAMERAS)}
    assert site.spans.one("POST /v1/images").parent_id == "00f067aa0ba902b7"
    record = site.store.results.image(frozenset({HALL}), image)
    assert record is not None
    assert record.trace == str(site.spans.one("send frame-submitted-live").context)


@pytest.mark.parametrize("trace", ["", "nonsense", f"{CAMERAS[:-2]}00"])
def test_an_image_that_is_not_chosen_leaves_no_span(tmp_path: Path, trace: str) -> None:
    site = Site(tmp_path, sample=0.0)
    image = site.upload(trace)
    site.decide(image)
    site.tell()
    assert site.spans == []
    record = site.store.results.image(frozenset({HALL}), image)
    assert record is not None
    assert record.trace == (trace if trace.startswith("00") else "")
    site.api.close()


def test_a_camera_that_does_not_want_to_be_recorded_is_not_whatever_the_share(site: Site) -> None:
    site.decide(site.upload(f"{CAMERAS[:-2]}00"))
    assert site.spans == []


def test_a_camera_decides_for_itself_whatever_the_share_but_only_so_often(tmp_path: Path) -> None:
    site = Site(tmp_path, sample=0.0, cameras_per_s=2)  # and hardly any time passes: the clock counts nanoseconds
    images = [site.upload(CAMERAS, number) for number in range(4)]
    records = [site.store.results.image(frozenset({HALL}), image) for image in images]
    traces = [record.trace for record in records if record is not None]
    assert [is_sampled(trace) for trace in traces] == [True, True, False, False]
    assert {trace[3:35] for trace in traces} == {trace_id_of(CAMERAS)}, "the trace goes on, unrecorded"
    site.decide(*images)
    assert names(site.spans)["POST /v1/images"] == 2
    assert names(site.spans)["gate"] == 2
    site.api.close()


def test_where_tracing_is_off_a_cameras_trace_goes_on_and_nobody_says_that_it_is_recorded() -> None:
    context = Tracing().upload(CAMERAS).begin(new_uuid7(), "hall-1", "dock-1")
    assert context == f"{CAMERAS[:-2]}00"
    assert Tracing().upload("").begin(new_uuid7(), "hall-1", "dock-1") == ""


def test_an_attempt_that_failed_is_told_with_the_kind_of_its_error_and_without_its_text(site: Site) -> None:
    failures = iter([EngineFault(f"{SECRET} is broken")])

    def fail_once(_: Sequence[Claim]) -> None:
        for failure in failures:
            raise failure

    site.stages[Stage.INFERENCE].before = fail_once
    image = site.upload()
    site.decide(image)
    assert site.spans.trace_ids() == {image.hex}
    attempts = site.spans.named("process frame-prepared-live")
    assert [(span.attributes["framegate.attempt"], span.error) for span in attempts] == [(1, "EngineFault"), (2, "")]
    assert len({span.parent_id for span in attempts}) == 1, "both are below the message that brought them"
    assert [span.error for span in site.spans.named("inference")] == ["EngineFault", ""]
    assert [span.attributes["framegate.ending"] for span in attempts if span.error] == ["error"]
    assert "  internal inference !EngineFault" in [line[8:] for line in site.spans.tree()]


def test_a_batch_and_its_images_link_to_each_other(site: Site) -> None:
    images = [site.upload(number=number) for number in range(3)]
    with site.running(Stage.PREPROCESS, max_batch=4, max_wait=timedelta(seconds=2)):
        let_time_pass(site.clock, lambda: names(site.spans)["process frame-submitted-live"] == 3, 0)
    batch = site.spans.one("preprocess batch")
    assert (batch.kind, batch.parent_id, batch.attributes["framegate.batch.images"]) == (Kind.INTERNAL, "", 3)
    members = site.spans.named("preprocess")
    assert {span.context.trace_id for span in members} == {image.hex for image in images}
    assert set(batch.links) == {span.context for span in members}
    assert {span.links for span in members} == {(batch.context,)}
    assert batch.context.trace_id not in {image.hex for image in images}
    assert site.spans.named("progress.claim")[0].attributes["db.operation.batch.size"] == 3


def test_in_a_batch_only_those_that_are_recorded_are_told_of(tmp_path: Path) -> None:
    site = Site(tmp_path, sample=0.0)
    images = [site.upload(trace, number) for number, trace in enumerate(["", CAMERAS, ""])]
    with site.running(Stage.PREPROCESS, max_batch=4, max_wait=timedelta(seconds=2)):
        let_time_pass(site.clock, lambda: site.store.queue.depth("frame-prepared-live").ready == len(images), 0)
    batch, member = site.spans.one("preprocess batch"), site.spans.one("preprocess")
    assert batch.links == (member.context,)
    assert batch.attributes["framegate.batch.images"] == 3
    site.api.close()


def test_a_message_that_is_sent_again_goes_on_with_the_trace(site: Site) -> None:
    image = site.upload()
    site.store.queue.acknowledge(
        site.store.queue.receive(["frame-submitted-live"], 1, timedelta(), timedelta(minutes=1))
    )
    site.clock.advance(3600)
    record = site.store.results.image(frozenset({HALL}), image)
    assert record is not None
    assert len(site.store.upkeep.reissue_overdue({record.state: timedelta(minutes=1)}, 10)) == 1
    site.decide(image)
    assert site.spans.trace_ids() == {image.hex}
    assert site.spans.one("process frame-submitted-live").parent_id == record.trace[36:52]


def test_an_upload_that_is_known_begins_no_trace(site: Site) -> None:
    async def send() -> list[int]:
        headers = {"Content-Type": "image/jpeg", "Idempotency-Key": "one"}
        async with site.api.client() as client:
            sent = [
                await client.post("/v1/images?camera=dock-1", content=jpeg(seed=1), headers=headers) for _ in range(2)
            ]
        return [answer.status_code for answer in sent]

    assert anyio.run(send) == [202, 202]
    assert names(site.spans)["POST /v1/images"] == 1
    assert len(site.spans.trace_ids()) == 1


def test_no_attribute_holds_what_the_sender_said_of_the_image_or_a_secret(site: Site) -> None:
    target = f"https://hooks.example/{SECRET}"
    site.store.endpoints.add_endpoint(subscription(facility=HALL, created_at=site.clock.now(), target=target), "test")
    site.decide(site.upload())
    site.tell()
    assert names(site.spans)["deliver webhook"] == 1
    told = " ".join(f"{span.name} {span.attributes} {span.error}" for span in site.spans)
    for secret in (SECRET, "whsec", "c2VjcmV0", site.api.key):
        assert secret not in told
