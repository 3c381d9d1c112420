"""`audit verify`: is the audit what was sealed?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from framegate.kernel.audit import GENESIS, AuditEntry, Fault, Seal, entry_fault, seal_fault
from framegate.ports.audit import AuditFilter, AuditLog

_SEALS: Final = 16  # with their leaves: about a MiB
_ENTRIES: Final = 2000
_LOWEST: Final = -(2**63)


@dataclass(slots=True)
class AuditReport:
    """What `verify_audit` found, up to the first fault."""

    seals: int = 0
    entries: int = 0  #: sealed, and as they were
    redacted: int = 0  #: of them, those whose body was taken out
    head: bytes = GENESIS  #: the hash of the newest seal that holds
    unsealed: int = 0
    unsealed_s: float = 0.0
    fault: Fault | None = None
    expected: int | None = None  #: the seal with the hash that somebody wrote down
    missing: bool = False  #: somebody wrote one down, and no seal has it

    @property
    def holds(self) -> bool:
        """Whether every seal and every sealed entry is as it was."""
        return self.fault is None and not self.missing

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        fault = self.fault and {
            "what": self.fault.what,
            "entry": self.fault.sequence,
            "seal": self.fault.seal,
            "detail": self.fault.detail,
        }
        return {
            "holds": self.holds,
            "seals": self.seals,
            "entries": self.entries,
            "redacted": self.redacted,
            "head": self.head.hex(),
            "unsealed": self.unsealed,
            "unsealed_s": round(self.unsealed_s, 3),
            "fault": fault,
            "expected_seal": self.expected,
            "expected_is_missing": self.missing,
        }


def verify_audit(log: AuditLog, expect: bytes | None, tell: Callable[[AuditReport], None]) -> AuditReport:
    """Computes every hash again, from the first entry on; a few MiB at a time. `tell` hears of it after each seal.

    `expect`: the hash of a seal, kept elsewhere. Only that shows an audit whose end was cut off or that was made anew.
    """
    report, before = AuditReport(missing=expect not in (None, GENESIS)), None
    for seal in _seals(log):
        report.fault = seal_fault(before, seal) or entry_fault(seal, _in_range(log, before, seal, report))
        if report.fault is not None:
            return report
        report.seals, report.entries, report.head = seal.number, report.entries + len(seal.leaves), seal.hash
        if seal.hash == expect:
            report.expected, report.missing = seal.number, False
        before = seal
        tell(report)
    report.unsealed_s = log.unsealed_s()
    report.unsealed = sum(1 for _ in _entries(log, before.last if before else _LOWEST, None))
    return report


def _seals(log: AuditLog) -> Iterator[Seal]:
    number = _LOWEST
    while page := log.seals(number, _SEALS):
        yield from page
        number = page[-1].number


def _in_range(log: AuditLog, before: Seal | None, seal: Seal, report: AuditReport) -> Iterator[AuditEntry]:
    for entry in _entries(log, before.last if before else _LOWEST, seal.last):
        report.redacted += entry.redacted
        yield entry


def _entries(log: AuditLog, after: int, until: int | None) -> Iterator[AuditEntry]:
    while page := log.entries(AuditFilter(after=after, until=until), _ENTRIES):
        yield from page
        after = page[-1].sequence
