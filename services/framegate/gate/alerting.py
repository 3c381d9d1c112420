"""Which images people are told about, how urgently, and what belongs together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from framegate.gate.entries import Entry
from framegate.kernel.camera_faults import CAMERA_RULE
from framegate.kernel.camera_health import CAMERA_FAULT
from framegate.kernel.chain import UNAVAILABLE
from framegate.kernel.ids import is_name
from framegate.kernel.inspection import LOOK_FAILED, Alert, ImageFacts, Label
from framegate.kernel.states import ImageState, Verdict

UNCERTAIN: Final = "uncertain"
#: With these, and `LOOK_FAILED`, an image is uncertain too: two looks did not make it certain.
LOOK_UNCERTAIN, LOOKS_DISAGREE = "second-look-uncertain", "looks-disagree"
#: Why the gate asks for a person; an image may have several of these reasons.
RESERVATIONS: Final = (
    UNCERTAIN, LOOK_UNCERTAIN, LOOKS_DISAGREE, LOOK_FAILED, "quality", "subject-missing", "camera-unconfirmed", CAMERA_FAULT,
    UNAVAILABLE,
)  # fmt: skip
_FAILURES: Final = ("poison", "exhausted", "input-missing", "integrity", "engine-output")
#: The image took longer than the deadline of its lane, whatever became of it.
LATE: Final = "late"
#: What a rule may wait for.
OCCASIONS: Final = (*Verdict, ImageState.REJECTED, ImageState.FAILED, *RESERVATIONS, *_FAILURES, LATE)
SEVERITIES: Final = ("critical", "warning")
_METADATA: Final = "metadata."
#: What alerts may be grouped by, beside the image's metadata.
GROUPS: Final = ("facility", "camera", "class", "reason")
#: A classifier that is less sure of a name than this raises no alert about it.
_SURE: Final = 0.5
_FIELDS: Final = {"window": "window_s", "escalate_after": "escalate_after_s"}


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One reason to tell people. The rule's name stands beside it, in the policy."""

    when: frozenset[str]  #: any of `OCCASIONS`
    classes: frozenset[str] = frozenset()  #: only when one of these was seen; empty: whatever was seen
    severity: str = "critical"
    group_by: tuple[str, ...] = ("camera",)
    window_s: float = 1800.0
    escalate_after_s: float | None = 900.0

    @classmethod
    def read(cls, entry: Entry) -> "AlertRule":
        """What is wrong is noted in the entry."""
        entry.only("when", "classes", "severity", "group_by", "window", "escalate_after")
        when, known = entry.needs("when", "name occasions such as [fail]"), OCCASIONS if entry.strict else None
        if when.raw == []:
            when.refuse("nothing raises this alert: name occasions such as [fail], or write false for no alert")
        read: dict[str, Callable[[Entry], Any]] = {
            "when": lambda e: frozenset(e.names(known)),
            "classes": lambda e: frozenset(e.names()),
            "severity": lambda e: e.name(SEVERITIES) or "critical",
            "group_by": _groups,
            "window": lambda e: e.duration(),
            "escalate_after": lambda e: e.duration_or_never(),
        }
        found = {name: reader(entry[name]) for name, reader in read.items() if name in entry}
        return cls(**{"when": frozenset(), **{_FIELDS.get(name, name): value for name, value in found.items()}})


#: What holds without a word about it in the policy.
DEFAULT_ALERTS: Final[Mapping[str, AlertRule]] = {
    "damage": AlertRule(frozenset({Verdict.FAIL})),
    "operations": AlertRule(frozenset({ImageState.FAILED}), group_by=("reason",)),
    LATE: AlertRule(frozenset({LATE}), severity="warning", group_by=("facility",)),
}


