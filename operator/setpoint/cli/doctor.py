"""Owns `setpoint doctor`: what this machine has and lacks, with remedies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from setpoint.cli.context import ATTENTION, DONE, Invocation, find_home
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import output_option
from setpoint.cli.output import print_value
from setpoint.cli.table import plain, render

if TYPE_CHECKING:
    from setpoint.cli.reports import Check


@click.command(cls=SetpointCommand)
@output_option
@click.pass_obj
def doctor(invocation: Invocation, output: str | None) -> int:
    """Say what this machine lacks.

    Looks at binaries, folders and, where there is one, the home. Exits with 3 where something is missing.
    """
    root = invocation.home or find_home(Path.cwd())

    async def run() -> Sequence[Check]:
        return await invocation.wiring().doctor(root)

    checks = asyncio.run(run())
    if output:
        fields = ("name", "ok", "detail", "remedy")
        print_value([{name: getattr(check, name) for name in fields} for check in checks], output)
    else:
        rows = [(check.name, "ok" if check.ok else "missing", check.detail) for check in checks]
        click.echo(render(("CHECK", "STATUS", "DETAIL"), rows))
        for check in checks:
            if not check.ok and check.remedy:
                click.echo(f"{plain(check.name)}: {plain(check.remedy)}")
    return DONE if all(check.ok for check in checks) else ATTENTION
