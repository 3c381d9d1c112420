"""SIGTERM at any moment, on SQS: each process ends well and in time, and hides nothing from those who come after it.

`STOPS=100` in the environment makes it the full run; `-s` shows its figures. The processes are forks of one that has
loaded the libraries, which takes longer than all else that a start does; what they run is the command line.
"""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest

from framegate.adapters.postgres import PostgresIntake
from framegate.bootstrap import Stores, open_blobs, open_stores, provision
from framegate.box.keys import create_key
from framegate.kernel.inspection import Refused
from framegate.kernel.messages import decode
from framegate.kernel.states import DEFAULT_SCOPES, ImageState, Lane, Stage
from framegate.pipeline import NEXT_MESSAGE, queue_name, queues_of
from framegate.ports.progress import Claim, Completion, Result
from framegate.ports.store import NewImage
from framegate.settings import Settings
from tests.contracts.examples import FACILITY, message, new_image, prepared
from tests.support import forks
from tests.support.aws import lead_to
from tests.support.box import free_port, until
from tests.support.fake_sqs.broker import Broker
from tests.support.fake_sqs.message import State
from tests.support.fake_sqs.running import RunningFake, running_fake_sqs
from tests.support.pictures import jpeg

STOPS = int(os.environ.get("STOPS", "10"))
VICTIMS = (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE, Stage.INGEST)
#: More than each can do before it is told to stop.
WORK = {Stage.PREPROCESS: 250, Stage.INFERENCE: 60, Stage.GATE: 1000}
EXIT_S, INVISIBLE_S = 25.0, 2.0
_PREFIX = "stops-"
_PICTURE = jpeg(1, 1280, 720)
_ROWS = np.full((480, 640, 3), 127, np.uint8).tobytes()  #: what `examples.prepared` says of its frame


@dataclass(frozen=True, slots=True)
class Stop:
    """How one process ended; times in seconds."""

    stage: Stage
    after_s: float  #: from ready to SIGTERM
    held: int  #: messages that were invisible then
    code: int | None
    exit_s: float
    invisible_s: float  #: from its exit until nothing was invisible


class Plant:
    """A database, a directory of pictures and queues; each stage as a process of its own, when it is wanted."""

    def __init__(self, fake: RunningFake, settings: Settings, database_url: str, directory: Path) -> None:
        self._fake, self._settings, self._url, self._directory = fake, settings, database_url, directory
        self.stores: Stores = open_stores(settings, database_url)
        self.blobs = open_blobs(settings)
        self.key = create_key(self.stores, settings, "test", frozenset(map(str, DEFAULT_SCOPES)), [FACILITY], days=1)
        self._quiet = PostgresIntake(self.stores.database)  # into a table that nobody reads here

    def fill(self, stage: Stage, lanes: Sequence[Lane]) -> None:
        """The queue of a stage up to what it cannot do in its time; the stages before it are not asked."""
        missing = WORK.get(stage, 0) - len(self.ready(stage))
        images = [new_image(_PICTURE, lane=lanes[n % len(lanes)]) for n in range(missing)]
        if stage is Stage.PREPROCESS:
            for image in images:
                self.blobs.put(image.blob_key, _PICTURE, durable=False)
            self.stores.intake.accept(images)
        elif images:
            self._quiet.accept(images)
            results = [self._result_before(stage, image) for image in images]
            messages = [message(Stage.PREPROCESS, image) for image in images]
            answers = self.stores.progress.claim(Stage.PREPROCESS, messages, "test", self._settings.lease)
            claims = [answer for answer in answers if isinstance(answer, Claim)]
            pairs = zip(claims, results, strict=True)
            assert all(self.stores.progress.complete([Completion(*pair) for pair in pairs]))
        until(lambda: not self.unsent(), 20, "the sends")

    def _result_before(self, stage: Stage, image: NewImage) -> Result:
        if stage is Stage.GATE:
            return Refused("truncated", "It ends too early.")
        made = prepared(f"prepared/{image.image_id}")
        self.blobs.put(made.blob_key, _ROWS, durable=False)
        return made

    def unsent(self) -> int:
        return len(self._rows("select id from outbox"))

    def ready(self, stage: Stage) -> set[str]:
        """The images of which a message waits for `stage`, visible to everybody."""

        def work(broker: Broker) -> list[str]:
            queues = [broker.queue(_PREFIX + name) for name in queues_of(stage)]
            return [m.body for q in queues for m in q._messages.values() if m.state is State.READY]

        return {str(decode(body).image_id) for body in self._fake.do(work)}

    def invisible(self, stage: Stage) -> int:
        counts = self._fake.statistics()["messages"]
        return sum(counts[_PREFIX + name]["in_flight"] for name in queues_of(stage))

    def stranded(self) -> list[str]:
        """Images that somebody who is gone still claims, or of which no message is ready: only the sweeper helps them."""
        ready: dict[str, set[str]] = {}
        for stage in WORK:
            for name in queues_of(stage):
                ready[name] = self.ready(stage)
        query = "select p.image_id::text, p.state, i.lane, p.claimed_by from progress p join images i using (image_id)"
        found = []
        for image, state, lane, claimed_by in self._rows(query):
            kind = NEXT_MESSAGE[ImageState(state)]
            assert kind is not None
            if claimed_by or image not in ready[queue_name(kind, Lane(lane))]:
                found.append(f"{image} {state} {lane} claimed by {claimed_by}")
        return found

    def ended(self) -> int:
        return len(self._rows("select image_id from outcomes"))

    def accepted(self) -> set[str]:
        return {row[0] for row in self._rows("select image_id::text from images")}

    def _rows(self, query: str) -> list[tuple[str, ...]]:
        with psycopg.connect(self._url) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def stop(self, stage: Stage, number: int, after_s: float, poll_s: int) -> Stop:
        """Starts `stage`, lets it work for `after_s`, and tells it to stop."""
        port, log = free_port(), self._directory / f"{number}-{stage}.log"
        environment = {
            "DATABASE_URL": self._url,
            "FRAMEGATE_QUEUE__KIND": "sqs",
            "FRAMEGATE_QUEUE__PREFIX": _PREFIX,
            "FRAMEGATE_QUEUE__POLL_S": str(poll_s),
            "FRAMEGATE_DATA": str(self._settings.data),
            "FRAMEGATE_ENGINE": "onnxruntime",  # `auto` would compare engines at each start
            "FRAMEGATE_API__PORT": str(port),
            "FRAMEGATE_API__MIN_FREE_MB": "16",
            "FRAMEGATE_LOG_JSON": "true",
        }
        log.touch()
        process = forks.start(["run", str(stage)], {**os.environ, **environment}, log)
        assert process.pid is not None
        try:
            with Uploads(port, self.key, number) if stage is Stage.INGEST else Uploads.none() as uploads:

                def at_work() -> bool:
                    assert process.exitcode is None, log.read_text("utf-8")
                    return bool(uploads.accepted) or '"action": "ready"' in log.read_text("utf-8")

                until(at_work, 60, f"{stage}: {log}")
                time.sleep(after_s)
                held, told = self.invisible(stage), time.monotonic()
                os.kill(process.pid, signal.SIGTERM)
                process.join(EXIT_S + 20)
                ended, code = time.monotonic(), process.exitcode
            until(lambda: not self.invisible(stage), 90, f"{stage}: visibility")
            invisible_s = time.monotonic() - ended
            assert uploads.accepted <= self.accepted(), "an upload was answered with 202 and is not there"
            return Stop(stage, round(after_s, 2), held, code, round(ended - told, 2), round(invisible_s, 2))
        finally:
            process.kill()
            process.join(10)


