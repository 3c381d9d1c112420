"""`framegate bench --stage alerts`: from a recorded verdict to the first attempt at a receiver."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import numpy as np

from framegate.bootstrap import EmbeddedPostgres, Stores, migrate, open_stores
from framegate.box.bench.run import Say, percentiles
from framegate.box.keys import create_key
from framegate.environment import child_environment
from framegate.kernel.detections import Detections
from framegate.kernel.errors import FramegateError
from framegate.kernel.geometry import Letterbox
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, new_image_id
from framegate.kernel.inspection import Alert, Inspected, Outcome, Prepared, Quality
from framegate.kernel.messages import FrameInspected, FramePrepared, FrameSubmitted, Message
from framegate.kernel.states import DEFAULT_SCOPES, ImageState, Lane, Stage, Verdict
from framegate.ports.deliveries import Subscription
from framegate.ports.hooks import HookKind
from framegate.ports.progress import Claim, Completion, Result
from framegate.ports.store import NewImage
from framegate.settings import Settings

_LEASE: Final = timedelta(minutes=30)
_WARM: Final = 20
_RULES: Final = 64
_HANG_S: Final = 600.0
_PATIENCE_S: Final = 60.0
_NOTHING: Final = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
_FOUND: Final = Inspected(_NOTHING, (), "bench@1", "00" * 32, "bench")
_PREPARED: Final = Prepared("bench", "raw", Letterbox.fit(64, 48, 640, 640), Quality(100, 100, 40, 0, 0, ()), {})


class _Receiver:
    """Answers 200 at once, or never; `arrivals` are (moment of the verdict, of the arrival), seconds since 1970."""

    def __init__(self, *, hangs: bool) -> None:
        self.arrivals: list[tuple[float, float]] = []
        ended = self._ended = threading.Event()
        arrivals = self.arrivals

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                arrived = time.time()
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if hangs:
                    ended.wait(_HANG_S)
                    return
                arrivals.append((datetime.fromisoformat(body["timestamp"]).timestamp(), arrived))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


def run_alerts_bench(settings: Settings, scratch: Path, rate_per_s: float, seconds: float, say: Say) -> dict[str, Any]:
    """Verdicts are recorded as the gate records them, one at a time; only the alerts stage runs beside."""
    data = scratch / "box"
    data.mkdir(mode=0o700)
    settings = settings.model_copy(update={"data": data})
    quick, hangs = _Receiver(hangs=False), _Receiver(hangs=True)
    try:
        with EmbeddedPostgres(data).owned() as url:
            migrate(url)
            stores = open_stores(settings, url)
            try:
                with _stage(settings, url, [quick.port, hangs.port], scratch / "alerts.log"):
                    return _measure(stores, settings, (quick, hangs), rate_per_s, seconds, say)
            finally:
                stores.close()
    finally:
        for receiver in (quick, hangs):
            receiver.close()


def _measure(
    stores: Stores, settings: Settings, receivers: tuple[_Receiver, _Receiver], rate: float, seconds: float, say: Say
) -> dict[str, Any]:
    quick, _ = receivers
    create_key(stores, settings, "bench", frozenset(map(str, DEFAULT_SCOPES)), [DEFAULT_FACILITY], days=1)
    for receiver in receivers:
        _subscribe(stores, receiver.port)
    count = round(rate * seconds)
    say(f"preparing {count} images that will fail")
    claims = [
        claim
        for start in range(0, count + _WARM, 100)
        for claim in _at_the_gate(stores, min(100, count + _WARM - start))
    ]
    say("warming up")
    for number, claim in enumerate(claims[:_WARM]):
        _decide(stores, claim, "warm", number)
    _wait(quick, _WARM)
    quick.arrivals.clear()
    say(f"{rate:g} verdicts a second for {seconds:g} s")
    commits: list[float] = []
    began = time.monotonic()
    for number, claim in enumerate(claims[_WARM:]):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        started = time.perf_counter()
        _decide(stores, claim, "pallet", number)
        commits.append((time.perf_counter() - started) * 1000)
    took_s = time.monotonic() - began
    _wait(quick, count)
    latency = percentiles([(arrived - decided) * 1000 for decided, arrived in quick.arrivals])
    commit = percentiles(commits)
    return {
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "alerts": count,
        "asked_per_s": rate,
        "recorded_per_s": round(count / took_s, 1),
        "verdict_to_first_attempt_ms": latency,
        "recording_a_verdict_ms": commit,
        "ratio_p50": round(latency["p50"] / commit["p50"], 2),
        "beside": "one receiver that never answers",
    }


@contextmanager
def _stage(settings: Settings, url: str, ports: list[int], log: Path) -> Iterator[None]:
    environment = child_environment(
        DATABASE_URL=url,
        FRAMEGATE_DATA=str(settings.data),
        FRAMEGATE_HOOKS__ALLOW=",".join(f"http://127.0.0.1:{port}" for port in ports),
        FRAMEGATE_WORKER__PORT="0",
    )
    with log.open("wb") as output:
        command = [sys.executable, "-m", "framegate", "run", str(Stage.ALERTS)]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield
            if process.poll() is not None:
                raise FramegateError(f"the alerts stage ended by itself: {log.read_text('utf-8')[-500:]}")
        finally:
            process.terminate()
            try:
                process.wait(5)  # deliveries to the receiver that hangs are left to their leases
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _subscribe(stores: Stores, port: int) -> None:
    target, now = f"http://127.0.0.1:{port}/", datetime.now(UTC)
    stores.endpoints.add_endpoint(Subscription.new(DEFAULT_FACILITY, HookKind.WEBHOOK, target, now, "bench"), "bench")


def _at_the_gate(stores: Stores, count: int) -> list[Claim]:
    """New images as the gate holds them."""
    images = [_image() for _ in range(count)]
    stores.intake.accept(images)
    steps: tuple[tuple[Stage, type[Message], Result], ...] = (
        (Stage.PREPROCESS, FrameSubmitted, _PREPARED),
        (Stage.INFERENCE, FramePrepared, _FOUND),
    )
    for stage, kind, result in steps:
        stores.progress.complete([Completion(claim, result, 1.0) for claim in _claim(stores, stage, kind, images)])
    return _claim(stores, Stage.GATE, FrameInspected, images)


def _claim(stores: Stores, stage: Stage, kind: type[Message], images: list[NewImage]) -> list[Claim]:
    messages = [kind(image.facility, image.image_id, 1, image.lane) for image in images]
    claims = stores.progress.claim(stage, messages, "bench", _LEASE)
    held = [claim for claim in claims if isinstance(claim, Claim)]
    if len(held) != len(images):
        raise FramegateError(f"{len(images) - len(held)} images could not be claimed for {stage}")
    return held


def _image() -> NewImage:
    image_id = new_image_id()
    digest = image_id.hex * 2
    return NewImage(
        DEFAULT_FACILITY, image_id, CameraId("bench"), Lane.LIVE, f"originals/{image_id}", "image/jpeg", digest, 1, 64, 48,
        1, (), None, {}, "bench", None, digest,
    )  # fmt: skip


def _decide(stores: Stores, claim: Claim, what: str, number: int) -> None:
    # Of few rules, so that none has more incidents at a time than are told of one by one.
    rule = f"damage-{number % _RULES}"
    alert = Alert(rule, "critical", f"{what}/{number}", "A torn carton.", 3600.0, None)
    outcome = Outcome(ImageState.DECIDED, Verdict.FAIL, "damage", "torn at 0.90", 1, (alert,))
    if stores.progress.complete([Completion(claim, outcome, 1.0)]) != [True]:
        raise FramegateError("a verdict was not recorded")


def _wait(receiver: _Receiver, count: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while len(receiver.arrivals) < count:
        if time.monotonic() > deadline:
            raise FramegateError(f"only {len(receiver.arrivals)} of {count} alerts arrived within {_PATIENCE_S:g} s")
        time.sleep(0.05)
