"""The policy: a versioned document of thresholds, and the decision it leads to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from framegate.kernel.chain import Link, parse_chain
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.manifest import ModelManifest

#: Confidence from which a detection of a class without thresholds of its own needs a person.
_UNKNOWN_CLASS_REVIEW = 0.25
#: What a frame may be that makes a pass untrustworthy.
_DOUBTFUL = ("too-dark", "too-bright", "blurred", "flat", "noise", "small")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Below `review` a detection is accepted (does not count), from `fail` on it rejects, between people decide.

    None: never.
    """

    review: float | None
    fail: float | None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one camera."""

    classes: Mapping[str, Thresholds]
    otherwise: Thresholds
    require: frozenset[str]
    require_confidence: float
    doubtful_quality: frozenset[str]
    chain: tuple[Link, ...] = ()  #: what inference had to ask after the detector

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
        """Raises `ConfigurationError` that names the entry. A camera's entry replaces single entries of the general one."""
        if document.get("schema") != 1:
            raise ConfigurationError(
                f"policy: schema {document.get('schema')!r} is unknown; this release reads schema 1"
            )
        general = _rules(document, "policy")
        cameras = {
            name: _rules(_merged(document, own), f"cameras.{name}")
            for name, own in dict(document.get("cameras", {})).items()
        }
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
        "doubtful_quality": list(_DOUBTFUL),
        "cameras": {},
    }


def _merged(document: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {**document, **own, "classes": {**document.get("classes", {}), **own.get("classes", {})}}


def _rules(document: Mapping[str, Any], where: str) -> Rules:
    try:
        return Rules(
            classes={name: _thresholds(t, f"{where}.classes.{name}") for name, t in document["classes"].items()},
            otherwise=_thresholds(document["otherwise"], f"{where}.otherwise"),
            require=frozenset(document.get("require", ())),
            require_confidence=float(document.get("require_confidence", _UNKNOWN_CLASS_REVIEW)),
            doubtful_quality=frozenset(document.get("doubtful_quality", _DOUBTFUL)),
            chain=parse_chain(document.get("chain", ()), f"{where}.chain"),
        )
    except KeyError as error:
        raise ConfigurationError(f"{where}: the entry {error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _thresholds(raw: Mapping[str, Any], where: str) -> Thresholds:
    review, fail = (None if raw.get(key) is None else float(raw[key]) for key in ("review", "fail"))
    for value in (review, fail):
        if value is not None and not 0 <= value <= 1:
            raise ConfigurationError(f"{where}: confidences lie between 0 and 1, not at {value}")
    if review is not None and fail is not None and review > fail:
        raise ConfigurationError(f"{where}: review ({review}) must not be above fail ({fail})")
    return Thresholds(review, fail)
