"""Hooks over HTTP: webhooks and Slack, through one guard against requests that somebody else wants to make (SSRF)."""

import ssl
from collections.abc import Sequence

from framegate.adapters.hook_http.client import Client
from framegate.adapters.hook_http.guard import Guard
from framegate.adapters.hook_http.posting import Poster
from framegate.adapters.hook_http.resolving import Resolver
from framegate.adapters.hook_http.slack import SlackHook
from framegate.adapters.hook_http.webhook import WebhookHook
from framegate.kernel.addresses import Allowed
from framegate.ports.clock import Clock
from framegate.ports.hooks import DEADLINE_S, Hook, HookKind

__all__ = ["open_http_hooks"]


def open_http_hooks(
    allowed: Allowed,
    listens: Sequence[tuple[str, int]],
    clock: Clock,
    *,
    resolver: Resolver | None = None,
    tls: ssl.SSLContext | None = None,
    deadline_s: float = DEADLINE_S,
) -> dict[HookKind, Hook]:
    """Once for each process. `listens`: (host, port) of its own servers; `clock` stamps signatures."""
    guard = Guard(allowed, listens, resolver)
    poster = Poster(guard, Client(guard, tls), clock, deadline_s)
    return {HookKind.WEBHOOK: WebhookHook(poster), HookKind.SLACK: SlackHook(poster)}
