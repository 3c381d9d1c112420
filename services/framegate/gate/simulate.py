"""What a policy would have decided: stored images under a candidate and under the policy that holds."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from framegate.gate.decide import camera_faults, decide, judge, silent_models
from framegate.gate.looks import decide_again, is_only_uncertain
from framegate.gate.policy import Policy
from framegate.kernel.detections import Detections
from framegate.kernel.geometry import Region
from framegate.kernel.ids import FacilityId, ImageId, created_s
from framegate.kernel.inspection import Alert, Failed, Finding, FirstLook, Inspected, Look, Outcome, Prepared, Refused
from framegate.kernel.states import TERMINAL, CameraStatus, ImageState, Verdict
from framegate.ports.store import ImageFilter, ImageRecord, Results

_PAGE: Final = 500
_EXAMPLES: Final = 3
#: Ids are as old as the announcement of an upload, which comes later.
_LATE_S: Final = 2 * 3600.0
_MOST_GROUPS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Case:
    """What the gate had before it when it decided an image."""

    record: ImageRecord
    prepared: Prepared | None
    finding: Finding
    silent: frozenset[str]  #: models of the chain that are known to have had no answer
    faults: tuple[str, ...] = ()  #: of the camera at that time, where the outcome tells
    first: FirstLook | None = None  #: where `finding` is a second look's

    def under(self, policy: Policy) -> Outcome:
        """No classifier runs: one that is not known to have been silent counts as having answered. No look is taken."""
        facts = replace(self.record.facts, camera_faults=self.faults)
        waited_s = ((self.record.decided_at or facts.received_at) - facts.received_at).total_seconds()
        finding = self._named(self.finding, policy)
        if self.first is not None:
            found = self._named(self.first.found, policy)
            assert isinstance(found, Inspected)  # noqa: S101 (for mypy: as it went in)
            return decide_again(policy, facts, replace(self.first, found=found), None, finding, waited_s)
        return decide(policy, facts, self.prepared, finding, waited_s)

    def _named(self, finding: Finding, policy: Policy) -> Finding:
        links = policy.for_camera(self.record.facts.camera).chain
        if not isinstance(finding, Inspected):
            return finding
        return replace(finding, chained=tuple(link.model for link in links if link.model not in self.silent))

    def unseen_by(self, policy: Policy) -> bool:
        """Whether a model of the policy's chain may never have seen the image: it left no label."""
        seen = {label.model for label in self.record.labels} | self.silent
        links = policy.for_camera(self.record.facts.camera).chain
        return isinstance(self.finding, Inspected) and any(link.model not in seen for link in links)

    def may_be_looked_at_again(self, policy: Policy) -> bool:
        """Whether the policy would have a second look at it, if there is a share left and more to be seen."""
        rules = policy.for_camera(self.record.facts.camera)
        found = self._named(self.finding, policy)
        if rules.second_look is None or not isinstance(found, Inspected):
            return False
        return is_only_uncertain(judge(rules, self.record.facts, self.prepared, found))


def case_of(record: ImageRecord) -> Case | str:
    """Or why it cannot be decided again."""
    reason, detail = record.reason or "", record.detail or ""
    if record.state not in TERMINAL:
        return "still on its way"
    if record.state is ImageState.REJECTED:
        return Case(record, None, Refused(reason, detail), frozenset())
    if record.state is ImageState.FAILED:
        return Case(record, None, Failed(reason, detail), frozenset())
    try:
        prepared = Prepared.from_json(dict(record.prepared)) if record.prepared else None
    except (KeyError, TypeError, ValueError):
        prepared = None
    if prepared is None:
        return "no measures of its quality are stored"
    if record.model is None or record.model_sha256 is None or record.engine is None:
        return "what found its detections is not stored"
    review = record.verdict is Verdict.REVIEW
    silent, faults = silent_models(detail if review else ""), camera_faults(detail if review else "")
    if len(record.looks) > 1 and record.looks[1].region is not None:
        # Of which look a label is, is not stored, and alerts do not ask.
        labels = tuple(replace(label, detection=None) for label in record.labels)
        first, second = (_finding(look) for look in record.looks)
        if not isinstance(first, Inspected):
            return "what its first look found is not stored"
        x1, y1, x2, y2 = record.looks[1].region
        looked = FirstLook(replace(first, labels=labels), prepared, Region(x1, y1, x2 - x1, y2 - y1))
        return Case(record, prepared, second, silent, faults, looked)
    names = tuple(name for name, _, _ in record.detections)
    detections = _detections(record.detections)
    found = Inspected(detections, names, record.model, record.model_sha256, record.engine, record.labels)
    return Case(record, prepared, found, silent, faults)


def _finding(look: Look) -> Finding:
    if look.model is None or look.model_sha256 is None or look.engine is None:
        reason, _, detail = look.said.partition(": ")
        return Failed(reason, detail)
    names = tuple(name for name, _, _ in look.seen)
    return Inspected(_detections(look.seen), names, look.model, look.model_sha256, look.engine)


def _detections(seen: Sequence[tuple[str, float, tuple[float, float, float, float]]]) -> Detections:
    """In the order in which they were decided by, which is that of their confidence; classes go by name here."""
    n = len(seen)
    xyxy = np.array([box for _, _, box in seen], np.float32).reshape(n, 4)
    return Detections(xyxy, np.array([c for _, c, _ in seen], np.float32), np.arange(n, dtype=np.int32))