class Uploads:
    """Cameras that upload for as long as the context lasts; `accepted` are the images that were answered with 202."""

    def __init__(self, port: int, key: str, seed: int, cameras: int = 2) -> None:
        self.accepted: set[str] = set()
        self._url, self._key, self._seed = f"http://127.0.0.1:{port}/v1/images", key, seed
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[n]) for n in range(cameras)]

    @classmethod
    def none(cls) -> "Uploads":
        return cls(0, "", 0, cameras=0)

    def __enter__(self) -> "Uploads":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, camera: int) -> None:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "image/jpeg"}
        data, where = jpeg(self._seed * 10 + camera, 160, 120), {"camera": f"dock-{camera}"}
        with httpx.Client(headers=headers, timeout=20, trust_env=False) as client:
            while not self._over.wait(0.01):
                try:
                    answer = client.post(self._url, content=data, params=where)
                except httpx.HTTPError:
                    continue
                assert answer.status_code in (202, 503), answer.text
                if answer.status_code == 202:
                    self.accepted.add(answer.json()["id"])


@pytest.fixture
def plant(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    with running_fake_sqs() as fake:
        lead_to(fake.url, monkeypatch)
        settings = Settings.read(data=tmp_path / "data", queue={"kind": "sqs", "prefix": _PREFIX})
        provision(settings)
        plant = Plant(fake, settings, database_url, tmp_path)
        yield plant
        plant.stores.close()


@pytest.mark.slow
@pytest.mark.timeout(max(240, 15 * STOPS))
def test_a_process_that_is_told_to_stop_at_any_moment_ends_in_time_and_hides_nothing(plant: Plant) -> None:
    dice = random.Random(11)
    stops: list[Stop] = []
    numbers = range(STOPS)
    while numbers:
        # Different stages at a time: no queue has a second consumer that could hold what the stopped one left.
        together, numbers = numbers[: len(VICTIMS)], numbers[len(VICTIMS) :]
        for n in together:
            plant.fill(VICTIMS[n % len(VICTIMS)], dice.choice([[Lane.LIVE], [Lane.BULK], [Lane.LIVE, Lane.BULK]]))
        # The default poll of ten seconds now and then: a stopping worker awaits one that waits.
        drawn = [(VICTIMS[n % len(VICTIMS)], n, dice.uniform(0, 1.5), 10 if n % 9 == 5 else 1) for n in together]
        with ThreadPoolExecutor(len(drawn)) as pool:
            stops += pool.map(plant.stop, *zip(*drawn, strict=True))
        assert plant.unsent() == 0, "messages were left to the sweeper"
        assert plant.stranded() == []
    worst = {name: max(getattr(stop, name) for stop in stops) for name in ("exit_s", "invisible_s")}
    print("\n", json.dumps({"stops": STOPS, **worst, "ended": plant.ended()}))
    bad = [s for s in stops if s.code or s.exit_s > EXIT_S or s.invisible_s > INVISIBLE_S]
    assert not bad, [asdict(stop) for stop in bad]
    assert {stop.stage for stop in stops if stop.held} == set(WORK), "a stage never held anything when it was told"
    assert plant.ended() > 0
