"""`policy`: the rules that decide, as a document with versions."""

import json as jsonlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from framegate.bootstrap import Stores
from framegate.cli.common import ByOption, DataOption, JsonOption, check_name, console, login, note, out
from framegate.cli.simulation import replay, show
from framegate.cli.stores import stores_of
from framegate.gate.changes import changes, in_a_line
from framegate.gate.desk import Admission, PolicyDesk, parsed
from framegate.gate.document import Document, read_document, write_document
from framegate.gate.policy import Policy
from framegate.gate.simulate import Simulation
from framegate.kernel.durations import parse_duration
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.kernel.policies import PolicyRefused
from framegate.ports.store import PolicyVersion
from framegate.settings import Settings

policy = typer.Typer(
    no_args_is_help=True,
    help="The rules that decide: show, check, diff, simulate and apply them; history, and rollback when needed.",
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A policy as YAML, see docs/policy.md")]
FacilityOption = Annotated[str, typer.Option("--facility", metavar="NAME", help="Whose policy")]
ForceOption = Annotated[bool, typer.Option("--force", help="Even when everything would go to people")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(policy, name="policy")


@policy.command("show")
def show_command(
    version: Annotated[int | None, typer.Option("--version", metavar="N", help="Default: the one that holds")] = None,
    facility: FacilityOption = DEFAULT_FACILITY,
    data: DataOption = None,
) -> None:
    """Prints a version as YAML: the way to a file that can be changed and applied."""
    with _desk(data, facility) as desk:
        found = _version(desk, version)
    print(f"# Policy of {found.facility}, version {found.version}, by {found.created_by}, {_when(found)}")
    print(write_document(found.document), end="")


@policy.command("check")
def check_command(file: FileArgument, facility: FacilityOption = DEFAULT_FACILITY, data: DataOption = None) -> None:
    """Says what is wrong with a policy, each mistake with its line; exits 1 when it could not be applied.

    Names of classes, models and cameras are checked against the box in --data, if there is one.
    """
    settings = Settings.read(data=data)
    with _refusals():
        document = _read(file)
        if data is None and not settings.database and not settings.data.expanduser().is_dir():
            console.print("There is no box here: the names of classes, models and cameras were not checked.")
        else:
            with _desk(data, facility) as desk:
                admission = desk.admit(document, _now())
            _tell(admission)
            admission.insist(force=False)
    console.print(f"{file} can be applied.", soft_wrap=True)


@policy.command("diff")
def diff_command(
    file: FileArgument,
    version: Annotated[int | None, typer.Option("--version", metavar="N", help="Default: the one that holds")] = None,
    facility: FacilityOption = DEFAULT_FACILITY,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Shows what would change, entry by entry."""
    with _refusals():
        document = _read(file)
    with _desk(data, facility) as desk:
        base = _version(desk, version)
    if json:
        found = [asdict(change) for change in changes(base.document, document.raw)]
        print(jsonlib.dumps({"facility": base.facility, "version": base.version, "changes": found}))
        return
    _show_changes(base, document.raw)


@policy.command("apply")
def apply_command(
    file: FileArgument,
    by: ByOption = None,
    force: ForceOption = False,
    facility: FacilityOption = DEFAULT_FACILITY,
    data: DataOption = None,
) -> None:
    """Makes a policy the next version, by which a running box decides within seconds. Prints what changed.

    Refused when it names what is not there, and, without --force, when it would send everything to people. If somebody else
    applies one in the same moment, theirs stays and this one is refused.
    """
    actor = by or login()
    with _refusals():
        document = _read(file)
        with _desk(data, facility) as desk:
            _apply(desk, document, actor, force=force)


@policy.command("history")
def history_command(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many versions")] = 20,
    facility: FacilityOption = DEFAULT_FACILITY,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Lists the versions, newest first: when, by whom, and what changed."""
    with _desk(data, facility) as desk:
        found = desk.policies.policy_history(desk.facility, limit + 1)
    before: list[PolicyVersion | None] = [*found[1:], None]
    rows = [(one, _changed(one, older)) for one, older in zip(found, before, strict=True)][:limit]
    if json:
        facts = [
            {"version": one.version, "at": one.created_at.isoformat(), "by": one.created_by, "changed": changed}
            for one, changed in rows
        ]
        print(jsonlib.dumps(facts))
        return
    table = Table("version", "applied", "by", "what changed")
    for one, changed in rows:
        table.add_row(str(one.version), _when(one), escape(one.created_by), escape(changed))
    out.print(table if rows else f"{facility} has no policy yet.")


@policy.command("rollback")
def rollback_command(
    to: Annotated[
        int | None, typer.Option("--to", metavar="N", help="Default: the version before the one that holds")
    ] = None,
    by: ByOption = None,
    force: ForceOption = False,
    facility: FacilityOption = DEFAULT_FACILITY,
    data: DataOption = None,
) -> None:
    """Applies an old version again, as a new one; once more without --to takes that back."""
    actor = by or login()
    with _refusals(), _desk(data, facility) as desk:
        current = _version(desk, None)
        if to is None and current.version == 1:
            raise ConfigurationError("version 1 is the first policy: there is none to go back to")
        old = _version(desk, to or current.version - 1)
        _apply(desk, _stored(old), actor, force=force)


@policy.command("simulate")
def simulate_command(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A policy as YAML; or give --version")] = None,
    version: Annotated[int | None, typer.Option("--version", metavar="N", help="A version that is stored")] = None,
    since: Annotated[str, typer.Option("--since", metavar="AGE", help="Images accepted since then: 12h, 7d")] = "7d",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many images, the newest")] = 200_000,
    facility: FacilityOption = DEFAULT_FACILITY,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Decides stored images again under another policy: which verdicts flip, and what that means for people. Changes nothing.

    Detections, measures of quality and labels are those that are stored: no model runs. A threshold below the confidence
    that the model reports at all shows nothing new, a model that a chain adds counts as having answered, and no second look
    is taken: where there were two, both are judged again.

        framegate policy simulate policy.yaml --since 7d
    """
    if (file is None) == (version is None):
        raise ConfigurationError("give the FILE of a policy, or --version N of a stored one")
    try:
        age = timedelta(seconds=parse_duration(since))
    except ValueError as error:
        raise ConfigurationError(f"--since: {error}") from None
    with _refusals(), _desk(data, facility) as desk:
        document = _stored(_version(desk, version)) if file is None else _read(file)
        _note_names(desk, document)
        base, now = desk.policies.current_policy(desk.facility), _now()
        candidate = Policy.parse((base.version if base else 0) + 1, document.raw)
        simulation = Simulation(candidate, parsed(base))
        cut = replay(simulation, desk, now, age, limit)
    if json:
        print(jsonlib.dumps({**simulation.to_json(now), "cut": cut, "since": (now - age).isoformat()}))
        return
    show(simulation, document.where, now)
    if cut:
        console.print(f"Only the newest {limit} images were looked at: --limit takes more.", soft_wrap=True)


@contextmanager
def _desk(data: Path | None, facility: str) -> Iterator[PolicyDesk]:
    """Raises `ConfigurationError` for a facility that nothing belongs to."""
    check_name(facility)
    with stores_of(Settings.read(data=data)) as stores:
        desk = PolicyDesk.of(stores, FacilityId(facility))
        if facility != DEFAULT_FACILITY and not _exists(stores, desk):
            raise ConfigurationError(
                f"there is no facility {facility}: 'framegate keys create --facility {facility}' makes one"
            )
        yield desk


def _exists(stores: Stores, desk: PolicyDesk) -> bool:
    return bool(
        desk.policies.current_policy(desk.facility)
        or desk.cameras.cameras(frozenset({desk.facility}))
        or any(desk.facility in key.facilities for key in stores.keys.keys())  # noqa: SIM118 (a port, not a mapping)
    )


@contextmanager
def _refusals() -> Iterator[None]:
    """A line for each reason, as compilers do it, so that editors find the place."""
    try:
        yield
    except PolicyRefused as error:
        for line in str(error).splitlines():
            console.print(escape(line), highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _read(file: Path) -> Document:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror or error}") from error
    return read_document(text, str(file))


def _version(desk: PolicyDesk, version: int | None) -> PolicyVersion:
    found = (
        desk.policies.current_policy(desk.facility) if version is None else desk.policies.policy(desk.facility, version)
    )
    if found is None and version is None:
        raise ConfigurationError(f"{desk.facility} has no policy yet: a box gets its first one when it starts")
    if found is None:
        raise ConfigurationError(f"{desk.facility} has no policy {version}: 'framegate policy history' shows them")
    return found


def _stored(version: PolicyVersion) -> Document:
    return Document(dict(version.document), f"version {version.version}")


def _apply(desk: PolicyDesk, document: Document, actor: str, *, force: bool) -> None:
    admission = desk.admit(document, _now())
    if admission.base is not None and admission.base.document == document.raw:
        console.print(f"Version {admission.base.version} says the same: nothing was applied.")
        return
    _show_changes(admission.base, document.raw)
    _tell(admission)
    admission.insist(force=force)
    applied = desk.apply(admission, actor)
    console.print(f"{desk.facility} decides by policy version {applied.version} now.")


def _note_names(desk: PolicyDesk, document: Document) -> None:
    """Of models that do not serve yet as well: whoever simulates may be ahead of a deployment."""
    try:
        desk.check_names(document)
    except PolicyRefused as error:
        for line in str(error).splitlines():
            note(line)


def _tell(admission: Admission) -> None:
    for text in admission.notes:
        note(text)
    tried = admission.tried
    if tried.replayed and tried.current is not None:
        then, now = tried.current.ends["review"], tried.candidate.ends["review"]
        flipped = tried.flips.total()
        console.print(
            f"Of the newest {tried.replayed} images, {now} would go to people instead of {then}; {flipped} would end "
            "otherwise than they did ('framegate policy simulate' shows which).",
            soft_wrap=True,
        )


def _show_changes(base: PolicyVersion | None, raw: Mapping[str, Any]) -> None:
    if base is None:
        out.print("There is no policy yet: this would be the first.")
        return
    found = changes(base.document, raw)
    for change in found:
        out.print(escape(str(change)), highlight=False)
    if not found:
        out.print(f"Version {base.version} says the same.")


def _changed(one: PolicyVersion, older: PolicyVersion | None) -> str:
    if older is None:
        return "the first version" if one.version == 1 else ""
    return in_a_line(changes(older.document, one.document))


def _when(version: PolicyVersion) -> str:
    return f"{version.created_at:%Y-%m-%d %H:%M:%S} UTC"


def _now() -> datetime:
    return datetime.now(UTC)
