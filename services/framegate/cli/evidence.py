"""`evidence`: everything that an outcome rests on, in one file."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from framegate.bootstrap import open_blobs
from framegate.cli.common import DataOption, console, login, parse_image_id
from framegate.cli.stores import stores_of
from framegate.ingest.evidence import EvidenceSources, export_evidence
from framegate.ingest.pictures import draw_boxes
from framegate.ingest.storedzip import Member, stored_zip
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.settings import Settings


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("evidence")(evidence_command)


def evidence_command(
    image: Annotated[str, typer.Argument(metavar="IMAGE_ID")],
    facility: Annotated[str, typer.Option("--facility", help="Whose image it is")] = DEFAULT_FACILITY,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where to; - is standard output. Default: evidence-ID.zip"),
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who exports it, for the audit. Default: your login")] = None,
    data: DataOption = None,
) -> None:
    """Writes a zip file for a claim: original, picture with boxes, detections, policy, model, timeline, audit proof.

    Open index.html in it. Every export is in the audit.
    """
    image_id = parse_image_id(image)
    to = to or Path(f"evidence-{image_id}.zip")
    if to != Path("-") and to.exists():
        raise ConfigurationError(f"{to} exists: move it away, or name another file with --out")
    settings = Settings.read(data=data)
    with stores_of(settings) as stores:
        record = stores.results.image(frozenset({FacilityId(facility)}), image_id)
        if record is None:
            raise ConfigurationError(f"there is no image {image_id} at {facility}: say with --facility where it is")
        sources = EvidenceSources(stores.policies, stores.registry, stores.audit, open_blobs(settings))
        members = export_evidence(sources, record, by or login(), datetime.now(UTC), draw_boxes)
    if to == Path("-"):
        for piece in stored_zip(members):
            sys.stdout.buffer.write(piece)
        return
    _write(to, members)
    console.print(f"{to} is the evidence of image {image_id}.")


def _write(to: Path, members: list[Member]) -> None:
    """The whole file or none."""
    part = to.with_name(f".{to.name}.part")
    try:
        with part.open("wb") as file:
            for piece in stored_zip(members):
                file.write(piece)
        part.replace(to)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ConfigurationError(f"{to} cannot be written: {error.strerror}") from None
