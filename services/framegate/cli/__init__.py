"""The command line; one module for each group of commands, imported when one of them is asked for.

Every process of a box is a command, and must not pay for the others at its start. Within a module, what is large and only
one command needs is imported by that command.
"""

import gc
import sys

import typer
from rich.markup import escape

from framegate.cli.common import colours, console
from framegate.cli.lazy import LazyGroup
from framegate.kernel.errors import FramegateError
from framegate.observability.logs import configure_logs


class _Commands(LazyGroup):
    modules = {
        "up": "box",
        "demo": "box",
        "submit": "feed",
        "watch": "feed",
        "ingest-event": "events",
        "verify": "operate",
        "settings": "operate",
        "train": "train",
        "evaluate": "evaluate",
        "calibrate": "evaluate",
        "run": "run",
        "migrate": "run",
        "provision": "run",
        "bench": "bench",
        "version": "version",
        "people": "people",
        "keys": "operate",
        "cameras": "operate",
        "dead-letters": "operate",
        "models": "models",
        "hooks": "hooks",
        "drift": "drift",
        "incidents": "incidents",
        "policy": "policy",
        "audit": "audit",
        "evidence": "evidence",
        "trace": "trace",
        "reviews": "reviews",
        "labels": "labels",
        "logs": "logs",
        "retention": "retention",
        "hold": "holds",
        "erase": "holds",
    }


app = typer.Typer(
    cls=_Commands,
    name="framegate",
    help="A queue-driven visual inspection pipeline for warehouses. Start with: framegate demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _before_a_command() -> None:
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def main() -> None:
    """The entry point: errors of ours are one line on standard error and exit code 1, never a traceback."""
    # Until a command runs, and what is imported by then for good: looking for garbage in it would cost a tenth of the start.
    gc.disable()
    # Standard output is for results: without this, what a command logs on its way would land among them.
    configure_logs(level="WARNING", json=False, colours=colours())
    try:
        app()
    except FramegateError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
