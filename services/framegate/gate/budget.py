"""How many images may be looked at a second time."""

from typing import Final

from framegate.kernel.ids import FacilityId

#: What is not used is saved for so many images and no longer: a quiet hour does not pay for a flood.
_SAVED: Final = 100
#: Images over which the share is told.
_TOLD: Final = 1000
_ROUNDING: Final = 1e-6


class LookBudget:
    """A share of the images that one gate decides, for each facility by itself.

    Every image pays its share in, a second look takes a whole one out. So of any n images of a facility at most
    share * n + max(1, 100 * share) are looked at again, and what holds for each gate holds for all of them together. A
    decision that is repeated (its claim was lost) pays and takes once more.
    """

    def __init__(self) -> None:
        self._credit: dict[FacilityId, float] = {}
        self._images = 0
        self.share = 0.0  #: of the newest thousand images or so

    def note(self, facility: FacilityId, share: float) -> None:
        """An image had its first look."""
        most = max(1.0, _SAVED * share) if share > 0 else 0.0
        self._credit[facility] = min(self._credit.get(facility, 1.0) + share, most)
        self._images = min(self._images + 1, _TOLD)
        self.share -= self.share / self._images

    def take(self, facility: FacilityId) -> bool:
        """Whether the image that was noted last may have a second one."""
        credit = self._credit.get(facility, 0.0)
        if credit < 1 - _ROUNDING:
            return False
        self._credit[facility] = credit - 1
        self.share += 1 / self._images
        return True
