"""Hooks: where messages for people and other programs go out."""

from collections.abc import Mapping

from framegate.adapters.clock import SystemClock
from framegate.adapters.hook_http import open_http_hooks
from framegate.ports.hooks import Hook, HookKind
from framegate.settings import Settings


def open_hooks(settings: Settings) -> Mapping[HookKind, Hook]:
    """Once for each process; close each. Without boto3 (the extra `aws`) there is none for SNS."""
    clock = SystemClock()
    listens = [(settings.api.host, settings.api.port), (settings.worker.host, settings.worker.port)]
    hooks = open_http_hooks(settings.hooks.allowed, listens, clock)
    try:
        from framegate.adapters.aws.hook_sns import SnsHook
    except ImportError:
        return hooks
    return {**hooks, HookKind.SNS: SnsHook(clock)}
