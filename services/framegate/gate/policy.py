"""The policy: a versioned document, read into the rules for each camera."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from framegate.gate.alerting import DEFAULT_ALERTS, AlertRule, read_alerts
from framegate.gate.entries import Entry, shown
from framegate.kernel.camera_health import IGNORABLE
from framegate.kernel.chain import Link, parse_chain, parse_link
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import is_name
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.states import Lane

#: Confidence from which a detection of a class without thresholds of its own needs a person.
_UNKNOWN_CLASS_REVIEW: Final = 0.25
#: What a frame may be that makes a pass untrustworthy.
FLAGS: Final = ("too-dark", "too-bright", "blurred", "flat", "noise", "small")
_RULES: Final = (
    "classes", "otherwise", "require", "require_confidence", "quality", "doubtful_quality", "camera_faults", "chain", "alerts",
    "deadlines", "second_look",
)  # fmt: skip
_IN_CHAIN: Final = re.compile(r"(?:\[(\d+)\])?(?:\.(\w+))?: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Below `review` a detection is accepted (does not count), from `fail` on it rejects, between people decide.

    None: never.
    """

    review: float | None
    fail: float | None


@dataclass(frozen=True, slots=True)
class SecondLook:
    """When an image whose only trouble is a doubtful detection is looked at once more, at higher resolution."""

    max_share: float = 0.1  #: of the images of the facility that a gate decides; beyond it doubts go to people at once
    #: Confidence of the doubted class from which on a second look has not cleared it. None: it never does, it only finds.
    clear_below: float | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one camera."""

    classes: Mapping[str, Thresholds]
    otherwise: Thresholds
    require: frozenset[str]
    require_confidence: float
    doubtful_quality: frozenset[str]  #: flags that make a pass a review
    chain: tuple[Link, ...] = ()  #: what inference had to ask after the detector
    alerts: Mapping[str, AlertRule] = field(default_factory=lambda: DEFAULT_ALERTS)  #: by name
    deadlines: Mapping[str, float | None] = field(default_factory=dict)  #: by lane: seconds from upload to verdict
    ignored_faults: frozenset[str] = frozenset()  #: of the camera that leave a pass a pass
    second_look: SecondLook | None = None  #: None: doubts go to people at once

    def thresholds(self, class_name: str) -> Thresholds:
        """Those of the class, or the ones for every other class."""
        return self.classes.get(class_name, self.otherwise)


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy document."""

    version: int
    rules: Rules
    cameras: Mapping[str, Rules]

    def for_camera(self, camera: str) -> Rules:
        """Its own rules, or everybody's."""
        return self.cameras.get(camera, self.rules)

    @classmethod
    def parse(cls, version: int, document: Mapping[str, Any]) -> Self:
        """Raises `ConfigurationError` that names the entries. Entries that this release does not know are left alone."""
        entry = Entry(document)
        policy = cls.read(version, entry)
        if entry.problems:
            raise ConfigurationError("; ".join(f"policy.{problem}" for problem in entry.problems))
        return policy

    @classmethod
    def read(cls, version: int, entry: Entry) -> Self:
        """What is wrong is noted in the entry. A camera's entry replaces single entries of the general one."""
        general = _NO_RULES
        if entry["schema"].raw != 1:
            entry["schema"].refuse(f"schema {entry['schema'].raw!r} is unknown; this release reads schema 1: write 1")
            return cls(version, general, {})
        entry.only("schema", *_RULES, "cameras", "calibration")
        entry.needs("classes", "it holds the thresholds of each class, {} where there are none")
        entry.needs("otherwise", "it holds the thresholds of every other class: {review: 0.25, fail: null}")
        general = _rules(entry, general)
        cameras = {}
        if "cameras" in entry:
            for name, own in entry["cameras"].entries():
                if entry.strict and not is_name(name):
                    own.refuse(f"{name!r} cannot name a camera", at_name=True)
                own.only(*_RULES)
                cameras[name] = _rules(own, general)
        return cls(version, general, cameras)


def document_from_manifest(manifest: ModelManifest) -> dict[str, Any]:
    """A first policy: the thresholds that the model's maker suggests; classes without any are not defects."""
    named: dict[str, Any] = {
        name: {"review": t.review, "fail": t.fail} for name, t in sorted(manifest.thresholds.items())
    }
    if named:
        named |= {name: {"review": None, "fail": None} for name in manifest.classes if name not in named}
    return {
        "schema": 1,
        "classes": named,
        "otherwise": {"review": _UNKNOWN_CLASS_REVIEW, "fail": None},
        "require": list(manifest.require),
        "require_confidence": _UNKNOWN_CLASS_REVIEW,
        "doubtful_quality": list(FLAGS),
        "cameras": {},
    }


