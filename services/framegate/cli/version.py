"""`version`."""

import typer

from framegate import __version__


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(version)


def version() -> None:
    """Prints the version."""
    print(__version__)
