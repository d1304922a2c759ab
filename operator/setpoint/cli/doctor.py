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
    from setpoint.ports.commands import Check


@click.command(cls=SetpointCommand)
@output_option
@click.pass_obj
def doctor(invocation: Invocation, output: str | None) -> int:
    """Say what this machine lacks.

    Looks at what Setpoint runs on: Python, settings, Terraform or OpenTofu, where providers come from, the policy
    engine, the port, git; and at the home where there is one: its permissions, manifests and store. Asks no network.
    What is missing comes with a remedy. Exits with 3 where something that is needed is missing.
    """
    root = invocation.home or find_home(Path.cwd())

    async def run() -> Sequence[Check]:
        return await invocation.wiring().doctor(root)

    checks = asyncio.run(run())
    if output:
        print_value([_value(check) for check in checks], output)
    else:
        rows = [(check.name, _status(check), check.detail) for check in checks]
        click.echo(render(("CHECK", "STATUS", "DETAIL"), rows))
        for check in checks:
            if not check.ok and check.remedy:
                click.echo(f"{plain(check.name)}: {plain(check.remedy)}")
    return DONE if all(check.ok or not check.needed for check in checks) else ATTENTION


def _value(check: Check) -> dict[str, object]:
    """A check for programs; what is there needs no remedy."""
    remedy = "" if check.ok else check.remedy
    return {"name": check.name, "ok": check.ok, "needed": check.needed, "detail": check.detail, "remedy": remedy}


def _status(check: Check) -> str:
    if check.ok:
        return "ok"
    return "missing" if check.needed else "optional"
