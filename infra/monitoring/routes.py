"""Whom Alertmanager tells of alarms, and which alarms it keeps back because another one says why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.monitoring.alarm import Pace
from infra.monitoring.objectives import ACCEPT_LATENCY, OBJECTIVES, QUEUE_WAIT, UPLOAD_ERRORS, VERDICT

#: The receiver to fill in. Framegate's own hooks are for those who wait for goods, not for who is on call.
RECEIVER: Final = "on-call"


@dataclass(frozen=True, slots=True)
class Inhibition:
    """While an alarm of `because` fires, those of `quiet` with the same `equal` labels are not told."""

    because: tuple[str, ...]
    quiet: tuple[str, ...]
    equal: tuple[str, ...] = ()
    matchers: tuple[str, ...] = ()  #: of the source, besides its name
    quiet_matchers: tuple[str, ...] = ()

    def rule(self) -> dict[str, Any]:
        """As Alertmanager reads it."""
        return {
            "source_matchers": [_named(self.because), *self.matchers],
            "target_matchers": [_named(self.quiet), *self.quiet_matchers],
            **({"equal": list(self.equal)} if self.equal else {}),
        }


def _named(alarms: Iterable[str]) -> str:
    return f'alertname=~"{"|".join(alarms)}"'


_STANDSTILL: Final = ("FramegateStageDown", "FramegateStageStalled", "FramegateBreakerOpen")
#: What follows when images stand still.
_LATE: Final = (VERDICT.alarm, QUEUE_WAIT.alarm, "FramegateQueueBehind", "FramegateGpuIdle", "FramegateMessagesLost")

INHIBITIONS: Final = (
    # Without the database nothing moves, and nobody can count what waits.
    Inhibition(
        ("FramegateDependencyDown",),
        (*_STANDSTILL, *(objective.alarm for objective in OBJECTIVES), *_LATE[2:], "FramegateAttemptsFailing",
         "FramegateHousekeepingFailing", "FramegateHooksLate", "FramegateAuditUnsealed", "FramegateModelsDisagree"),
        matchers=('dependency="database"',),
    ),
    # Blobs and queues: the stages that wait for them.
    Inhibition(
        ("FramegateDependencyDown",),
        (*_STANDSTILL[1:], *_LATE, UPLOAD_ERRORS.alarm, "FramegateAttemptsFailing", "FramegateHousekeepingFailing"),
        matchers=('dependency!="database"',),
    ),
    Inhibition(("FramegateDependencyDown",), ("FramegateDependencySlow",), ("dependency",)),
    Inhibition(("FramegateStageDown",), ("FramegateStageStalled", "FramegateBreakerOpen", "FramegateTargetDown"), ("stage",)),
    Inhibition(("FramegateBreakerOpen",), ("FramegateStageStalled",), ("stage",)),
    Inhibition(_STANDSTILL, _LATE),
    # Their stages are known by name: without them these cannot be well.
    Inhibition(
        ("FramegateStageDown",), ("FramegateHooksLate", "FramegateHookFailing"), matchers=('stage="alerts"',)
    ),
    Inhibition(
        ("FramegateStageDown",),
        ("FramegateAuditUnsealed", "FramegateHousekeepingFailing"),
        matchers=('stage=~"sweep|gate"',),
    ),
    Inhibition(("FramegateStageDown",), (ACCEPT_LATENCY.alarm, UPLOAD_ERRORS.alarm), matchers=('stage="ingest"',)),
    # A slow dependency is a ticket, and so are the slow stages that follow from it; their pages still wake somebody.
    Inhibition(
        ("FramegateDependencySlow",), (ACCEPT_LATENCY.alarm, *_LATE), quiet_matchers=('severity="ticket"',)
    ),
    Inhibition(("FramegateDiskFull",), ("FramegateDiskFilling", "FramegateDiskLow"), ("host", "volume")),
    Inhibition(("FramegateDiskFilling",), ("FramegateDiskLow",), ("host", "volume")),
    Inhibition(("FramegateDiskFull",), (UPLOAD_ERRORS.alarm,)),
    # The kernel of the matter is on its way to somebody who is awake.
    Inhibition((".+",), (".+",), ("alertname", "stage", "slo"), ('severity="page"',), ('severity="ticket"',)),
)  # fmt: skip


def alertmanager(pace: Pace, receiver: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration of Alertmanager; `receiver`: what the receiver is made of, such as `slack_configs`."""
    return {
        "route": {
            "receiver": RECEIVER,
            "group_by": ["alertname", "stage"],
            "group_wait": pace.span("30s"),
            "group_interval": pace.span("5m"),
            "repeat_interval": pace.span("1d"),
            "routes": [
                {
                    "matchers": ['severity="page"'],
                    "group_wait": pace.span("10s"),
                    "repeat_interval": pace.span("4h"),
                },
            ],
        },
        "receivers": [{"name": RECEIVER, **receiver}],
        "inhibit_rules": [inhibition.rule() for inhibition in INHIBITIONS],
    }