_NO_RULES: Final = Rules({}, Thresholds(None, None), frozenset(), _UNKNOWN_CLASS_REVIEW, frozenset(FLAGS))


def _rules(entry: Entry, base: Rules) -> Rules:
    """`base` with what the entry says instead.

    Of classes, quality, camera_faults, alerts and deadlines single entries, of everything else the whole.
    """
    read: dict[str, Any] = {
        "classes": lambda e: {**base.classes, **{name: _thresholds(one) for name, one in e.entries()}},
        "otherwise": _thresholds,
        "require": lambda e: frozenset(e.names()),
        "require_confidence": lambda e: e.number() or 0.0,
        "chain": _chain,
        "alerts": lambda e: read_alerts(e, base.alerts),
        "deadlines": lambda e: {**base.deadlines, **_deadlines(e)},
        "second_look": _second_look,
    }
    found = {name: reader(entry[name]) for name, reader in read.items() if name in entry}
    doubtful, ignored = _doubtful(entry, base.doubtful_quality), _ignored(entry, base.ignored_faults)
    return replace(base, **found, doubtful_quality=doubtful, ignored_faults=ignored)


def _second_look(entry: Entry) -> SecondLook | None:
    if entry.raw is False:
        return None
    if not isinstance(entry.raw, Mapping):
        entry.refuse(f"write {{max_share: 0.1}}, or false for no second look, not {shown(entry.raw)}")
        return None
    entry.only("max_share", "clear_below")
    share, clear = entry["max_share"], entry["clear_below"]
    wanted = SecondLook()
    if "max_share" in entry:
        wanted = replace(wanted, max_share=share.number() or 0.0)
    if "clear_below" in entry:
        wanted = replace(wanted, clear_below=None if clear.raw is None else clear.number())
    return wanted


def _doubtful(entry: Entry, base: frozenset[str]) -> frozenset[str]:
    """From `quality`, or from `doubtful_quality`, which is older and names all that are for people."""
    known = FLAGS if entry.strict else None
    if "doubtful_quality" in entry:
        if "quality" in entry:
            entry["doubtful_quality"].refuse("quality says the same: keep one of the two", at_name=True)
        return frozenset(entry["doubtful_quality"].names(known))
    if "quality" not in entry:
        return base
    if entry.strict and "frozen" in entry["quality"]:
        # Releases before had the name among the flags, without effect.
        entry["quality"]["frozen"].refuse("it is a fault of the camera: write it under camera_faults", at_name=True)
        entry["quality"].only(*FLAGS, "frozen")
    else:
        entry["quality"].only(*FLAGS)
    return _those(entry["quality"], "review", base)


def _deadlines(entry: Entry) -> dict[str, float | None]:
    entry.only(*Lane)
    return {lane: one.duration_or_never() for lane, one in entry.entries()}


def _ignored(entry: Entry, base: frozenset[str]) -> frozenset[str]:
    if "camera_faults" not in entry:
        return base
    entry["camera_faults"].only(*IGNORABLE)
    return _those(entry["camera_faults"], "ignore", base)


def _those(entry: Entry, wanted: str, base: frozenset[str]) -> frozenset[str]:
    """Names of which the entry says `wanted` (ignore or review); those that it does not name are as in `base`."""
    said = {name: one.name(("ignore", "review")) for name, one in entry.entries()}
    return (base - said.keys()) | {name for name, what in said.items() if what == wanted}


def _thresholds(entry: Entry) -> Thresholds:
    entry.only("review", "fail")
    if entry.strict:
        for name in ("review", "fail"):
            entry.needs(name, "a confidence from 0 to 1, or null for never")
    review, fail = (None if entry[key].raw is None else entry[key].number() for key in ("review", "fail"))
    if review is not None and fail is not None and review > fail:
        entry.refuse(f"review ({review:g}) must not be above fail ({fail:g})")
    return Thresholds(review, fail)


def _chain(entry: Entry) -> tuple[Link, ...]:
    """Each link by itself, so that every mistake is found; then what holds for all of them together."""
    before = len(entry.problems)
    if isinstance(entry.raw, list | tuple):
        for n, raw in enumerate(entry.raw):
            try:
                parse_link(raw, f"[{n}]")
            except ConfigurationError as error:
                _refuse_link(entry, str(error))
    if len(entry.problems) == before:
        try:
            return parse_chain(entry.raw, "")
        except ConfigurationError as error:
            _refuse_link(entry, str(error))
    return ()


def _refuse_link(chain: Entry, message: str) -> None:
    """`message` begins with the place in the chain."""
    found = _IN_CHAIN.fullmatch(message)
    assert found is not None  # noqa: S101 (what `framegate.kernel.chain` writes)
    place, name, text = found.groups()
    entry = chain if place is None else chain[int(place)]
    (entry if name is None else entry[name]).refuse(text)
