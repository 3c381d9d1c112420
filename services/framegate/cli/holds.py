"""Legal holds, and erasing one image by hand."""

import json as jsonlib
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from framegate.bootstrap import Stores, open_blobs
from framegate.cli.common import (
    ByOption,
    DataOption,
    JsonOption,
    add_row,
    check_name,
    console,
    login,
    out,
    parse_image_id,
    parse_moment,
    short_id,
    table_of,
)
from framegate.cli.stores import stores_of
from framegate.kernel.audit import moment
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.holds import Hold, HoldScope
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, FacilityId
from framegate.settings import Settings
from framegate.sweep.retention import delete_files

hold = typer.Typer(help="Legal holds: while one covers an image, nothing of it is erased.", no_args_is_help=True)

FacilityOption = Annotated[str, typer.Option("--facility", help="Whose images")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stays for ever, so put nothing personal in it")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(hold, name="hold")
    app.command("erase")(erase_command)


@hold.command("add")
def hold_add(
    reason: ReasonOption,
    image: Annotated[str | None, typer.Argument(metavar="[IMAGE_ID]", help="This image")] = None,
    shipment: Annotated[str | None, typer.Option("--shipment", help="All images of this shipment")] = None,
    sscc: Annotated[str | None, typer.Option("--sscc", help="All images of this logistic unit")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="NAME=VALUE", help="All images that came with it. Repeatable"),
    ] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="All images of this camera")] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Received from then on: 2026-03-01, or with T06:30; UTC"),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Received before then")] = None,
    facility: FacilityOption = DEFAULT_FACILITY,
    by: ByOption = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Places a hold on the images that meet everything that is given, also on those that come later."""
    values = _metadata(metadata or []) | {
        name: value for name, value in (("shipment", shipment), ("sscc", sscc)) if value is not None
    }
    times = _time("--from", since), _time("--until", until)
    image_id = None if image is None else parse_image_id(image)
    try:
        scope = HoldScope(image_id, values, CameraId(camera) if camera else None, *times)
    except ValueError as error:
        raise ConfigurationError(f"{error}: give IMAGE_ID, --shipment, --sscc, --metadata or --camera") from None
    reason = _reason(reason)
    check_name(facility)
    with stores_of(Settings.read(data=data)) as stores:
        try:
            placed = stores.holds.place(FacilityId(facility), scope, reason, by or login())
        except ValueError as error:
            raise ConfigurationError(f"{error}: say with --facility where it is") from None
        covered = stores.holds.covered(placed)
    if json:
        print(jsonlib.dumps(_document(placed) | {"images": covered.images, "erased_before": covered.erased}))
        return
    told = f"Hold {placed.hold_id} covers {covered.images} images now, and those that come later."
    if covered.erased:
        told += f" The pictures of {covered.erased} of them were erased before."
    console.print(Text(told), soft_wrap=True)


@hold.command("list")
def hold_list(
    every: Annotated[bool, typer.Option("--all", help="Also those that were lifted")] = False,
    facility: Annotated[str | None, typer.Option("--facility", help="Only there. Default: all")] = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Shows the newest first."""
    where = frozenset({FacilityId(facility)}) if facility else None
    with stores_of(Settings.read(data=data)) as stores:
        found = stores.holds.holds(where, lifted=every)
    if json:
        print(jsonlib.dumps([_document(one) for one in found], indent=2))
        return
    table = table_of("hold", "facility", "on", "why", "by", "since (UTC)", "lifted")
    for one in found:
        on = ", ".join(f"{name} {_said(value)}" for name, value in one.scope.to_json().items())
        ended = f"{one.lifted_at:%Y-%m-%d %H:%M} by {one.lifted_by}: {one.lift_reason}" if one.lifted_at else ""
        since = f"{one.placed_at:%Y-%m-%d %H:%M}"
        add_row(table, short_id(one.hold_id), one.facility, on, one.reason, one.placed_by, since, ended)
    out.print(table if found else "There is no hold.")


@hold.command("lift")
def hold_lift(
    which: Annotated[str, typer.Argument(metavar="HOLD", help="Its id, or the end of it: framegate hold list")],
    reason: ReasonOption,
    by: ByOption = None,
    data: DataOption = None,
) -> None:
    """Ends a hold. What has been kept long enough by then is erased within minutes."""
    reason = _reason(reason)
    with stores_of(Settings.read(data=data)) as stores:
        found = _hold(stores, which)
        if found.lifted_at is not None:
            raise ConfigurationError(f"{found.lifted_by} lifted this hold before: {found.lift_reason}")
        stores.holds.lift(found.hold_id, reason, by or login())
    console.print(f"Hold {found.hold_id} is lifted.")


def erase_command(
    image: Annotated[str, typer.Argument(metavar="IMAGE_ID")],
    reason: ReasonOption,
    facility: FacilityOption = DEFAULT_FACILITY,
    by: ByOption = None,
    data: DataOption = None,
) -> None:
    """Erases the picture of one image and what came with it, for good. Outcome, detections, reviews and audit stay.

    Refused while the image is inspected, and under a hold. Other images of the same bytes are others: erase each.
    """
    settings, reason = Settings.read(data=data), _reason(reason)
    image_id = parse_image_id(image)
    with stores_of(settings) as stores:
        record = stores.results.image(frozenset({FacilityId(facility)}), image_id)
        blobs = open_blobs(settings)
        erasures = stores.retention.erase(FacilityId(facility), image_id, reason, by or login())
        delete_files(stores.retention, blobs)
    (first, *_) = erasures
    if record is not None and record.erasures:
        console.print(
            Text(f"It was erased before, on {moment(first.at)} by {first.actor}: {first.reason}"), soft_wrap=True
        )
    else:
        console.print(f"Image {image_id} is erased.")


def _metadata(pairs: list[str]) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise ConfigurationError(f"--metadata takes NAME=VALUE, not {pair!r}")
        values[name] = value
    return values


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_moment(text)
    except ValueError:
        raise ConfigurationError(f"{option} takes a day or a moment such as 2026-03-01T06:30, not {text!r}") from None


def _reason(text: str) -> str:
    if not text.strip():
        raise ConfigurationError("--reason is empty: say why, for whoever asks in years")
    return text.strip()


def _hold(stores: Stores, text: str) -> Hold:
    every = stores.holds.holds(None, lifted=True)
    found = [one for one in every if len(text) >= 4 and str(one.hold_id).endswith(text.lower())]
    if len(found) != 1:
        many = f"{len(found)} holds' ids end with {text}: give more of it" if found else f"there is no hold {text}"
        raise ConfigurationError(f"{many}; 'framegate hold list --all' shows them")
    return found[0]


def _document(one: Hold) -> dict[str, Any]:
    return {
        "id": str(one.hold_id),
        "facility": one.facility,
        **one.scope.to_json(),
        "reason": one.reason,
        "placed_at": moment(one.placed_at),
        "placed_by": one.placed_by,
        "lifted_at": one.lifted_at and moment(one.lifted_at),
        "lifted_by": one.lifted_by,
        "lift_reason": one.lift_reason,
    }


def _said(value: object) -> str:
    return " ".join(f"{name}={text}" for name, text in value.items()) if isinstance(value, dict) else str(value)
