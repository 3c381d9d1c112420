"""A policy in plain words, for people who do not read YAML."""

from collections.abc import Iterable, Iterator
from typing import Final

from framegate.gate.alerting import AlertRule
from framegate.gate.policy import FLAGS, Policy, Rules
from framegate.kernel.camera_health import IGNORABLE
from framegate.kernel.policies import ClassRule, PolicyInWords, RulesInWords

_UNITS: Final = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
_OCCASIONS: Final = {
    "pass": "an image passes",
    "fail": "an image fails",
    "review": "an image is left to people",
    "rejected": "an image cannot be read",
    "failed": "an image could not be inspected",
    "late": "an image is decided too late",
    "uncertain": "the model is not sure",
    "second-look-uncertain": "the model is not sure after a second look either",
    "looks-disagree": "two looks see something else",
    "second-look-failed": "a second look came to nothing",
    "quality": "the picture is doubtful",
    "subject-missing": "what a pass needs is not seen",
    "camera-unconfirmed": "nobody has confirmed the camera",
    "camera-fault": "the camera has a fault",
    "chain-unavailable": "a further model did not answer",
}


def told(policy: Policy) -> PolicyInWords:
    """Of a camera only what is otherwise there."""
    everywhere = _told(policy.rules)
    cameras = {}
    for name, rules in policy.cameras.items():
        own = _told(rules)
        gone = {topic for topic, _ in everywhere.sentences} - {topic for topic, _ in own.sentences}
        cameras[name] = RulesInWords(
            [one for one in own.classes if one not in everywhere.classes],
            [
                *(one for one in own.sentences if one not in everywhere.sentences),
                *((topic, "not here.") for topic in sorted(gone)),
            ],
        )
    return PolicyInWords(everywhere, cameras)


def _told(rules: Rules) -> RulesInWords:
    classes = [ClassRule(name, one.review, one.fail) for name, one in rules.classes.items()]
    other = ClassRule("", rules.otherwise.review, rules.otherwise.fail)
    return RulesInWords([*classes, other], list(_sentences(rules)))


def _sentences(rules: Rules) -> Iterator[tuple[str, str]]:
    if rules.require:
        sure = f"{100 * rules.require_confidence:g} %"
        yield "A pass needs", f"{_either(sorted(rules.require))} in the picture, seen with {sure} or more."
    else:
        yield "A pass needs", "nothing special in the picture."
    yield "Doubtful pictures", _split(FLAGS, rules.doubtful_quality, "are left to people")
    faults = frozenset(IGNORABLE) - rules.ignored_faults
    yield "Faults of the camera", _split(IGNORABLE, faults, "leave its images to people")
    for link in rules.chain:
        what = f"every {_either(sorted(link.of))}" if link.of is not None else "the whole picture"
        sure = f" that was seen with {100 * link.min_confidence:g} % or more" if link.of is not None else ""
        yield f"Further model {link.model}", f"names {what}{sure}."
    yield "Second look", _second_look(rules)
    for lane, seconds in sorted(rules.deadlines.items()):
        within = "may take as long as they do" if seconds is None else f"are to be decided within {_span(seconds)}"
        yield f"Deadline, {lane}", f"Images of this lane {within}."
    for name, rule in sorted(rules.alerts.items()):
        yield f"Alert {name}", _alert(rule)


def _second_look(rules: Rules) -> str:
    look = rules.second_look
    if look is None:
        return "none: what is uncertain is left to people at once."
    text = f"what is only uncertain is looked at once more, larger; at most {100 * look.max_share:g} % of the images."
    if look.clear_below is None:
        return f"{text} It can only find, it never clears a doubt."
    return f"{text} A doubt is cleared when the second look is less than {100 * look.clear_below:g} % sure of it."


def _alert(rule: AlertRule) -> str:
    when = _either(sorted(_OCCASIONS.get(one, one.replace("-", " ")) for one in rule.when))
    seen = f", and {_either(sorted(rule.classes))} was seen" if rule.classes else ""
    again = "nobody is told again" if rule.escalate_after_s is None else (
        f"people are told again after {_span(rule.escalate_after_s)} if nobody takes it in hand"
    )  # fmt: skip
    together = " and ".join(one.replace("metadata.", "") for one in rule.group_by) or "facility"
    return (
        f"{rule.severity}, when {when}{seen}. One incident for each {together}; over when nothing came for "
        f"{_span(rule.window_s)}; {again}."
    )


def _split(known: Iterable[str], chosen: frozenset[str], what: str) -> str:
    yes, no = [n for n in known if n in chosen], [n for n in known if n not in chosen]
    said = [f"{', '.join(yes)} {what}."] if yes else []
    return " ".join([*said, *([f"{', '.join(no)} {'does' if len(no) == 1 else 'do'} not matter."] if no else [])])


def _either(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _span(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds % size == 0), (1, "seconds"))
    number = seconds / size
    return f"{number:g} {unit.removesuffix('s') if number == 1 else unit}"
