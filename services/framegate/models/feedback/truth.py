"""What may be taken as true about an image that a person decided. Pure.

- A pass says that none of the damage is there, and nothing about any other class.
- Boxes that a person drew are all the damage there is: they stand instead of what was found.
- A fail without boxes confirms what was found of the class that the person named, as far as the policy counted it. Where
  nothing of it was found, nobody knows where it is; where other damage was found beside it, nobody said whether that is
  there. Either is left out of sets with boxes: a missing or a wrong box would be learnt as if it were true.
- Who cannot tell says nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from framegate.gate.policy import Policy, Thresholds
from framegate.kernel.reviews import Choice, Redrawn
from framegate.ports.reviews import DecidedImage

CANNOT_TELL: Final = "nobody could tell from this picture"
NO_BOX: Final = "nothing of the damage was found, and nobody drew where it is"
OTHER_DAMAGE: Final = "other damage was found beside what the person named, and nobody said whether it is there"
OTHER_CLASS: Final = "the damage is of a class that is not wanted"

DRAWN, CONFIRMED, NONE = "drawn", "confirmed", "none"


@dataclass(frozen=True, slots=True)
class Truth:
    """What a person said; boxes are in pixels of the upright original."""

    damaged: bool
    name: str  #: the class of the damage; empty for none
    boxes: tuple[Redrawn, ...] | None  #: all the damage that there is; None: not known, `why` says why
    boxes_from: str  #: drawn, confirmed, none
    why: str = ""

    def narrowed(self, classes: Collection[str]) -> "Truth | str":
        """With boxes of these classes alone (none named: of all), or why it says nothing about them."""
        if self.boxes is None:
            return self.why
        if not classes:
            return self
        # Who drew all the damage said that there is none of the other classes.
        known = not self.damaged or self.boxes_from == DRAWN or self.name in classes
        return replace(self, boxes=tuple(box for box in self.boxes if box.name in classes)) if known else OTHER_CLASS

    def of_class(self, classes: Collection[str]) -> "Truth | str":
        """As a word about the whole image: damage of other classes does not make it intact."""
        named = {self.name, *(drawn.name for drawn in self.boxes or ())}
        return self if not (self.damaged and classes) or named & {*classes} else OTHER_CLASS


def truth_of(decided: DecidedImage, policy: Policy, harmless: Collection[str] = ()) -> Truth | str:
    """Or why there is none. `policy`: by which the image was decided; `harmless`: classes that are no damage."""
    said = decided.review.decision
    if said.choice is Choice.PASS:
        return Truth(False, "", (), NONE)
    if said.choice is not Choice.FAIL:
        return CANNOT_TELL
    if said.boxes:
        drawn = tuple(drawn for drawn in said.boxes if drawn.name not in harmless)
        return Truth(True, said.name, drawn, DRAWN) if drawn else Truth(True, said.name, None, NONE, NO_BOX)
    rules = policy.for_camera(decided.record.facts.camera)
    counted = [
        Redrawn(name, box)
        for name, confidence, box in decided.record.detections
        if confidence >= _lowest(rules.thresholds(name))
    ]
    ours = tuple(found for found in counted if found.name == said.name)
    if not ours:
        return Truth(True, said.name, None, NONE, NO_BOX)
    if len(ours) < len(counted):
        return Truth(True, said.name, None, NONE, OTHER_DAMAGE)
    return Truth(True, said.name, ours, CONFIRMED)


def damage_classes(policies: Iterable[Policy]) -> tuple[set[str], set[str]]:
    """(damage, harmless): what the rules name with a threshold somewhere, and what they name without any."""
    limits = [(name, one) for policy in policies for rules in (policy.rules, *policy.cameras.values())
              for name, one in rules.classes.items()]  # fmt: skip
    damage = {name for name, one in limits if _lowest(one) <= 1}
    return damage, {name for name, _ in limits} - damage


def _lowest(limits: Thresholds) -> float:
    """From where on a detection counts; infinite: never."""
    return min((limit for limit in (limits.review, limits.fail) if limit is not None), default=float("inf"))
