"""`audit`: who did what to what, and the proof that nobody changed it since."""

import json as jsonlib
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from framegate.bootstrap import Stores
from framegate.box.audit import AuditReport, verify_audit
from framegate.cli.common import DataOption, JsonOption, console, out
from framegate.cli.stores import stores_of
from framegate.kernel.audit import AuditEntry, check_proof, proof
from framegate.kernel.durations import parse_duration
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId
from framegate.ports.audit import AuditFilter
from framegate.settings import Settings

audit = typer.Typer(
    help="Who did what to what, and the proof that nobody changed it since: list, show, prove, check, verify.",
    no_args_is_help=True,
)

ObjectOption = Annotated[
    str | None, typer.Option("--object", metavar="X", help="Of this image, camera, model, key, person or incident")
]
EntryArgument = Annotated[
    str, typer.Argument(metavar="ENTRY", help="Its number or id, as 'framegate audit list' shows it")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(audit, name="audit")


@audit.command("list")
def audit_list(
    what: ObjectOption = None,
    actor: Annotated[str | None, typer.Option("--actor", help="By exactly this one")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="AGE", help="Not older than: 90s, 12h, 7d")] = None,
    facility: Annotated[str | None, typer.Option("--facility", help="Of this facility. Default: all")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The most entries")] = 50,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs")] = False,
    data: DataOption = None,
) -> None:
    """Shows the newest entries first."""
    where = AuditFilter(
        facilities=frozenset({FacilityId(facility)}) if facility else None,
        object=what,
        actor=actor,
        since=_since(since),
    )
    with stores_of(Settings.read(data=data)) as stores:
        found = stores.audit.entries(where, limit, newest=True)
    if json:
        for entry in found:
            print(jsonlib.dumps(entry.to_json(), ensure_ascii=False))
        return
    table = Table("entry", "at", "facility", "actor", "action", "object", "more")
    for entry in found:
        more = "(taken out)" if entry.redacted else jsonlib.dumps(entry.body, ensure_ascii=False)
        texts = (str(entry.sequence), f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.facility, entry.actor, entry.action)
        table.add_row(*(escape(text) for text in (*texts, entry.object, more)))
    out.print(table if found else "There is no such entry.")


@audit.command("show")
def audit_show(entry: EntryArgument, data: DataOption = None) -> None:
    """Shows one entry with everything in it."""
    with stores_of(Settings.read(data=data)) as stores:
        print(jsonlib.dumps(_entry(stores, entry).to_json(), ensure_ascii=False, indent=2))


@audit.command("prove")
def audit_prove(
    entry: Annotated[str | None, typer.Argument(metavar="[ENTRY]", help="Its number or id")] = None,
    what: ObjectOption = None,
    data: DataOption = None,
) -> None:
    """Prints entries with their seals and all that is needed to compute those again: one JSON object a line."""
    if (entry is None) == (what is None):
        raise ConfigurationError("name one entry, or with --object what the entries are about")
    with stores_of(Settings.read(data=data)) as stores:
        after, found = 0, [_entry(stores, entry)] if entry is not None else []
        while what is not None and (page := stores.audit.entries(AuditFilter(object=what, after=after), 500)):
            found, after = found + page, page[-1].sequence
        if not found:
            raise ConfigurationError(f"the audit has no entry about {what}: 'framegate audit list' shows the newest")
        for one in found:
            print(jsonlib.dumps(proof(one, stores.audit.seal_of(one.sequence)), ensure_ascii=False))


@audit.command("check")
def audit_check(
    file: Annotated[Path, typer.Argument(help="What 'audit prove' printed, or audit.json of an evidence bundle")],
) -> None:
    """Computes proofs again, without a box; exits 1 when one does not hold. Compare the seals' hashes with the box's."""
    try:
        proofs = _proofs(file.read_text("utf-8"))
        checked = [(one["entry"]["sequence"], one["seal"], check_proof(one)) for one in proofs]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{file} has no proofs of entries: {error!r}") from None
    for sequence, seal, holds in checked:
        if seal is None:
            print(f"entry {sequence}: not sealed yet when this was made; it proves nothing")
        elif holds:
            print(f"entry {sequence}: as seal {seal['number']} has it, {seal['sha256']}")
        else:
            print(f"entry {sequence}: DOES NOT HOLD")
    raise typer.Exit(0 if checked and all(holds or seal is None for _, seal, holds in checked) else 1)


@audit.command("verify")
def audit_verify(
    expect: Annotated[
        str | None, typer.Option("--expect", metavar="HASH", help="The head of an earlier time, kept elsewhere")
    ] = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Computes every hash again and names the first entry that was changed, removed or inserted; exits 1 then.

    Write the head down where nobody of this box can change it: with --expect it shows whether the end was cut off, or
    everything made anew. Entries of the last seconds are not sealed yet.
    """
    if expect is not None and re.fullmatch("[0-9a-f]{64}", expect) is None:
        raise ConfigurationError(
            "--expect takes the 64 hexadecimal digits that 'framegate audit verify' prints as head"
        )
    with stores_of(Settings.read(data=data)) as stores, console.status("Reading the audit") as status:

        def tell(report: AuditReport) -> None:
            status.update(f"Reading the audit: {report.entries} entries in {report.seals} seals hold")

        report = verify_audit(stores.audit, bytes.fromhex(expect) if expect else None, tell)
    if json:
        print(jsonlib.dumps(report.to_json()))
    else:
        _print(report)
    raise typer.Exit(0 if report.holds else 1)


def _print(report: AuditReport) -> None:
    out.print(f"{report.entries} entries in {report.seals} seals hold; {report.redacted} of them without their body")
    if report.fault is not None:
        out.print(escape(str(report.fault)), highlight=False)
        return
    if report.unsealed:
        out.print(f"{report.unsealed} entries are not sealed yet, the oldest for {report.unsealed_s:.0f} s")
    if report.expected is not None:
        out.print(f"the expected hash is that of seal {report.expected}")
    if report.missing:
        out.print("no seal has the expected hash: the end was cut off, or the audit was made anew")
    out.print(f"head {report.head.hex()}", highlight=False)


def _proofs(text: str) -> list[Any]:
    try:
        whole = jsonlib.loads(text)
    except ValueError:
        return [jsonlib.loads(line) for line in text.splitlines() if line.strip()]
    return list(whole["entries"]) if "entries" in whole else [whole]


def _entry(stores: Stores, name: str) -> AuditEntry:
    """By its number or its id."""
    try:
        where = (
            AuditFilter(after=int(name) - 1, until=int(name))
            if name.isascii() and name.isdigit() and int(name) < sys.maxsize
            else AuditFilter(id=UUID(name))
        )
    except ValueError:
        raise ConfigurationError(f"{name!r} is neither the number nor the id of an entry") from None
    found = stores.audit.entries(where, 1)
    if not found:
        raise ConfigurationError(f"the audit has no entry {name}: 'framegate audit list' shows the newest")
    return found[0]


def _since(age: str | None) -> datetime | None:
    if age is None:
        return None
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration(age))
    except ValueError as error:
        raise ConfigurationError(f"--since: {error}") from None
