"""Groups of commands whose modules are imported when they are asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup


class LazyGroup(TyperGroup):
    """A group that also has the commands of `modules`, which it has not imported yet."""

    #: Each command's module in `framegate.cli`, in the order of the help, where they follow what is registered.
    modules: ClassVar[Mapping[str, str]]

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the help."""
        return [*(name for name in self.commands if name not in self.modules), *self.modules]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, if there is one; else all are imported, since the nearest name is looked for among them."""
        for name in [cmd_name] if cmd_name in self.list_commands(ctx) else self.modules:
            if name not in self.commands:
                self._load(self.modules[name])
        return super().get_command(ctx, cmd_name)

    def _load(self, module: str) -> None:
        group = typer.Typer()
        import_module(f"framegate.cli.{module}").register(group)
        self.commands.update(typer.main.get_group(group).commands)
