"""What operators do: keys, cameras, dead letters, verify."""

import json as jsonlib
from contextlib import suppress
from dataclasses import asdict
from math import exp
from typing import Annotated

import typer
from rich.table import Table

from framegate.bootstrap import open_blobs
from framegate.box.keys import create_key, parse_scopes, rotate_key
from framegate.box.verify import verify
from framegate.cli.common import ByOption, DataOption, JsonOption, check_name, console, login, out
from framegate.cli.stores import stores_of
from framegate.kernel.camera_health import IGNORABLE, CameraHealth, Fault
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, FacilityId
from framegate.kernel.messages import NewerMessage, UndecodableMessage, decode
from framegate.settings import Settings

FacilityOption = Annotated[str, typer.Option("--facility", help="Where it hangs")]

keys = typer.Typer(help="API keys: who may send images and read results.", no_args_is_help=True)
cameras = typer.Typer(help="Cameras: only images of confirmed cameras can pass automatically.", no_args_is_help=True)
dead_letters = typer.Typer(help="Messages that could not be handled, why, and the way back.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(keys, name="keys")
    app.add_typer(cameras, name="cameras")
    app.add_typer(dead_letters, name="dead-letters")
    app.command("verify")(verify_command)
    app.command("settings")(settings_command)


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Option("--name", help="Who will use it, for people to recognise it by")],
    scopes: Annotated[list[str] | None, typer.Option("--scopes", help="Default: images:write,results:read")] = None,
    facility: Annotated[list[str] | None, typer.Option("--facility", help="Repeatable. Default: main")] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Days until it expires")] = 365,
    data: DataOption = None,
) -> None:
    """Prints a new key, alone, on standard output. It is shown once; only a hash of it is stored."""
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        text = create_key(stores, settings, name, parse_scopes(scopes or ()), facility or [DEFAULT_FACILITY], days)
    print(text)


@keys.command("list")
def keys_list(data: DataOption = None) -> None:
    """Shows all keys, without their secrets."""
    with stores_of(Settings.read(data=data)) as stores:
        table = Table("key", "name", "scopes", "facilities", "expires", "revoked")
        for key in stores.keys.keys():  # noqa: SIM118 (a port, not a mapping)
            revoked = f"{key.revoked_at:%Y-%m-%d}" if key.revoked_at else ""
            scopes, facilities = " ".join(sorted(key.scopes)), " ".join(sorted(key.facilities))
            table.add_row(key.key_id, key.name, scopes, facilities, f"{key.expires_at:%Y-%m-%d}", revoked)
    out.print(table)


@keys.command("rotate")
def keys_rotate(
    key_id: str,
    overlap: Annotated[
        float, typer.Option("--overlap", min=0, metavar="HOURS", help="How long the old one holds")
    ] = 24,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Days until the new one expires")] = 365,
    data: DataOption = None,
) -> None:
    """Prints a new key that may do the same as KEY_ID, alone, on standard output. It is shown once."""
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        text = rotate_key(stores, settings, key_id, overlap, days)
    print(text)
    console.print(f"{key_id} holds for {overlap:g} hours more, and no longer than it would have.")


@keys.command("revoke")
def keys_revoke(key_id: str, data: DataOption = None) -> None:
    """Ends a key at once (within 5 s on a running box)."""
    with stores_of(Settings.read(data=data)) as stores:
        if not stores.keys.revoke_key(key_id, "operator"):
            raise ConfigurationError(f"there is no key {key_id}: 'framegate keys list' shows them")
    console.print(f"Revoked {key_id}.")


@cameras.command("list")
def cameras_list(json: JsonOption = False, data: DataOption = None) -> None:
    """Shows all cameras; unconfirmed ones registered themselves by sending an image."""
    with stores_of(Settings.read(data=data)) as stores:
        found, faults = stores.cameras.cameras(), stores.camera_healths.faults()
    if json:
        rows = [asdict(one) | {"faults": list(faults.get((one.facility, one.id), ()))} for one in found]
        print(jsonlib.dumps(rows, default=str))
        return
    table = Table("facility", "camera", "status", "health", "last image")
    for camera in found:
        last = f"{camera.last_image_at:%Y-%m-%d %H:%M:%S} UTC" if camera.last_image_at else "never"
        health = ", ".join(faults.get((camera.facility, camera.id), ["well"]))
        table.add_row(camera.facility, camera.id, str(camera.status), health, last)
    out.print(table)


@cameras.command("health")
def cameras_health(
    camera: str, facility: FacilityOption = DEFAULT_FACILITY, json: JsonOption = False, data: DataOption = None
) -> None:
    """Shows what is usual for a camera, and since when it has which faults."""
    with stores_of(Settings.read(data=data)) as stores:
        health = stores.camera_healths.health(FacilityId(facility), CameraId(camera))
    if health is None:
        raise ConfigurationError(
            f"no image of {camera} at {facility} was judged yet: 'framegate cameras list' shows all"
        )
    if json:
        print(jsonlib.dumps(health.to_json()))
        return
    if health.frames:
        out.print(_usual(health))
    out.print(f"Learnt from {health.frames} images; longest pause of late {health.pause_s:.0f} s.")
    for fault, since in health.faults.items():
        ignorable = ", unless the policy ignores it" if fault in IGNORABLE else ""
        out.print(f"{fault} since {since:%Y-%m-%d %H:%M:%S} UTC: nothing passes by itself{ignorable}.")


def _usual(health: CameraHealth) -> Table:
    table = Table("measure", "usual", "deviation")
    table.add_row("sharpness", f"{exp(health.sharpness.mean):.3g}", f"{health.sharpness.deviation:.0%}")
    for name, usual, unit in (
        ("brightness", health.exposure, ""),
        ("contrast", health.contrast, ""),
        ("distance of the layout", health.distance, ""),
        ("interval", health.interval, " s"),
    ):
        table.add_row(name, f"{usual.mean:.3g}{unit}", f"{usual.deviation:.2g}{unit}")
    return table


