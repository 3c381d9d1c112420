"""All queues of one account."""

import random
import re
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from itertools import count
from typing import Any, Final

from .adversity import Adversity, Dice
from .clock import Clock, ShiftedClock
from .errors import SqsError, invalid, no_queue
from .message import Attributes, Message, State
from .queue import Queue
from .settings import Settings

ACCOUNT: Final = "000000000000"
REGION: Final = "eu-central-1"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_RECREATE_PAUSE_S: Final = 60


class Broker:
    """Not thread-safe: it lives on one event loop."""

    def __init__(
        self, adversity: Adversity | None = None, clock: Clock | None = None, *, in_flight_limit: int = 120_000
    ) -> None:
        self.clock: Clock = clock if clock is not None else ShiftedClock()
        self.dice = Dice(adversity or Adversity())
        self.queues: dict[str, Queue] = {}
        self.calls: Counter[tuple[str, str]] = Counter()  #: by queue (empty: of none) and action
        self.errors: Counter[str] = Counter()  #: calls refused, by code
        self.failed_entries: Counter[str] = Counter()  #: entries of batches refused, by code
        self.refusal = ""  #: the error code that every call is answered with; empty: none
        self._in_flight_limit = in_flight_limit
        self._deleted_at: dict[str, float] = {}
        self._serials = count(1)
        self._ids = random.Random(f"{self.dice.adversity.seed}/ids")

    def create(self, name: str, attributes: Mapping[str, str]) -> Queue:
        """Raises SqsError. The same queue again is no error."""
        if not _NAME.fullmatch(name):
            text = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length."
            raise invalid("QueueName", name, text)  # FIFO queues included: there are none here
        if known := self.queues.get(name):
            if other := known.settings.same(attributes):
                text = f"A queue already exists with the same name and a different value for attribute {other}"
                raise SqsError("QueueNameExists", text)
            return known
        if self._now() < self._deleted_at.get(name, float("-inf")) + _RECREATE_PAUSE_S:
            text = f"You must wait {_RECREATE_PAUSE_S} seconds after deleting a queue before you can create another."
            raise SqsError("QueueDeletedRecently", text)
        settings = Settings(attributes)
        self._check_redrive(settings)
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        queue = Queue(name, arn, settings, self.clock, self.dice, self._in_flight_limit, self._bury)
        self.queues[name] = queue
        return queue

    def change(self, queue: Queue, attributes: Mapping[str, str]) -> None:
        """Raises SqsError, and changes nothing then."""
        changed = Settings(queue.settings.told())
        changed.change(attributes)
        self._check_redrive(changed)
        queue.settings.change(attributes)
        queue.modified_at = self._now()

    def delete(self, queue: Queue) -> None:
        """Receives that wait are told."""
        queue.deleted = True
        queue.forget_all()
        self._deleted_at[queue.name] = self._now()
        del self.queues[queue.name]
        queue.wake()

    def queue(self, url: object) -> Queue:
        """By its URL or name. Raises QueueDoesNotExist."""
        try:
            return self.queues[str(url).rpartition("/")[2]]
        except KeyError:
            raise no_queue() from None

    def message(self, body: str, attributes: Attributes, system: Attributes) -> Message:
        id_ = str(uuid.UUID(int=self._ids.getrandbits(128), version=4))
        return Message(next(self._serials), id_, body, self._now(), attributes, system)

    def sources(self, dead: Queue) -> list[Queue]:
        """Whose dead letters go there."""
        return [q for q in self.queues.values() if q.settings.redrive and q.settings.redrive.target == dead.arn]

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for queue in self.queues.values():
            queue.wake()

    def statistics(self) -> dict[str, Any]:
        """Calls count each try, throttled ones included. Errors are calls that were refused as a whole."""
        by_action: Counter[str] = Counter()
        by_queue: dict[str, Counter[str]] = {}
        for (queue, action), n in self.calls.items():
            by_action[action] += n
            by_queue.setdefault(queue, Counter())[action] += n
        return {
            "calls": self.calls.total(),
            "calls_by_action": by_action,
            "calls_by_queue": by_queue,
            "messages": {name: self._messages_of(queue) for name, queue in self.queues.items()},
            "adversities": self.dice.injected,
            "errors": self.errors,
            "failed_entries": self.failed_entries,
        }

    def reset_statistics(self) -> None:
        """What waits keeps waiting; so the figures of messages no longer add up across it."""
        for counter in (self.calls, self.errors, self.failed_entries, self.dice.injected):
            counter.clear()
        for queue in self.queues.values():
            queue.counts.clear()

    def _messages_of(self, queue: Queue) -> dict[str, int]:
        """At any time sent + adopted + returned = deleted + buried + expired + purged + ready + delayed + in_flight."""
        queue.surface()
        happened = ("sent", "adopted", "returned", "delivered", "changed", "deleted", "buried", "expired", "purged")
        states = {s.name.lower(): queue.states[s] for s in State if s is not State.GONE}
        return {name: queue.counts[name] for name in happened} | states

    def _bury(self, queue: Queue, message: Message) -> bool:
        redrive = queue.settings.redrive
        dead = next((q for q in self.queues.values() if redrive and q.arn == redrive.target), None)
        if dead is None:
            return False
        kept = {f.name: getattr(message, f.name) for f in fields(Message) if f.name in _KEPT}
        dead.adopt(Message(next(self._serials), came_from=queue.arn, **kept))
        return True

    def _check_redrive(self, settings: Settings) -> None:
        if settings.redrive and settings.redrive.target not in {q.arn for q in self.queues.values()}:
            raise invalid("RedrivePolicy", settings.redrive.target, "Dead letter target does not exist.")

    def _now(self) -> float:
        return self.clock.now().timestamp()


#: A dead letter is as old as it was, and was received as often.
_KEPT: Final = ("id", "body", "sent_at", "attributes", "system", "receive_count", "first_received_at")