def ended_since(results: Results, facility: FacilityId, since: datetime, limit: int) -> Iterator[ImageRecord]:
    """At most `limit` images that were accepted since then, newest first, page by page."""
    before: ImageId | None = None
    while limit > 0:
        # Without `received_since`: the last page would look for what is not there among all images that are older.
        size = min(limit, _PAGE)
        page = results.images(ImageFilter(frozenset({facility}), before=before), size)
        for record in page:
            before = record.facts.image_id
            if created_s(before) < since.timestamp() - _LATE_S:
                return
            if record.facts.received_at >= since:
                limit -= 1
                yield record
        if len(page) < size:
            return


class Incidents:
    """Alerts of one rule about one subject, with no pause longer than the rule's window. Fed from new to old."""

    def __init__(self) -> None:
        self.count = 0
        self._last: dict[tuple[str, str], tuple[datetime, float]] = {}

    def add(self, alert: Alert, at: datetime) -> None:
        """An alert that was raised then."""
        group = alert.rule, alert.subject
        later = self._last.get(group)
        if later is None or (later[0] - at).total_seconds() > later[1]:
            self.count += 1
        self._last[group] = at, alert.window_s
        if len(self._last) > _MOST_GROUPS:
            self._last = {g: (t, w) for g, (t, w) in self._last.items() if (t - at).total_seconds() <= w}


@dataclass(slots=True)
class Tally:
    """How many images ended in which way under one policy."""

    policy: Policy
    ends: Counter[str] = field(default_factory=Counter)  #: by verdict, or by state without one
    alerts: Counter[str] = field(default_factory=Counter)  #: by rule
    incidents: Incidents = field(default_factory=Incidents)
    unseen: int = 0  #: images that a model of the chain may never have seen
    doubts: int = 0  #: reviews for which a second look might be taken

    def add(self, case: Case) -> Outcome:
        """One more image."""
        outcome = case.under(self.policy)
        self.ends[end_of(outcome.state, outcome.verdict)] += 1
        self.unseen += case.unseen_by(self.policy)
        self.doubts += case.first is None and case.may_be_looked_at_again(self.policy)
        # A copy of an earlier image's outcome raises none.
        for alert in outcome.alerts if case.record.reused_from is None else ():
            self.alerts[alert.rule] += 1
            self.incidents.add(alert, case.record.facts.received_at)
        return outcome

    def to_json(self, hours: float) -> dict[str, Any]:
        """With what that makes in an hour."""
        return {
            "ends": dict(self.ends),
            "reviews_per_hour": round(self.ends["review"] / hours, 2),
            "alerts": dict(self.alerts),
            "alerts_per_hour": round(self.alerts.total() / hours, 2),
            "incidents": self.incidents.count,
            "chain_assumed": self.unseen,
            "second_looks_not_taken": self.doubts,
        }


class Simulation:
    """Images one after the other, newest first, in bounded memory."""

    def __init__(self, candidate: Policy, current: Policy | None, examples: int = _EXAMPLES) -> None:
        """`examples`: ids of images to remember for each kind of flip."""
        self._most_examples = examples
        self.candidate = Tally(candidate)
        self.current = None if current is None else Tally(current)
        self.decided: Counter[str] = Counter()  #: how the images ended in truth
        self.flips: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], list[ImageId]] = {}
        self.left_out: Counter[str] = Counter()  #: by the reason
        self.oldest: datetime | None = None
        self.twice = 0  #: images with two looks
        self._confirmed: Counter[str] = Counter()

    def add(self, record: ImageRecord) -> None:
        """One more image, older than those before."""
        case = case_of(record)
        if isinstance(case, str):
            self.left_out[case] += 1
            return
        self.oldest = record.facts.received_at
        before, outcome = end_of(record.state, record.verdict), self.candidate.add(case)
        after = end_of(outcome.state, outcome.verdict)
        if self.current is not None:
            self.current.add(case)
        self.decided[before] += 1
        self.twice += case.first is not None
        faulty = outcome.verdict is Verdict.REVIEW and camera_faults(outcome.detail)
        if record.facts.camera_status is CameraStatus.CONFIRMED and outcome.verdict is not None and not faulty:
            self._confirmed[after] += 1
        if before != after:
            self.flips[before, after] += 1
            shown = self.examples.setdefault((before, after), [])
            if len(shown) < self._most_examples:
                shown.append(record.facts.image_id)

    @property
    def replayed(self) -> int:
        """Images."""
        return self.decided.total()

    @property
    def confirmed(self) -> tuple[int, int]:
        """(reviews, decided images) of confirmed cameras under the candidate: the others are for people by any policy. So
        are those whose camera had a fault that the candidate does not ignore, which are left out, too.
        """
        return self._confirmed["review"], self._confirmed.total()

    def hours(self, now: datetime) -> float:
        """From the oldest image until now, at least one: a busy minute says nothing about an hour."""
        return 1.0 if self.oldest is None else max(1.0, (now - self.oldest) / timedelta(hours=1))

    def to_json(self, now: datetime) -> Mapping[str, Any]:
        """Everything."""
        hours = self.hours(now)
        flips = [
            {"from": a, "to": b, "images": n, "examples": [str(i) for i in self.examples[a, b]]}
            for (a, b), n in self.flips.most_common()
        ]
        return {
            "images": self.replayed,
            "hours": round(hours, 2),
            "decided": dict(self.decided),
            "reviews_per_hour": round(self.decided["review"] / hours, 2),
            "flips": flips,
            "current": None if self.current is None else self.current.to_json(hours),
            "candidate": self.candidate.to_json(hours),
            "second_looks": self.twice,
            "left_out": dict(self.left_out),
        }


def end_of(state: ImageState, verdict: Verdict | None) -> str:
    """A verdict, or a state that has none."""
    return str(verdict or state)
