"""The alarms, in the groups of the catalogue. How each is meant, and what to do, is in docs/runbook.md."""

from typing import Final

from infra.monitoring.alarms import flow, host, inspection, people
from infra.monitoring.objectives import GROUP as OBJECTIVES

GROUPS: Final = (OBJECTIVES, flow.GROUP, inspection.GROUP, people.GROUP, host.GROUP)
