"""Reading the audit, and sealing it. Every method may raise `DependencyUnavailable`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from framegate.kernel.audit import AuditEntry, Seal
from framegate.kernel.ids import FacilityId


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
