"""What people are told, what they are asked, and the proof of it."""

from typing import Final

from infra.monitoring.alarm import Alarm, Group, Panel, happened

_BOARD: Final = "framegate-people"
#: The share of passes that may be defects.
MAY_PASS: Final = 0.01

REVIEW_BACKLOG: Final = Alarm(
    "FramegateReviewBacklog", "ticket",
    # A shift of eight hours. At night nobody decides: the second line speaks only while somebody does.
    """max(framegate_review_oldest_seconds) > seconds(8h)
or
(max(framegate_review_items_open) > 20)
/ (sum(rate(framegate_review_decisions_total{decision!="refused"}[1h])) > 0) > seconds(8h)""",
    "30m", "Images wait for people for {{ $value | humanizeDuration }}, or will at this pace: longer than a shift",
    Panel(_BOARD, "Oldest review"),
)  # fmt: skip
DEFECTS_PASS: Final = Alarm(
    "FramegateDefectsPass", "ticket",
    # The lower end of the interval: an alarm is more than a few unlucky checks. A model that no longer serves is history.
    f"""max by (model) (framegate_review_escape_low_ratio) > {MAY_PASS}
and on (model) max by (model) (framegate_model_info{{role=~"incumbent|canary"}}) == 1""",
    "5m", "At least {{ $value | humanizePercentage }} of the passes of {{ $labels.model }} are defects, say the blind checks",
    Panel(_BOARD, "Passes that people call fail"),
)  # fmt: skip
HOOK_FAILING: Final = Alarm(
    "FramegateHookFailing", "ticket",
    """(sum by (kind) (increase(framegate_hook_attempts_total{reason!="delivered"}[30m])) >= 3)
/ sum by (kind) (increase(framegate_hook_attempts_total[30m])) > 0.2""",
    "5m", "{{ $value | humanizePercentage }} of the attempts to deliver a {{ $labels.kind }} fail",
    Panel(_BOARD, "Attempts to deliver"),
)  # fmt: skip
HOOK_DEAD: Final = Alarm(
    "FramegateHookDead", "ticket", happened("framegate_hook_dead_total", "1h", "kind"), "0s",
    '{{ printf "%.0f" $value }} messages to a {{ $labels.kind }} were given up within an hour',
    Panel(_BOARD, "Deliveries given up"),
)  # fmt: skip
HOOKS_LATE: Final = Alarm(
    "FramegateHooksLate", "ticket", "max(framegate_hook_oldest_seconds) > seconds(5m)", "5m",
    "A message to a receiver has been due for {{ $value | humanizeDuration }}", Panel(_BOARD, "Oldest delivery"),
)  # fmt: skip
AUDIT_UNSEALED: Final = Alarm(
    "FramegateAuditUnsealed", "ticket", "max(framegate_audit_unsealed_seconds) > seconds(5m)", "5m",
    "The oldest entry of the audit has waited {{ $value | humanizeDuration }} for its seal",
    Panel(_BOARD, "Audit without a seal"),
)  # fmt: skip

GROUP: Final = Group("people", (), (REVIEW_BACKLOG, DEFECTS_PASS, HOOK_FAILING, HOOK_DEAD, HOOKS_LATE, AUDIT_UNSEALED))
