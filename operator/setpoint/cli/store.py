"""Owns `setpoint store`: a person's word on a store that is not the one that stood here."""

from __future__ import annotations

import asyncio
import sys

import click

from setpoint.cli.context import DONE, Invocation, Store
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import output_option, reason_option
from setpoint.cli.output import print_value
from setpoint.cli.table import plain


@click.group()
def store() -> None:
    """Say what is to be done about a store that was set back."""


@store.command(
    cls=SetpointCommand, examples=("setpoint store accept --reason 'restored from the backup of Monday, disk lost'",)
)
@reason_option(required=True)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option("--operator", "in_pod", is_flag=True, help="The store that the operator's settings name, within its pod.")
@output_option
@click.pass_obj
def accept(invocation: Invocation, reason: str, yes: bool, in_pod: bool, output: str | None) -> int:
    """Go on with a database that is not the one that stood here.

    Where the audit trail contradicts the head file beside it, an older database was put back, or rows are gone, and
    nothing is applied: what was applied since would be made a second time. Put the right database back if there is
    one. Else compare what there is with what the states know, adopt what they lack with `import` blocks, and accept.

    Writes an audit row that says who accepted what and why, and a new head. Where nothing contradicts, changes nothing.
    """

    async def run(opened: Store) -> int:
        problem = await opened.store_problem()
        if problem and not yes:
            _ask(problem, output)
        accepted = await opened.accept_store(reason) if problem else ""
        if output:
            print_value({"accepted": bool(accepted), "found": accepted or None}, output)
        elif accepted:
            click.echo(f"Accepted, though {plain(accepted)}.")
            click.echo("The operator goes on with it." if in_pod else invocation.how_it_goes_on("goes on with it"))
        else:
            click.echo("The store is the one that stood here: there is nothing to accept.")
        return DONE

    async def run_in_pod() -> int:
        async with invocation.wiring().open_operator_store() as opened:
            return await run(opened)

    return asyncio.run(run_in_pod()) if in_pod else invocation.run(run)


def has_terminal() -> bool:
    """True where a person may be there to answer."""
    return sys.stdin.isatty()


def _ask(problem: str, output: str | None) -> None:
    """Raises UsageError where nobody can be asked, Abort where the answer is no."""
    if output or not has_terminal():
        msg = f"{problem}. There is nobody to ask whether that is meant: say --yes."
        raise click.UsageError(msg)
    click.echo(f"{plain(problem[:1].upper() + problem[1:])}.")
    click.echo("What was applied since is unknown to this store, and may be made a second time.")
    click.confirm("Go on with this store?", abort=True)
