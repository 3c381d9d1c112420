"""`models check`: whether an engine sees in pictures what the reference sees."""

import json as jsonlib
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from framegate.bootstrap import is_registered
from framegate.bootstrap.engines import fastest_engine, open_engine, reference_engine
from framegate.cli.common import DataOption, JsonOption, console, login, out
from framegate.cli.stores import manifest_of, stores_of
from framegate.inference.choice import is_exact
from framegate.kernel.agreement import USUAL, Agreement, Tolerances
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.rollout import ModelState
from framegate.models.manifest_text import amended
from framegate.models.parity import ParityReport, check, golden_images, machine_name
from framegate.settings import Settings


def register(models: typer.Typer) -> None:
    """Adds the command."""
    models.command("check")(check_command)


def check_command(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="NAME@VERSION of a registered model, a model.toml, its directory, or 'starter'"
        ),
    ],
    engine: Annotated[
        str | None,
        typer.Option("--engine", metavar="E", help="auto, openvino, onnxruntime, ... Default: the fastest that loads"),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", metavar="DIR", help="Your own pictures, the more the better. Default: 24 rendered cartons"
        ),
    ] = None,
    clear: Annotated[
        float, typer.Option("--clear", min=0, max=1, help="Compare boxes from this confidence")
    ] = USUAL.clear,
    iou: Annotated[float, typer.Option("--iou", min=0, max=1, help="The least overlap of two boxes")] = USUAL.iou,
    confidence: Annotated[
        float, typer.Option("--confidence", min=0, max=1, help="The largest difference of two confidences")
    ] = USUAL.confidence,
    write: Annotated[bool, typer.Option("--write", help="Write the answers into the model.toml at a path")] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who checks. Default: your login")] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Compares an engine with the reference, ONNX Runtime in f32 on the CPU, box by box; exits 1 when they disagree.

    Three answers come out: whether the engine may serve the model, whether it may compute in reduced precision (bf16, f16),
    and whether large JPEG files may be decoded at reduced scale. They are written into [check] and [input] of a registered
    model's manifest, which makes it validated when the engine agrees, and with --write into a model.toml at a path: the workers
    obey them, and start without a comparison of their own where the check vouches for their engine.

    Use pictures of your own docks, in which the model finds something: a picture without boxes proves nothing.
    """
    settings, tolerances = Settings.read(engine=engine, data=data), Tolerances(clear, iou, confidence)
    manifest = manifest_of(settings, ref)
    if is_registered(ref):
        with stores_of(settings) as stores:
            report = _compared(settings, manifest, images, tolerances)
            if report.agrees:
                found = report.for_manifest() | {"scaled_decoding": report.scaled_decoding}
                body = {name: found[name] for name in ("engine", "precision", "machine", "images", "scaled_decoding")}
                stores.registry.advance(ref, ModelState.VALIDATED, by or login(), body, amended(manifest, report))
                console.print(f"{ref} is validated. Next: framegate models approve {ref} --by NAME", soft_wrap=True)
        _tell(report, json)
    file = _writable(ref) if write else None
    report = _compared(settings, manifest, images, tolerances)
    if file is not None:
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        draft.write_text(amended(manifest, report), "utf-8")
        draft.replace(file)
        console.print(f"Wrote [input] scaled_decoding and [check] of {file}.", markup=False, soft_wrap=True)
    _tell(report, json)


def _tell(report: ParityReport, json: bool) -> NoReturn:
    if json:
        print(jsonlib.dumps(report.to_json(), default=str))
    else:
        out.print(_table(report))
        out.print(_verdict(report))
    raise typer.Exit(0 if report.agrees else 1)


def _writable(path: str) -> Path:
    if path == "starter":
        raise ConfigurationError("the starter belongs to the installed package: copy its directory and check the copy")
    given = Path(path).expanduser()
    return given / "model.toml" if given.is_dir() else given


def _compared(settings: Settings, manifest: ModelManifest, images: Path | None, tolerances: Tolerances) -> ParityReport:
    golden, rendered, exact = golden_images(images), images is None, None
    with ExitStack() as closing:
        engine = (
            fastest_engine(settings, manifest)
            if settings.engine == "auto"
            else open_engine(settings, manifest, settings.engine)
        )
        closing.callback(engine.close)
        reference = reference_engine(settings, manifest)
        closing.callback(reference.close)
        if not is_exact(engine):
            exact = open_engine(settings, manifest, engine.description.split()[0], exact=True)
            closing.callback(exact.close)
        return check(
            manifest,
            engine,
            reference,
            golden,
            exact=exact,
            tolerances=tolerances,
            machine=machine_name(),
            rendered=rendered,
        )


def _table(report: ParityReport) -> Table:
    columns = ("compared", "boxes", "lost", "new", "apart", "confidence", "overlap")
    table = Table(*columns, title=f"{report.model}, {report.plain.frames} pictures, against {report.reference}")
    _row(table, report.engine, report.plain)
    if report.exact is not None and report.exact_engine:
        _row(table, report.exact_engine, report.exact)
    _row(table, f"scaled decoding ({report.scaled_images} pictures) against full", report.scaled)
    return table


def _row(table: Table, what: str, found: Agreement) -> None:
    counts = (found.boxes, found.lost, found.new, found.apart)
    table.add_row(what, *map(str, counts), f"<= {found.confidence:.3f}", f">= {found.iou:.3f}")


def _verdict(report: ParityReport) -> str:
    if not report.plain.boxes:
        return (
            f"Nothing is known: no box of at least {report.tolerances.clear} in {report.plain.frames} pictures. "
            "Give --images DIR with pictures in which the model finds something."
        )
    precision = {None: "", "auto": " Reduced precision may be used.", "f32": " Only f32 may be used."}[report.precision]
    agrees = f"{report.vouched} {'agrees' if report.agrees else 'DISAGREES'} with the reference."
    scaled = "may" if report.scaled_decoding else "may not"
    why = ": renders cannot show that it does no harm, give --images DIR" if report.rendered else ""
    return f"{agrees}{precision if report.agrees else ''} JPEG {scaled} be decoded at reduced scale{why}."
