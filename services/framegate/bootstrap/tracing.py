"""Where spans go."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from framegate import __version__
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.states import Stage
from framegate.observability.catalogue import SPANS
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Systems, Tracing
from framegate.settings import Settings

#: Where collectors take traces (OTLP 1.9, "OTLP/HTTP request").
_PATH: Final = "/v1/traces"
#: As `messaging.system` calls them; Postgres has no name there.
_MESSAGING: Final = {"sqs": "aws_sqs", "postgres": "postgresql"}


@contextmanager
def open_tracing(settings: Settings, metrics: Metrics, stages: Sequence[Stage]) -> Iterator[Tracing]:
    """Of one process that runs `stages`. Without an endpoint it is off, and OpenTelemetry is not imported.

    Raises `ConfigurationError` where it is not installed.
    """
    wanted = settings.traces
    if not wanted.endpoint:
        yield Tracing()
        return
    try:
        from framegate.adapters.otlp import SpanSender, otlp_exporter
    except ImportError as error:
        raise ConfigurationError(
            f"FRAMEGATE_TRACES__ENDPOINT needs OpenTelemetry ({error}): pip install 'framegate[traces]', or leave it empty"
        ) from error
    resource = {
        "service.name": f"framegate-{'+'.join(stages)}",
        "service.namespace": "framegate",
        "service.version": __version__,
        "service.instance.id": settings.worker_name or socket.gethostname(),
    }
    exporter = otlp_exporter(_whole(wanted.endpoint), wanted.timeout_s)
    sender = SpanSender(exporter, resource, lambda result, count: metrics.count(SPANS, count, result=result))
    systems = Systems(_MESSAGING[settings.queue.kind], "postgresql")
    try:
        yield Tracing(sender, sample=wanted.sample, cameras_per_s=wanted.cameras_per_s, systems=systems)
    finally:
        sender.close()


def _whole(endpoint: str) -> str:
    """With the path that all collectors have, where none is given."""
    return endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + _PATH
