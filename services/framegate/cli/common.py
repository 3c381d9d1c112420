"""What the commands share: options with their help, and where they write."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from framegate.kernel.errors import ConfigurationError

#: For people; results that programs read go to standard output.
console = Console(stderr=True)
out = Console(file=sys.stdout, soft_wrap=True)

DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Directory of the box. Default: $FRAMEGATE_DATA, else .framegate"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people")]


def login() -> str:
    """Who sits here, for the audit; raises `ConfigurationError`."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigurationError("your login has no name here: say who it is with --by NAME") from None
