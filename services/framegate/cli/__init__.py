"""The command line; one module for each group of commands."""

import sys

import typer
from rich.markup import escape

from framegate import __version__
from framegate.cli import bench, box, evaluate, events, feed, models, operate, run, train
from framegate.cli.common import console
from framegate.kernel.errors import FramegateError
from framegate.observability.logs import configure_logs

app = typer.Typer(
    name="framegate",
    help="A queue-driven visual inspection pipeline for warehouses. Start with: framegate demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (box, feed, events, operate, models, train, evaluate, run, bench):
    module.register(app)


@app.command()
def version() -> None:
    """Prints the version."""
    print(__version__)


def main() -> None:
    """The entry point: errors of ours are one line on standard error and exit code 1, never a traceback."""
    # Standard output is for results: without this, what a command logs on its way would land among them.
    configure_logs(level="WARNING", json=False)
    try:
        app()
    except FramegateError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