@cameras.command("suspend")
def cameras_suspend(
    camera: str,
    reason: Annotated[str, typer.Option("--reason", help="Why, for people and the audit")],
    facility: FacilityOption = DEFAULT_FACILITY,
    by: ByOption = None,
    data: DataOption = None,
) -> None:
    """Says that a camera cannot be believed: nothing of it passes by itself until somebody resumes it."""
    with stores_of(Settings.read(data=data)) as stores:
        place = FacilityId(facility), CameraId(camera)
        if not stores.camera_healths.suspend(*place, reason, by or login()):
            raise ConfigurationError(f"there is no camera {camera} at {facility}: 'framegate cameras list' shows all")
    console.print(f"{camera} at {facility} is suspended: nothing of it passes by itself.")


@cameras.command("resume")
@cameras.command("lift", hidden=True)
def cameras_resume(
    camera: str, facility: FacilityOption = DEFAULT_FACILITY, by: ByOption = None, data: DataOption = None
) -> None:
    """Says that a camera is well as it is: its faults end, and what comes from now on is what is usual for it.

    One that was only suspended keeps what is usual for it. `lift` is the same command.
    """
    with stores_of(Settings.read(data=data)) as stores:
        place = FacilityId(facility), CameraId(camera)
        if stores.camera_healths.health(*place) is None:
            raise ConfigurationError(f"no image of {camera} at {facility} was judged yet: there is nothing to lift")
        faults = stores.camera_healths.lift(*place, by or login())
    ended = f"{', '.join(faults)} ended" if faults else "it had no fault"
    anew = "" if faults == (Fault.SUSPENDED,) else "; what is usual for it is learnt anew"
    console.print(f"{camera} at {facility}: {ended}{anew}.")


@cameras.command("add")
def cameras_add(
    camera: str,
    facility: FacilityOption = DEFAULT_FACILITY,
    data: DataOption = None,
) -> None:
    """Adds a camera, or confirms one that registered itself."""
    for name in (camera, facility):
        check_name(name)
    with stores_of(Settings.read(data=data)) as stores:
        stores.cameras.confirm_camera(FacilityId(facility), CameraId(camera), "operator")
    console.print(f"{camera} at {facility} is confirmed.")


@dead_letters.command("list")
def dead_letters_list(json: JsonOption = False, data: DataOption = None) -> None:
    """Shows the newest first."""
    with stores_of(Settings.read(data=data)) as stores:
        letters = stores.queue("operator").list_dead()
    if json:
        print(jsonlib.dumps([asdict(letter) for letter in letters], default=str))
        return
    table = Table("id", "queue", "died", "deliveries", "cause")
    for letter in letters:
        table.add_row(
            letter.id, letter.queue, f"{letter.died_at:%Y-%m-%d %H:%M:%S}", str(letter.receive_count), letter.cause
        )
    out.print(table if letters else "There are no dead letters.")


@dead_letters.command("show")
def dead_letters_show(dead_id: str, data: DataOption = None) -> None:
    """Shows one with its message and, if it is about an image, the image's history."""
    with stores_of(Settings.read(data=data)) as stores:
        letter = stores.queue("operator").dead(dead_id)
        if letter is None:
            raise ConfigurationError(f"there is no dead letter {dead_id}: 'framegate dead-letters list' shows them")
        out.print_json(data=asdict(letter), default=str)
        with suppress(UndecodableMessage, NewerMessage):
            message = decode(letter.body)
            image = stores.results.image(frozenset({message.facility}), message.image_id)
            if image is not None:
                out.print(f"Image {message.image_id} is {image.state}; attempts that failed:")
                out.print_json(data=list(image.history), default=str)


@dead_letters.command("redrive")
def dead_letters_redrive(
    dead_ids: Annotated[list[str] | None, typer.Argument(help="Which; give --all for every one")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter")] = False,
    data: DataOption = None,
) -> None:
    """Puts dead letters back into their queues, with a fresh count of deliveries."""
    if bool(dead_ids) == every:
        raise ConfigurationError("name the dead letters, or give --all")
    with stores_of(Settings.read(data=data)) as stores:
        count = stores.queue("operator").redrive(None if every else dead_ids)
    console.print(f"{count} put back.")


def verify_command(
    json: JsonOption = False,
    hash_blobs: Annotated[
        bool, typer.Option("--hash/--no-hash", help="Read every original and check its sha256")
    ] = True,
    data: DataOption = None,
) -> None:
    """Checks every promise against what is stored; exits 1 when one does not hold.

    Images still in flight are not lost: on a busy box the sums move while they are counted.
    """
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        report = verify(stores, open_blobs(settings), hash_blobs=hash_blobs)
    if json:
        print(jsonlib.dumps(report.to_json()))
    else:
        sums = report.conservation
        out.print(
            f"{sums.accepted} accepted = {sums.decided} decided + {sums.rejected} rejected + {sums.failed} failed + "
            f"{sums.in_flight} in flight; {sums.lost} lost"
        )
        table = Table("check", "what must hold", "violations", "examples")
        for check in report.checks:
            table.add_row(check.name, check.meaning, str(check.violations), " ".join(check.examples))
        out.print(table)
    raise typer.Exit(0 if report.holds else 1)


def settings_command() -> None:
    """Lists every setting: its variable, its present value, and what it does."""
    table = Table("variable", "value", "meaning")
    for name, value, meaning in Settings.read().describe():
        table.add_row(name, value, meaning)
    out.print(table)
