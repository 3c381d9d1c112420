"""Which engine serves: the first of an ordered list that is there, loads, and sees what the reference sees."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from framegate.kernel.errors import ModelRefused
from framegate.ports.engine import Engine

#: Empty: the engine may serve. Else why not.
Vet = Callable[[Engine], str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that may be there. Opening it raises whatever stands in the way: `ImportError` where it is not installed."""

    name: str
    open: Callable[[], Engine]
    exact: Callable[[], Engine] | None = None  #: the same in full precision, tried when a reduced one is vetoed
    is_reference: bool = False  #: what others are compared with needs no comparison


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, and for each that came before it why it does not serve."""

    engine: Engine
    refused: tuple[str, ...]


def choose(candidates: Iterable[Candidate], vet: Vet) -> Choice:
    """Candidates in the order of preference; raises `ModelRefused` with all reasons when none can serve."""
    refused: list[str] = []
    for candidate in candidates:
        for opening in (candidate.open, candidate.exact):
            if opening is None:
                continue
            engine, why = _opened(opening, (lambda _: "") if candidate.is_reference else vet)
            if engine is not None and not why:
                return Choice(engine, tuple(refused))
            refused.append(f"{candidate.name if engine is None else engine.description}: {why}")
            if engine is None or is_exact(engine):
                break
    raise ModelRefused("no engine can serve this model. " + "; ".join(refused))


def is_exact(engine: Engine) -> bool:
    """Whether it computes in f32, by its own description."""
    return engine.description.endswith(" f32")


def _opened(opening: Callable[[], Engine], vet: Vet) -> tuple[Engine | None, str]:
    """The engine, closed already if there is a reason against it."""
    try:
        engine = opening()
    except ImportError as error:
        return None, f"not installed ({error})"
    # A vendor's package that is broken on this machine fails in whatever way it likes; the next one may do.
    except Exception as error:
        return None, str(error) or type(error).__name__
    try:
        why = vet(engine)
    except Exception as error:
        why = str(error) or type(error).__name__
    if why:
        engine.close()
    return engine, why
