"""Whether a policy may be applied: it names only what is there, and leaves people something that they need not look at."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from framegate.gate.entries import Entry, Problem, suggestion
from framegate.gate.policy import Policy, Rules, Thresholds


@dataclass(frozen=True, slots=True)
class Known:
    """What there is for a policy to name."""

    classes: frozenset[str]  #: of the detectors that serve; empty: none serves yet
    #: Of the chains, by name@version: its classes, or why it cannot be one.
    classifiers: Mapping[str, frozenset[str] | str]
    cameras: frozenset[str]  #: of the facility


def unknown_names(raw: Mapping[str, Any], known: Known) -> list[Problem]:
    """Of cameras, of models in chains, and of classes, where a detector serves; `raw` is a policy that can be read."""
    document = Entry(raw)
    named = frozenset[str]().union(*(one for one in known.classifiers.values() if not isinstance(one, str)))
    for scope in _scopes(document):
        for n, link in enumerate(scope["chain"].raw or ()):
            answer = known.classifiers.get(link["model"], "there is no such model")
            if isinstance(answer, str):
                scope["chain"][n]["model"].refuse(answer)
        if known.classes:
            _refuse_unknown(_classes(scope), known.classes, "no model that serves")
            _refuse_unknown(_alert_classes(scope), known.classes | named, "no model that serves and no classifier")
    for camera, entry in document["cameras"].entries() if document["cameras"].raw else ():
        if camera not in known.cameras:
            remedy = f"{suggestion(camera, known.cameras)}; or add it with 'framegate cameras add {camera}'"
            entry.refuse(f"there is no camera {camera}{remedy}", at_name=True)
    return document.problems


def nothing_passes(policy: Policy, classes: Iterable[str] = ()) -> str | None:
    """Why the general rules let no image pass, whatever is in it; None: they may. `classes` are those of what serves."""
    return _hopeless(policy.rules, classes)


def cameras_without_a_pass(policy: Policy, classes: Iterable[str] = ()) -> list[str]:
    """Those whose own rules do that."""
    return sorted(name for name, rules in policy.cameras.items() if _hopeless(rules, classes))


def _hopeless(rules: Rules, classes: Iterable[str]) -> str | None:
    if rules.require:
        if rules.require_confidence >= 1:
            return "require_confidence is 1: no detection is that sure, so that every image lacks what is required"
        lowest = [_lowest(rules.thresholds(name)) for name in rules.require]
        if all(limit is not None and limit <= rules.require_confidence for limit in lowest):
            names = ", ".join(sorted(rules.require))
            return (
                f"an image must show {names} with {rules.require_confidence:g} to pass, but that much of it is already "
                "above its own threshold for review"
            )
    wanted = [rules.thresholds(name) for name in {*classes} or rules.classes] or [rules.otherwise]
    if all(_lowest(limits) == 0 for limits in wanted):
        return "the thresholds of all classes are 0: whatever is found in an image, it cannot pass"
    return None


def _lowest(limits: Thresholds) -> float | None:
    """From where on a detection keeps the image from passing."""
    return min((limit for limit in (limits.review, limits.fail) if limit is not None), default=None)


def _scopes(document: Entry) -> Iterator[Entry]:
    yield document
    if document["cameras"].raw:
        yield from (entry for _, entry in document["cameras"].entries())


def _classes(scope: Entry) -> Iterator[tuple[str, Entry, bool]]:
    """(class, where it stands, as the entry's name)."""
    if scope["classes"].raw:
        yield from ((name, entry, True) for name, entry in scope["classes"].entries())
    yield from _listed(scope["require"])
    for n in range(len(scope["chain"].raw or ())):
        yield from _listed(scope["chain"][n]["of"])


def _alert_classes(scope: Entry) -> Iterator[tuple[str, Entry, bool]]:
    if scope["alerts"].raw:
        for _, rule in scope["alerts"].entries():
            yield from _listed(rule["classes"])


def _listed(entry: Entry) -> Iterator[tuple[str, Entry, bool]]:
    yield from ((name, entry[n], False) for n, name in enumerate(entry.raw or ()))


def _refuse_unknown(found: Iterable[tuple[str, Entry, bool]], known: frozenset[str], who: str) -> None:
    for name, entry, at_name in found:
        if name not in known:
            entry.refuse(f"{who} knows the class {name!r}{suggestion(name, known)}", at_name=at_name)
