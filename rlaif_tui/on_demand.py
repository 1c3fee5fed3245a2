"""Commands that are imported when they are typed: the app opens without waiting for what only other commands need."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup


class OnDemand(TyperGroup):
    """A group whose commands are looked up by name in ``WHERE``, in the order of its help."""

    WHERE: ClassVar[dict[str, str]] = {}
    """Name of a command -> ``module:function`` of this package, or ``module:app`` for a group of its own."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*self.WHERE, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        # For a name that is unknown the whole list is needed, to tell which ones are near.
        for name in [cmd_name] if cmd_name in self.WHERE else self.WHERE:
            if name not in self.commands:
                self.add_command(_command(name, self.WHERE[name]))
        return super().get_command(ctx, cmd_name)


def _command(name: str, where: str) -> Any:
    module, _, attribute = where.partition(":")
    found = getattr(import_module(f".{module}", __package__), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
        alone.command(name)(found)
        return typer.main.get_command(alone)
    group = typer.main.get_group(found)
    group.name = name
    return group
