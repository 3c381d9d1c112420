"""`drift`: whether cameras and models are what they were."""

import json as jsonlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from framegate.bootstrap import Stores
from framegate.cli.common import ByOption, DataOption, JsonOption, add_row, console, login, out, table_of
from framegate.cli.stores import stores_of
from framegate.kernel.drift_features import Kind, feature
from framegate.kernel.drift_state import Drift, Finding, Subject
from framegate.kernel.durations import parse_duration
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.ports.drift import MOST_FINDINGS
from framegate.settings import Settings

drift = typer.Typer(
    help="Whether cameras send, and models find, what they did when their reference was frozen.", no_args_is_help=True
)
FacilityOption = Annotated[str, typer.Option("--facility", help="Whose camera, or whose images a model looked at")]
_NAMES = "A camera, or a model as NAME@VERSION"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(drift, name="drift")


@drift.command("status")
def drift_status(
    name: Annotated[
        str | None, typer.Argument(help=f"{_NAMES}: with its findings. Default: all that are watched")
    ] = None,
    facility: FacilityOption = DEFAULT_FACILITY,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Shows who drifts, by how much, and the images that show it."""
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        if name is None:
            known, findings = stores.drifts.known(), stores.drifts.findings(None, limit=MOST_FINDINGS)
        else:
            subject = _subject(name, facility)
            known = {subject: _known(stores, subject)}
            findings = stores.drifts.findings(frozenset({subject.facility}), subject=subject)
    if json:
        print(jsonlib.dumps([_as_json(subject, one, findings) for subject, one in known.items()], default=str))
        return
    _print_known(known, settings)
    for finding in findings if name is not None else ():
        out.print(f"\n{finding.told()}, since {finding.began_at:%Y-%m-%d %H:%M} UTC.", highlight=False, markup=False)
        for image in finding.moved:
            out.print(f"  {settings.public_url}/inspections/{image}", highlight=False, markup=False)
    if not known:
        console.print("No image has ended yet: there is nothing to compare.")


@drift.command("report")
def drift_report(
    since: Annotated[str, typer.Option("--since", metavar="AGE", help="How far back: 12h, 7d")] = "7d",
    camera: Annotated[str | None, typer.Option("--camera", help="Only this camera")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME@VERSION", help="Only this model")] = None,
    facility: Annotated[str | None, typer.Option("--facility", help="Only this one. Default: all")] = None,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where the page is written")] = Path("drift.html"),
    data: DataOption = None,
) -> None:
    """Writes a page with what drifted, when, by how much, and the images that moved it. It needs no other file."""
    from framegate.cli.drift_report import Watched, write

    until = datetime.now(UTC)
    begin = until - _age(since)
    wanted = {(Kind.CAMERA, camera), (Kind.MODEL, model)} if camera or model else None
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        places = frozenset({FacilityId(facility)}) if facility else None
        known = {
            subject: one
            for subject, one in stores.drifts.known(places).items()
            if wanted is None or (subject.kind, subject.name) in wanted
        }
        if wanted is not None and not known:
            raise ConfigurationError(f"nothing is known of {camera or model}: 'framegate drift status' shows all")
        watched = {subject: Watched(one, stores.drifts.hours(subject, begin)) for subject, one in known.items()}
        findings = [one for one in stores.drifts.findings(places, begin, limit=MOST_FINDINGS) if one.subject in known]
    page = write(watched, findings, (begin, until), settings.public_url, settings.drift.limits)
    try:
        to.write_text(page, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {to}: {error.strerror}: name another file with --to") from None
    console.print(f"{len(findings)} findings of {len(watched)} cameras and models: {to}", highlight=False)


@drift.command("freeze")
def drift_freeze(
    name: Annotated[str, typer.Argument(help=_NAMES)],
    facility: FacilityOption = DEFAULT_FACILITY,
    by: ByOption = None,
    data: DataOption = None,
) -> None:
    """Says that it is well as it is: what comes from now on is learnt as usual, and what drifts is over. Audited.

    After a wanted change, like new cartons, a new lamp or a new policy. Until enough is learnt, nothing of it is compared.
    """
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        subject = _subject(name, facility)
        if not stores.drifts.freeze(subject, by or login()):
            raise _unknown(subject)
    days, images = settings.drift.learn_days, settings.drift.learn_images
    console.print(f"{name} is learnt anew, for {days:g} days and {images} images at least.", highlight=False)


def _subject(name: str, facility: str) -> Subject:
    """Cameras have no @ in their names."""
    return Subject(FacilityId(facility), Kind.MODEL if "@" in name else Kind.CAMERA, name)


def _known(stores: Stores, subject: Subject) -> Drift:
    found = stores.drifts.drift(subject)
    if found is None:
        raise _unknown(subject)
    return found


def _unknown(subject: Subject) -> ConfigurationError:
    return ConfigurationError(
        f"no image of {subject.name} at {subject.facility} has been looked at yet: 'framegate drift status' shows all"
    )


def _age(text: str) -> timedelta:
    try:
        return timedelta(seconds=parse_duration(text))
    except ValueError as error:
        raise ConfigurationError(f"--since: {error}") from None


def _print_known(known: Mapping[Subject, Drift], settings: Settings) -> None:
    from framegate.cli.drift_report import state_of

    if not known:
        return
    table = table_of("name", "facility", "drifts", "largest scores (PSI)", "state")
    for subject, one in known.items():
        largest = sorted(one.scores.items(), key=lambda pair: -pair[1].psi)[:3]
        scores = ", ".join(f"{feature(name).title} {level.psi:.2f}" for name, level in largest)
        drifting = ", ".join(feature(name).title for name in sorted(one.holds)) or "no"
        add_row(table, subject.name, subject.facility, drifting, scores, state_of(one, settings.drift.limits))
    out.print(table)


def _as_json(subject: Subject, one: Drift, findings: list[Finding]) -> dict[str, Any]:
    return {
        "facility": subject.facility,
        "kind": str(subject.kind),
        "name": subject.name,
        "frozen": {name: part.frozen_at for name, part in one.parts.items()},
        "scores": {name: level._asdict() for name, level in sorted(one.scores.items())},
        "findings": [
            {"feature": found.feature, "began_at": found.began_at} | found.to_json()
            for found in findings
            if found.subject == subject
        ],
    }
