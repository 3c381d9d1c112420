"""`models export`: the same model for another runtime, measured beside the one it was made from."""

import json as jsonlib
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from framegate.cli.common import DataOption, JsonOption, console, out
from framegate.cli.stores import manifest_of
from framegate.models.contest import LIMIT, TOLERANCES, Standing
from framegate.models.exporting import ExportPlan, Precision, Target, export
from framegate.settings import Settings


def register(models: typer.Typer) -> None:
    """Adds the command."""
    models.command("export")(export_command)


def export_command(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="NAME@VERSION of a registered model, a model.toml, its directory, or 'starter'"
        ),
    ],
    to: Annotated[Target, typer.Option("--to", help="The format")],
    directory: Annotated[Path, typer.Option("--out", metavar="DIR", help="Made for it; must not exist yet")],
    precision: Annotated[Precision, typer.Option("--precision", help="int8 needs --images")] = "f32",
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="Your own pictures, 16 or more. Default: 24 rendered cartons"),
    ] = None,
    least_agreement: Annotated[
        float, typer.Option("--least-agreement", min=0, max=1, help="Share of clear boxes that must stay the same")
    ] = LIMIT,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Writes weights and a model.toml that says what was done, and shows how fast and how true they are here.

    onnx: from a .pt of ultralytics, or in INT8 from ONNX. openvino: IR for OpenVINO's other tools. tensorrt: an engine for
    this GPU. INT8 takes its scales from every other picture and is judged on the rest. On a CPU it is not always faster:
    look at the table before you serve it.
    """
    settings = Settings.read(data=data)
    plan = ExportPlan(to, precision, directory, images, least_agreement)
    exported = export(settings, manifest_of(settings, ref), plan, lambda text: console.print(text, soft_wrap=True))
    if json:
        print(jsonlib.dumps([standing.to_json() for standing in exported.standings]))
    else:
        out.print(_table(exported.standings))
    console.print(f"Wrote {exported.manifest}", markup=False, soft_wrap=True)


def _table(standings: tuple[Standing, ...]) -> Table:
    title = (
        f"{standings[0].agreement.frames} pictures; boxes of at least {TOLERANCES.clear:.2f} agree when they overlap by "
        f"{TOLERANCES.iou:.2f} and their confidences are within {TOLERANCES.confidence:.2f}"
    )
    table = Table("engine", "images/s", "boxes", "agree", "lost", "new", "apart", "confidence", "overlap", title=title)
    for standing in standings:
        found = standing.agreement
        agreed = "-" if standing.agreed is None else f"{standing.agreed:.1%}"
        counts = map(str, (found.lost, found.new, found.apart))
        rate, far, near = f"{standing.images_per_s:.1f}", f"<= {found.confidence:.3f}", f">= {found.iou:.3f}"
        table.add_row(standing.name, rate, str(found.boxes), agreed, *counts, far, near)
    return table
