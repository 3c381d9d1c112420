"""The chain: classifiers that a policy puts behind the detector, to name what it found or the whole frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import is_name

#: The outcome's reason when a model of the chain could not do its part; nobody but people may pass such an image.
UNAVAILABLE: Final = "chain-unavailable"
#: Each link may look at many crops of every frame.
MAX_LINKS: Final = 4
_MIN_CONFIDENCE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Link:
    """One classifier, and what it looks at."""

    model: str  #: name@version
    of: frozenset[str] | None = None  #: classes of the detector; None: the whole frame
    min_confidence: float = _MIN_CONFIDENCE  #: detections below are not looked at


@dataclass(frozen=True, slots=True)
class Chains:
    """The chains that one policy declares."""

    everywhere: tuple[Link, ...] = ()
    cameras: Mapping[str, tuple[Link, ...]] = field(default_factory=dict)

    def for_camera(self, camera: str) -> tuple[Link, ...]:
        """Its own chain, or everybody's."""
        return self.cameras.get(camera, self.everywhere)

    @property
    def models(self) -> frozenset[str]:
        """All that they name."""
        return frozenset(link.model for links in (self.everywhere, *self.cameras.values()) for link in links)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """From a whole policy document, of which only the chains are looked at. Raises `ConfigurationError`."""
        try:
            cameras = {name: own["chain"] for name, own in document.get("cameras", {}).items() if "chain" in own}
        except (TypeError, AttributeError) as error:
            raise ConfigurationError(f"cameras: {error}") from error
        everywhere = parse_chain(document.get("chain", ()), "policy.chain")
        return cls(everywhere, {name: parse_chain(raw, f"cameras.{name}.chain") for name, raw in cameras.items()})


def parse_chain(raw: Any, where: str) -> tuple[Link, ...]:
    """`raw` is the entry `where` of a policy document. Raises `ConfigurationError` that names what is wrong in it."""
    if not isinstance(raw, list | tuple):
        raise ConfigurationError(f"{where}: a chain is a list of entries with a model, not {raw!r}")
    if len(raw) > MAX_LINKS:
        raise ConfigurationError(f"{where}: a chain has at most {MAX_LINKS} models, not {len(raw)}")
    links = tuple(parse_link(entry, f"{where}[{n}]") for n, entry in enumerate(raw))
    for n, link in enumerate(links):
        if any(link.model == earlier.model for earlier in links[:n]):
            raise ConfigurationError(f"{where}[{n}].model: {link.model} is in this chain already")
    return links


def parse_link(raw: Any, where: str) -> Link:
    """One entry of a chain, likewise."""
    if not isinstance(raw, Mapping):
        raise ConfigurationError(f"{where}: write {{model: NAME@VERSION, of: [CLASS, ...]}}, not {raw!r}")
    unknown = {*raw} - {"model", "of", "min_confidence"}
    if unknown:
        raise ConfigurationError(
            f"{where}: {', '.join(map(str, unknown))} is unknown; it has model, of, min_confidence"
        )
    return Link(
        _model(raw.get("model"), f"{where}.model"),
        _classes(raw.get("of"), f"{where}.of"),
        _confidence(raw.get("min_confidence", _MIN_CONFIDENCE), f"{where}.min_confidence"),
    )


def _model(raw: Any, where: str) -> str:
    name, at, version = raw.partition("@") if isinstance(raw, str) else ("", "", "")
    if not (at and is_name(name) and is_name(version)):
        raise ConfigurationError(f"{where}: a model is written as NAME@VERSION, not as {raw!r}")
    return f"{name}@{version}"


def _classes(raw: Any, where: str) -> frozenset[str] | None:
    if raw is None:
        return None
    if not isinstance(raw, list | tuple) or not raw or not all(isinstance(name, str) for name in raw):
        raise ConfigurationError(f"{where}: give a list of the detector's classes, or leave it out for the whole frame")
    return frozenset(raw)


def _confidence(raw: Any, where: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= 1:
        raise ConfigurationError(f"{where}: a confidence lies between 0 and 1, not at {raw!r}")
    return float(raw)
