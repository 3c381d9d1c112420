"""Receivers that fail and a worker that is killed: every message arrives, twice only under the same id.

`ALERTS=1000 ALERT_KILLS=50` in the environment makes it the full run; `-s` shows its figures.
"""

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import standardwebhooks

from framegate.adapters.postgres import Database, PostgresDeliveries, PostgresEndpoints, PostgresIncidents
from framegate.kernel.hooksecrets import secret_of
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.inspection import Alert
from framegate.ports.deliveries import DeliveryState, Subscription
from framegate.ports.hooks import HookKind
from tests.support import forks
from tests.support.box import until
from tests.support.receivers import ReceiverServer, Request, answering

ALERTS, KILLS = int(os.environ.get("ALERTS", "100")), int(os.environ.get("ALERT_KILLS", "5"))
ENDPOINTS = 2
FAILING = 0.3
PEPPER = "pepper of the drill"


class Receiver:
    """Verifies, fails three times in ten in one of several ways, and counts what it has taken in."""

    def __init__(self, seed: int) -> None:
        self.server = ReceiverServer()
        self.server.behaviour = self._behave
        self.taken, self.refused = Counter[str](), Counter[str]()
        self.unsigned: list[str] = []
        self.verifier: standardwebhooks.Webhook | None = None
        self._dice, self._lock = random.Random(seed), threading.Lock()

    def _behave(self, connection: Any, request: Request) -> None:
        message = request.headers["webhook-id"]
        assert self.verifier is not None
        try:
            self.verifier.verify(request.body, request.headers)
        except standardwebhooks.WebhookVerificationError as error:
            self.unsigned.append(f"{message}: {error}")
        with self._lock:
            fate = self._dice.random()
            (self.refused if fate < FAILING else self.taken)[message] += 1
        if fate < FAILING / 3:
            return  # the connection ends without an answer
        if fate < FAILING:
            answering(self._dice.choice((500, 503, 429, 302)))(connection, request)
        else:
            answering(200)(connection, request)


@dataclass
class Office:
    """A database with endpoints, and one worker of the alerts stage at a time, under one name."""

    url: str
    directory: Path
    receivers: list[Receiver]

    def __post_init__(self) -> None:
        self.database = Database(self.url)
        self.incidents, self.deliveries = PostgresIncidents(self.database), PostgresDeliveries(self.database)
        self.side = psycopg.connect(self.url, autocommit=True)
        self.endpoints = [self._subscribe(receiver) for receiver in self.receivers]
        self.starts = 0
        self.process: Any = None

    def _subscribe(self, receiver: Receiver) -> Subscription:
        target, now = f"http://127.0.0.1:{receiver.server.port}/in", datetime.now(UTC)
        new = Subscription.new(DEFAULT_FACILITY, HookKind.WEBHOOK, target, now, "test")
        PostgresEndpoints(self.database).add_endpoint(new, "test")
        receiver.verifier = standardwebhooks.Webhook(secret_of(PEPPER.encode(), new.endpoint_id, 1))
        return new

    def start(self) -> None:
        self.starts += 1
        environment = {
            "DATABASE_URL": self.url,
            "FRAMEGATE_DATA": str(self.directory / "data"),
            "FRAMEGATE_PEPPER": PEPPER,
            "FRAMEGATE_WORKER_NAME": "drill",
            "FRAMEGATE_HOOKS__ALLOW": ",".join(f"http://127.0.0.1:{r.server.port}" for r in self.receivers),
            "FRAMEGATE_LOG_JSON": "true",
        }
        self.process = forks.start(
            ["run", "alerts"], {**os.environ, **environment}, self.directory / f"{self.starts}.log"
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.join(10)

    def hurry(self) -> None:
        """Time passes for what waits for its next attempt: the schedule takes days."""
        self.side.execute(
            "update hook_deliveries set due_at = least(due_at, clock_timestamp()) where state = 'pending'"
        )

    def states(self) -> Counter[DeliveryState]:
        records = [r for e in self.endpoints for r in self.deliveries.deliveries(e.endpoint_id, 100_000)]
        return Counter(record.state for record in records)

    def close(self) -> None:
        self.kill()
        self.side.close()
        self.database.close()


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[Office]:
    receivers = [Receiver(seed) for seed in range(ENDPOINTS)]
    with closing(Office(database_url, tmp_path, receivers)) as office:
        yield office
    for receiver in receivers:
        receiver.server.close()


@pytest.mark.slow
@pytest.mark.timeout(max(180, 5 * KILLS + ALERTS // 2))
def test_failing_receivers_and_kills_lose_no_message_and_repeat_it_only_under_its_id(office: Office) -> None:
    dice = random.Random(7)
    office.start()
    for number in range(ALERTS):
        subject = f"pallet/{number}"
        # Of several rules: the 501st incident of one would be everybody's.
        alert = Alert(
            f"damage-{number % 10}", "critical", subject, "A torn carton.", window_s=86_400, escalate_after_s=None
        )
        office.incidents.raise_alert(DEFAULT_FACILITY, alert)
        if number * KILLS // ALERTS != (number + 1) * KILLS // ALERTS:
            before = sum(sum(r.taken.values()) for r in office.receivers)
            until(lambda so_far=before: sum(sum(r.taken.values()) for r in office.receivers) > so_far, 60, "a delivery")
            time.sleep(dice.uniform(0, 0.2))
            office.kill()
            office.start()

    def done() -> bool:
        office.hurry()
        states = office.states()
        return states.total() == ALERTS * ENDPOINTS and not states[DeliveryState.PENDING]

    until(done, 120, "everything")
    dead = office.deliveries.dead(None, 100_000)
    while dead:  # ten failures in a row are rare and stay visible; one command brings them back
        assert office.deliveries.replay(None) == len(dead)
        until(done, 60, "what was replayed")
        dead = office.deliveries.dead(None, 100_000)

    events = {row[0] for row in office.side.execute("select message_id from incident_events")}
    assert len(events) == ALERTS
    figures: dict[str, Any] = {"alerts": ALERTS, "kills": office.starts - 1}
    for number, receiver in enumerate(office.receivers):
        assert receiver.unsigned == []
        assert set(receiver.taken) == events, "lost, or made up"
        again = sum(count - 1 for count in receiver.taken.values())
        figures[f"receiver {number}"] = {"refused": sum(receiver.refused.values()), "taken twice, same id": again}
        # Only a kill between the answer and its record repeats what was taken.
        assert again <= KILLS * 4
    assert office.starts - 1 == KILLS
    print(json.dumps(figures))
