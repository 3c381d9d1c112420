"""Every metric of Framegate as data: what it is, what it means, and what to do about it."""

from collections.abc import Mapping
from typing import Final

from framegate.observability.catalogue import client, flow, host, inspection, intake, people
from framegate.observability.catalogue.client import *  # noqa: F403
from framegate.observability.catalogue.flow import *  # noqa: F403
from framegate.observability.catalogue.host import *  # noqa: F403
from framegate.observability.catalogue.inspection import *  # noqa: F403
from framegate.observability.catalogue.intake import *  # noqa: F403
from framegate.observability.catalogue.metric import LABELS, Kind, Metric, Source
from framegate.observability.catalogue.people import *  # noqa: F403

__all__ = ["CATALOGUE", "GROUPS", "LABELS", "Kind", "Metric", "Source"]

GROUPS: Final[Mapping[str, tuple[Metric, ...]]] = {
    (module.__doc__ or "").strip(): tuple(value for value in vars(module).values() if isinstance(value, Metric))
    for module in (intake, flow, inspection, people, host, client)
}
CATALOGUE: Final[tuple[Metric, ...]] = tuple(metric for group in GROUPS.values() for metric in group)
