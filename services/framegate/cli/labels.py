"""What people decided at the review desk, as labelled images to train and calibrate with."""

import json as jsonlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from framegate.bootstrap import Stores, open_blobs
from framegate.cli.common import DataOption, JsonOption, console, login, note, out, parse_moment, progress_bar, table_of
from framegate.cli.stores import stores_of
from framegate.kernel.durations import parse_duration
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import CameraId, FacilityId
from framegate.settings import Settings

if TYPE_CHECKING:
    from framegate.models.feedback.export import Exported

labels = typer.Typer(help="Labelled images from what people decided.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(labels, name="labels")


@labels.command("export")
def labels_export(
    target: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder, or one of the same export to go on with")
    ],
    form: Annotated[str, typer.Option("--format", help="yolo, coco, or folders (damaged/ and intact/)")] = "yolo",
    facility: Annotated[str | None, typer.Option("--facility", help="Only this one. Default: all")] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="Only this one")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Received since then: 30d, 12h, or 2026-05-01")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Received before then")] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", metavar="A,B", help="Only these. Default: all that are damage")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many images, the newest")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who exports it, for the audit. Default: your login")] = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Writes the images that people decided, with what may be taken as true about them, for train and calibrate.

    Only what cannot be taken back any more. A pass says that there is no damage; a fail has the boxes that the person drew,
    or those of the named class that were found. What nobody could tell, and damage that nobody knows the place of, is left
    out (folders has the latter): provenance.json says which and why, and where every label comes from.

        framegate labels export desk --format yolo
        framegate train --data-set desk --name carton --version 2 --out carton-2

    The same command goes on where it broke off, and later adds what was decided since. Every export is in the audit.
    """
    from framegate.models.feedback.export import LabelSources, Wanted, export_labels
    from framegate.models.feedback.layouts import LAYOUTS

    if form not in LAYOUTS:
        raise ConfigurationError(f"--format {form}: there are {', '.join(LAYOUTS)}")
    settings, now = Settings.read(data=data), datetime.now(UTC)
    with stores_of(settings) as stores:
        wanted = Wanted(
            _facilities(stores, facility),
            form,
            CameraId(camera) if camera else None,
            _moment("--since", since, now),
            _moment("--until", until, now),
            tuple(sorted({name.strip() for name in (classes or "").split(",")} - {""})),
            limit,
            (since, until),
        )
        for each in wanted.facilities:
            stores.audit.add(each, by or login(), "labels.exported", str(target.name), wanted.to_json())
        sources = LabelSources(stores.reviews, stores.policies, open_blobs(settings))
        with progress_bar("writing labels") as progress:
            done = export_labels(sources, wanted, target, progress)
    if json:
        print(jsonlib.dumps({**done.to_json(), "written": done.written, "removed": done.removed}))
        return
    _show(done, target, form)


def _show(done: "Exported", target: Path, form: str) -> None:
    verdicts = done.verdicts
    out.print(
        f"{done.images.total()} images are in {target}: {verdicts['fail']} damaged with {done.boxes} boxes, "
        f"{verdicts['pass']} intact; {done.images['train']} to train on, {done.images['val']} held back."
    )
    if done.left_out:
        table = table_of("images left out", "because")
        for why, count in done.left_out.most_common():
            table.add_row(str(count), Text(why))
        out.print(table)
    if form != "folders" and not (done.images["train"] and done.images["val"]):
        note("too few to have some on either side: training and calibrating with this takes more decisions")
    console.print(f"Where every label comes from: {target / 'provenance.json'}.", soft_wrap=True)


def _facilities(stores: Stores, named: str | None) -> tuple[FacilityId, ...]:
    """Nothing was decided where there is no policy."""
    known = tuple(policy.facility for policy in stores.policies.current_policies())
    if named is not None and named not in known:
        raise ConfigurationError(f"nothing was decided at {named} yet; there are {', '.join(known) or 'no facilities'}")
    if not known:
        raise ConfigurationError("nothing was decided here yet")
    return known if named is None else (FacilityId(named),)


def _moment(option: str, said: str | None, now: datetime) -> datetime | None:
    """An age, or a moment."""
    if said is None:
        return None
    try:
        return now - timedelta(seconds=parse_duration(said))
    except ValueError as error:
        try:
            return parse_moment(said)
        except ValueError:
            raise ConfigurationError(f"{option}: {error}, or as a day such as 2026-05-01") from None
