"""`bench`: how fast this machine is, and how much of that the pipeline reaches."""

import json as jsonlib
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from framegate.cli.common import JsonOption, console, out
from framegate.observability.logs import configure_logs
from framegate.settings import Settings


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(bench)


class Measured(StrEnum):
    """What is measured."""

    PIPELINE = "pipeline"
    ALERTS = "alerts"


def bench(
    stage: Annotated[
        Measured, typer.Option("--stage", help="pipeline: uploads to verdicts; alerts: verdicts to receivers")
    ] = Measured.PIPELINE,
    images: Annotated[int, typer.Option("--images", min=400, help="1080p frames in each measurement")] = 400,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Interleaved rounds; the median counts")] = 3,
    model: Annotated[str | None, typer.Option("--model", metavar="REF", help="Default: the starter model")] = None,
    scratch: Annotated[Path | None, typer.Option("--scratch", help="Where about 2 GB may lie meanwhile")] = None,
    rate: Annotated[float, typer.Option("--rate", min=1, help="alerts: verdicts a second, each its own incident")] = 50,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="alerts: for how long")] = 30,
    json: JsonOption = False,
) -> None:
    """Measures the whole pipeline beside the bare limit of this machine, in the same run.

    The bare limit is the fastest of several layouts of one pinned process per core that only read, decode, letterbox, infer
    and decode the head, with the same code. ratio: a drained backlog against it; ratio_upload: with uploads at concurrency
    16 on the same cores, the load generator's own CPU time taken out. Takes a few minutes; leave the machine alone.

    --stage alerts: from the recorded verdict to the first attempt at a receiver of this machine, beside a receiver that
    hangs; the limit it is compared with is one commit of the same database, since a verdict and its alert each need one.
    """
    from framegate.box.bench.alerts import run_alerts_bench
    from framegate.box.bench.run import run_bench

    configure_logs(level="ERROR", json=False)
    with tempfile.TemporaryDirectory(prefix="framegate-bench-", dir=scratch) as directory:
        if stage is Measured.ALERTS:
            figures = run_alerts_bench(Settings.read(), Path(directory), rate, seconds, console.print)
            if json:
                print(jsonlib.dumps(figures, indent=2))
            else:
                out.print_json(data=figures)
            return
        report = run_bench(Settings.read(model=model), Path(directory), images, repeats, console.print)
    if json:
        print(jsonlib.dumps(report, indent=2))
    else:
        out.print(_table(report))


def _table(report: dict[str, Any]) -> Table:
    table = Table("figure", "value", title=f"{report['cpus']} x {report['cpu']}, {report['engine']}")
    for name in ("bare_images_per_s", "drain_images_per_s", "ratio", "upload_adjusted_images_per_s", "ratio_upload"):
        table.add_row(name, str(report[name]))
    for kind, stages in report["core_ms_per_image"].items():
        table.add_row(f"core-ms per image, {kind}", ", ".join(f"{stage} {ms}" for stage, ms in stages.items()))
    for name in ("accept_ms", "queue_wait_ms", "verdict_ms"):
        values = report["half_load"][name]
        table.add_row(f"{name} at half load", f"p50 {values['p50']}, p99 {values['p99']}")
    table.add_row("cold start to first verdict, s", str(report["cold_start_s"]["median"]))
    return table
