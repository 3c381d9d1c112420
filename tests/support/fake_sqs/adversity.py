"""What goes wrong, how often, and the dice that decide when."""

import random
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import Any, Final


@dataclass(frozen=True)
class Adversity:
    """Rates from 0 to 1. All 0: a correct, strict standard queue."""

    seed: int = 0
    duplicates: float = 0.0  #: of deliveries: comes again while its receiver has it, or (half) once more when deleted
    reorder: float = 0.0  #: of deliveries: one from further back is taken instead
    delay: float = 0.0  #: of sent messages: becomes visible up to `late_s` later than it should
    stale_noop: float = 0.0  #: of deletes and changes with an old receipt: succeeds and does nothing (0: refused)
    resurrect: float = 0.0  #: of deletes: succeeds, and the message comes back once, up to `late_s` later
    partial_failures: float = 0.0  #: of entries of batches: `Failed`, not by the sender's fault, without an effect
    throttle: float = 0.0  #: of calls: refused before it has an effect (two sorts of 400, and 503)
    resets: float = 0.0  #: of calls: takes effect, then the connection is reset instead of an answer
    purge: float = 0.0  #: of receives: somebody purges that queue just before
    late_s: float = 5.0

    def __post_init__(self) -> None:
        for name in RATES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a rate from 0 to 1, not {getattr(self, name)}")
        if not 0 <= self.late_s <= 900:
            raise ValueError(f"late_s is from 0 to 900 seconds, not {self.late_s}")


RATES: Final = tuple(f.name for f in fields(Adversity) if f.name not in ("seed", "late_s"))


class Dice:
    """Each adversity has a die of its own, so that switching one on leaves the others' runs as they were."""

    def __init__(self, adversity: Adversity) -> None:
        self.adversity = adversity
        self.injected: Counter[str] = Counter()
        self._dice = {name: random.Random(f"{adversity.seed}/{name}") for name in RATES}

    def change(self, **values: Any) -> None:
        """Of rates and `late_s`, while it runs. Raises ValueError, and changes nothing then."""
        unknown = values.keys() - {*RATES, "late_s"}
        if unknown:
            raise ValueError(f"no such adversity: {', '.join(sorted(unknown))}; there are {', '.join(RATES)}, late_s")
        self.adversity = replace(self.adversity, **values)

    def hit(self, name: str) -> bool:
        """Whether it happens this time; counted when it does."""
        rate = getattr(self.adversity, name)
        hit = bool(rate) and self._dice[name].random() < rate
        if hit:
            self.injected[name] += 1
        return hit

    def below(self, name: str, n: int) -> int:
        return self._dice[name].randrange(n)

    def lateness(self, name: str) -> float:
        return self._dice[name].uniform(0, self.adversity.late_s)
