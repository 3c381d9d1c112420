"""Hooks: where messages for people and other programs go out, and the stage that sends them."""

import random
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from framegate.adapters.clock import SystemClock
from framegate.adapters.postgres import ALERTS, Wakeups
from framegate.bootstrap.pepper import read_pepper
from framegate.bootstrap.stores import Stores
from framegate.kernel.hooksecrets import secrets_of
from framegate.observability.logs import get_log
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Tracing
from framegate.ports.clock import Clock
from framegate.ports.deliveries import Subscription
from framegate.ports.hooks import Attempt, Endpoint, Hook, HookKind, HookMessage
from framegate.ports.notices import Announcer
from framegate.settings import Settings

#: In the data directory: where the box of that directory is reached.
PUBLIC_URL_FILE: Final = "url"

if TYPE_CHECKING:
    from framegate.adapters.aws.hook_sns import SnsHook
    from framegate.alerts.service import AlertService


def open_hooks(settings: Settings) -> Mapping[HookKind, Hook]:
    """Once for each process; close each. Without boto3 (the extra `aws`) there is none for SNS, which is loaded late."""
    from framegate.adapters.hook_http import open_http_hooks

    clock = SystemClock()
    listens = [(settings.api.host, settings.api.port), (settings.worker.host, settings.worker.port)]
    hooks = open_http_hooks(settings.hooks.allowed, listens, clock)
    return {**hooks, HookKind.SNS: _SnsWhenUsed(clock)} if find_spec("boto3") is not None else hooks


class _SnsWhenUsed:
    """`Hook`. The SDK takes longer to load than everything else, and most have no topic."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._hook: SnsHook | None = None

    def check(self, target: str) -> None:
        """See the port."""
        self._opened().check(target)

    def deliver(self, endpoint: Endpoint, message: HookMessage) -> Attempt:
        """See the port."""
        return self._opened().deliver(endpoint, message)

    def close(self) -> None:
        """See the port."""
        with self._lock:
            if self._hook is not None:
                self._hook.close()

    def _opened(self) -> "SnsHook":
        with self._lock:
            if self._hook is None:
                from framegate.adapters.aws.hook_sns import SnsHook

                self._hook = SnsHook(self._clock)
            return self._hook


def make_announcer(settings: Settings) -> Announcer:
    """What turns changes of incidents into messages."""
    return Announcer(public_url(settings), read_pepper(settings))


def public_url(settings: Settings) -> str:
    """Where people reach the API, for links."""
    if settings.api.public_url or settings.database:
        return settings.public_url
    # A command on a box's data directory does not know at which port the box was started.
    file = settings.data / PUBLIC_URL_FILE
    return file.read_text("ascii") if file.exists() else settings.public_url


def signing_secrets(settings: Settings) -> Callable[[Subscription, datetime], tuple[str, ...]]:
    """The secrets that sign for an endpoint at a moment, newest first."""
    pepper = read_pepper(settings)
    return lambda to, now: secrets_of(pepper, to.endpoint_id, to.generation, to.rotated_at, now)


def make_alerts(
    settings: Settings, stores: Stores, metrics: Metrics, tracing: Tracing, closing: ExitStack, owner: str
) -> "AlertService":
    """The alerts stage."""
    from framegate.alerts.dispatcher import Dispatcher, DispatchOptions
    from framegate.alerts.service import AlertOptions, AlertService

    clock, log = SystemClock(), get_log(stage="alerts")
    hooks = open_hooks(settings)
    for hook in hooks.values():
        closing.callback(hook.close)
    wakeups = Wakeups(stores.database)
    closing.callback(wakeups.close)
    dispatcher = Dispatcher(
        stores.deliveries,
        hooks,
        signing_secrets(settings),
        owner,
        DispatchOptions(slots=settings.hooks.slots),
        clock,
        random.random,
        metrics,
        log,
        wakeups.interrupt,
        tracing,
    )
    return AlertService(
        stores.incidents,
        stores.deliveries,
        dispatcher,
        wakeups,
        make_announcer(settings),
        owner,
        AlertOptions(ALERTS, drain=timedelta(seconds=settings.worker.drain_s)),
        clock,
        metrics,
        log,
    )
