"""One standard queue. Not thread-safe: it lives on one event loop."""

import base64
import binascii
import heapq
from collections import Counter, deque
from collections.abc import Callable
from itertools import count

from .adversity import Dice
from .clock import Clock
from .errors import SqsError, invalid
from .message import Message, State
from .settings import Settings

LONGEST_VISIBILITY_S = 43_200
PURGE_PAUSE_S = 60
Bury = Callable[["Queue", Message], bool]


class Queue:
    """Messages by the moment at which they become visible; those that are visible, oldest first."""

    def __init__(
        self, name: str, arn: str, settings: Settings, clock: Clock, dice: Dice, in_flight_limit: int, bury: Bury
    ) -> None:
        """`bury` moves a message that was received too often; it says False when there is no such dead-letter queue."""
        self.name, self.arn, self.settings = name, arn, settings
        self._clock, self._dice, self._limit, self._bury = clock, dice, in_flight_limit, bury
        self.created_at = self.modified_at = self.now()
        self.purged_at = float("-inf")
        self.deleted = False
        self.counts: Counter[str] = Counter()  #: what happened to messages
        self.states: Counter[State] = Counter()
        #: Called when something may have become visible; in order, so that equal runs are equal.
        self.watchers: dict[object, Callable[[], None]] = {}
        self._messages: dict[int, Message] = {}
        self._ready: deque[Message] = deque()
        self._hidden: list[tuple[float, int, Message]] = []
        self._order = count()

    def now(self) -> float:
        return self._clock.now().timestamp()

    def wake(self) -> None:
        for watcher in list(self.watchers.values()):
            watcher()

    # Sending

    def send(self, message: Message, delay_s: float) -> None:
        self._messages[message.serial] = message
        self.states[message.state] += 1
        self.counts["sent"] += 1
        if self._dice.hit("delay"):
            delay_s += self._dice.lateness("delay")
        self._hide(message, delay_s, State.DELAYED)

    def adopt(self, message: Message) -> None:
        """A dead letter of another queue."""
        self._messages[message.serial] = message
        self.states[message.state] += 1
        self.counts["adopted"] += 1
        self._hide(message, 0, State.DELAYED)

    # Receiving

    def receive(self, most: int, visibility_s: int) -> list[tuple[Message, str]]:
        """Each with its receipt; never waits. Raises OverLimit."""
        self.surface()
        if self._ready and self._dice.hit("purge"):
            self.forget_all()
        if self.states[State.IN_FLIGHT] >= self._limit:
            raise SqsError("OverLimit", f"Too many messages in flight ({self._limit}).")
        most = min(most, self._limit - self.states[State.IN_FLIGHT])
        taken: list[Message] = []
        while self._ready and len(taken) < most:
            message = self._pop()
            if self._deliverable(message):
                message.again = False
                taken.append(message)
        return [(message, self._hand_out(message, visibility_s)) for message in taken]

    def surface(self) -> None:
        """Shows what has been hidden for long enough."""
        now = self.now()
        while self._hidden and self._hidden[0][0] <= now:
            at, _, message = heapq.heappop(self._hidden)
            # Hidden anew since then, or shown, or gone: another entry is the one that counts.
            if message.hidden_until == at and message.state in (State.DELAYED, State.IN_FLIGHT):
                self._show(message)

    def due_in(self) -> float | None:
        """Seconds until the next hidden message may surface."""
        return max(0.0, self._hidden[0][0] - self.now()) if self._hidden else None

    def _pop(self) -> Message:
        if len(self._ready) > 1 and self._dice.hit("reorder"):
            at = 1 + self._dice.below("reorder", len(self._ready) - 1)
            message = self._ready[at]
            del self._ready[at]
            return message
        return self._ready.popleft()

    def _deliverable(self, message: Message) -> bool:
        if message.state is not State.READY and not (message.again and message.state is State.IN_FLIGHT):
            return False
        if self.now() - message.sent_at > self.settings.number("MessageRetentionPeriod"):
            self._remove(message, "expired")
            return False
        redrive = self.settings.redrive
        if redrive is not None and message.receive_count >= redrive.most and self._bury(self, message):
            self._remove(message, "buried")
            return False
        return True

    def _hand_out(self, message: Message, visibility_s: int) -> str:
        message.receive_count += 1
        message.received_at = self.now()
        message.first_received_at = message.first_received_at or message.received_at
        self.counts["delivered"] += 1
        self._hide(message, visibility_s, State.IN_FLIGHT)
        if not message.duplicated and self._dice.hit("duplicates"):
            message.duplicated = True
            if self._dice.below("duplicates", 2):
                message.returns = True
            elif message.state is State.IN_FLIGHT:
                message.again = True
                self._ready.append(message)
                self.wake()
        text = f"{self.name}\n{message.serial}\n{message.receive_count}"
        return base64.b64encode(text.encode()).decode()

    # Settling

    def delete(self, receipt: str) -> None:
        """A message that is gone is deleted again without complaint. Raises ReceiptHandleIsInvalid."""
        message = self._find(receipt)
        if message is None:
            return
        self.counts["deleted"] += 1
        if message.returns or (not message.returned and self._dice.hit("resurrect")):
            message.returns, message.returned = False, True
            self.counts["returned"] += 1
            self._hide(message, self._dice.lateness("resurrect"), State.DELAYED)
        else:
            self._remove(message)

    def change_visibility(self, receipt: str, seconds: int) -> None:
        """Raises InvalidParameterValue, MessageNotInflight or ReceiptHandleIsInvalid."""
        message = self._find(receipt, must_exist=True)
        if message is None:
            return
        self.surface()
        if message.state is not State.IN_FLIGHT:
            raise SqsError("MessageNotInflight", f"The message {message.id} is not in flight.")
        if self.now() + seconds > message.received_at + LONGEST_VISIBILITY_S:
            limit = f"Total VisibilityTimeout for the message is beyond the limit [{LONGEST_VISIBILITY_S} seconds]"
            raise invalid("VisibilityTimeout", seconds, limit)
        self.counts["changed"] += 1
        self._hide(message, seconds, State.IN_FLIGHT)

    def _find(self, receipt: str, *, must_exist: bool = False) -> Message | None:
        """None: there is nothing to do. An old receipt is refused, or (stale_noop) does nothing."""
        serial, number = self._read(receipt)
        message = self._messages.get(serial)
        if message is not None and message.receive_count == number:
            return message
        if message is None and not must_exist:
            return None
        if self._dice.hit("stale_noop"):
            return None
        if message is None:
            reason = "Message does not exist or is not available for visibility timeout change."
        else:
            reason = "The receipt handle has expired."
        raise invalid("ReceiptHandle", receipt, reason)

    def _read(self, receipt: str) -> tuple[int, int]:
        try:
            name, serial, number = base64.b64decode(receipt, validate=True).decode().split("\n")
            if name == self.name:
                return int(serial), int(number)
        except (binascii.Error, ValueError):
            pass
        raise SqsError("ReceiptHandleIsInvalid", f'The input receipt handle "{receipt}" is not a valid receipt handle.')

    # Forgetting

    def purge(self) -> None:
        """Raises PurgeQueueInProgress within 60 seconds of the one before."""
        if self.now() < self.purged_at + PURGE_PAUSE_S:
            text = f"Only one PurgeQueue operation on {self.name} is allowed every {PURGE_PAUSE_S} seconds."
            raise SqsError("PurgeQueueInProgress", text)
        self.purged_at = self.now()
        self.forget_all()

    def forget_all(self) -> None:
        for message in list(self._messages.values()):
            self._remove(message, "purged")
        self._ready.clear()
        self._hidden.clear()

    # States

    def _remove(self, message: Message, why: str | None = None) -> None:
        del self._messages[message.serial]
        self._to(message, State.GONE)
        if why is not None:
            self.counts[why] += 1

    def _hide(self, message: Message, seconds: float, state: State) -> None:
        if seconds <= 0:
            self._show(message)
            return
        message.hidden_until = self.now() + seconds
        heapq.heappush(self._hidden, (message.hidden_until, next(self._order), message))
        self._to(message, state)
        if self.watchers:  # whoever waits may have to wake earlier now
            self.wake()

    def _show(self, message: Message) -> None:
        self._to(message, State.READY)
        self._ready.append(message)
        self.wake()

    def _to(self, message: Message, state: State) -> None:
        self.states[message.state] -= 1
        self.states[state] += state is not State.GONE
        message.state = state