def read_alerts(entry: Entry, base: Mapping[str, AlertRule]) -> dict[str, AlertRule]:
    """`base` with the rules of the entry instead of those of the same name; `false` takes one away."""
    rules = dict(base)
    for name, one in entry.entries():
        if not is_name(name):
            one.refuse(f"{name!r} cannot name an alert: use up to 64 letters, digits and . _ : -", at_name=True)
        elif name == CAMERA_RULE and one.strict:
            one.refuse("this is the name of what tells of faulty cameras: take another one", at_name=True)
        elif one.raw is False:
            rules.pop(name, None)
        elif one.raw is None:
            one.refuse("is empty: write {when: [fail]}, or false for no such alert", at_name=True)
        else:
            rules[name] = AlertRule.read(one)
    return rules


@dataclass(frozen=True, slots=True)
class Occurrence:
    """How an image ends, as far as alerts are concerned."""

    state: ImageState
    verdict: Verdict | None
    reasons: tuple[str, ...]  #: the outcome's first
    detail: str
    classes: tuple[str, ...] = ()  #: of the detections that count against it, the most confident first
    labels: tuple[Label, ...] = ()
    late: str = ""  #: how much later than its deadline, for people
    weight: float = 0.5  #: of what is left to people, see `kernel.reviews.weigh`


def alerts_about(rules: Mapping[str, AlertRule], image: ImageFacts, what: Occurrence) -> tuple[Alert, ...]:
    """At most one of each rule."""
    if not rules:
        return ()
    occasions = {str(what.verdict or what.state), *what.reasons}
    if what.late:
        occasions.add(LATE)
    seen = (*what.classes, *(label.name for label in what.labels if label.confidence >= _SURE))
    found = []
    for name, rule in sorted(rules.items()):
        ours = [one for one in seen if one in rule.classes] if rule.classes else seen
        if rule.when & occasions and (ours or not rule.classes):
            subject = _subject(rule, image, what, ours[0] if ours else None)
            summary = _summary(image, what, only_late=not rule.when & (occasions - {LATE}))
            found.append(Alert(name, rule.severity, subject, summary, rule.window_s, rule.escalate_after_s))
    return tuple(found)


_SUMMARIES: Final[Mapping[str, str]] = {
    Verdict.PASS: "{camera} passed an image: {detail}",
    Verdict.FAIL: "{camera} saw {detail}",
    Verdict.REVIEW: "An image of {camera} needs a person: {detail}",
    ImageState.REJECTED: "An image of {camera} cannot be used: {detail}",
    ImageState.FAILED: "An image of {camera} failed: {detail}",
}


def _summary(image: ImageFacts, what: Occurrence, *, only_late: bool) -> str:
    if only_late:
        return f"An image of {image.camera} {what.late}"
    return _SUMMARIES[what.verdict or what.state].format(camera=image.camera, detail=what.detail)


def _subject(rule: AlertRule, image: ImageFacts, what: Occurrence, seen: str | None) -> str:
    """What is missing (no class, no such metadata) is grouped by camera instead: never everything in one heap."""
    camera = f"camera/{image.camera}"
    parts = []
    for key in rule.group_by:
        match key:
            case "facility":
                parts.append(f"facility/{image.facility}")
            case "reason":
                kind = "pipeline" if what.state is ImageState.FAILED else "reason"
                parts.append(f"{kind}/{what.reasons[0]}")
            case "class" if seen is not None:
                parts.append(f"class/{seen}")
            case _ if key.startswith(_METADATA) and (value := image.metadata.get(key.removeprefix(_METADATA))):
                parts.append(f"{key}/{value}")
            case _:
                parts.append(camera)
    return " ".join(dict.fromkeys(parts))


def _groups(entry: Entry) -> tuple[str, ...]:
    found = entry.names()
    for n, key in enumerate(entry.raw if isinstance(entry.raw, list | tuple) else ()):
        if isinstance(key, str) and key not in GROUPS and not is_name(key.partition(_METADATA)[2]):
            choices = (*GROUPS, "metadata.NAME (such as metadata.pallet)")
            entry[n].refuse(f"alerts are not grouped by {key!r}; there are {', '.join(choices)}")
    if entry.raw == []:
        entry.refuse("name what alerts are grouped by; [facility] makes one group of all")
    return found or ("camera",)
