"""Reading the audit, and sealing it. Every method may raise `DependencyUnavailable`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol
from uuid import UUID

from framegate.kernel.audit import AuditEntry, Seal
from framegate.kernel.ids import FacilityId, ImageId

#: Who sees the same thing again before that is not told again.
SEEN_FOR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """All given conditions hold. `facilities` None: every one."""

    facilities: frozenset[FacilityId] | None = None
    object: str | None = None
    actor: str | None = None
    id: UUID | None = None
    since: datetime | None = None
    after: int = 0  #: only higher sequence numbers
    until: int | None = None  #: none higher than this


class AuditLog(Protocol):
    """Entries in the order of their numbers, and the seals over them.

    Numbers are taken before the commit. `seal` covers a number only when no transaction can commit under a lower one any
    more, so a seal is never wrong later; writers wait for nobody.
    """

    def add(self, facility: FacilityId, actor: str, action: str, what: str, body: Mapping[str, Any]) -> AuditEntry:
        """For what is not a change of something else, such as access to evidence."""
        ...

    def add_once(
        self, facility: FacilityId, actor: str, action: str, what: str, body: Mapping[str, Any], within: timedelta
    ) -> bool:
        """For what happens often and says the same each time: False, and nothing is added, when there is the same entry
        (all but its time) not older than `within`. Of two at once, one adds it.
        """
        ...

    def entries(self, where: AuditFilter, limit: int, *, newest: bool = False) -> list[AuditEntry]:
        """By rising number; with `newest` by falling number."""
        ...

    def seals(self, after: int, limit: int) -> list[Seal]:
        """By rising number, those after seal `after`."""
        ...

    def seal_of(self, sequence: int) -> Seal | None:
        """The seal whose range has this number; None: not sealed yet."""
        ...

    def seal(self, limit: int) -> int:
        """Seals up to `limit` entries in one seal and says how many; 0: none is ready, or another one seals now."""
        ...

    def unsealed_s(self) -> float:
        """For how long the oldest entry without a seal has waited, seconds; 0 when there is none."""
        ...


def viewed(
    log: AuditLog, facility: FacilityId, image_id: ImageId, actor: str, what: Literal["page", "original"]
) -> bool:
    """Before a person is shown an image: at most one entry in `SEEN_FOR`; whether this one was told. Blocks."""
    return log.add_once(facility, actor, "image.viewed", str(image_id), {"what": what}, SEEN_FOR)
