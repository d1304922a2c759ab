"""Owns `setpoint audit`: the trail, read and verified."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import click

from setpoint.api.meta import ObjectRef
from setpoint.cli.context import ATTENTION, DONE, FAILED, Home, Invocation
from setpoint.cli.kinds import find_object
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import namespace_option, output_option
from setpoint.cli.output import print_value
from setpoint.cli.table import plain, render
from setpoint.domain.audit import AuditRow
from setpoint.domain.errors import StoreError

_PAGE = 1000
_EXITS = {"intact": DONE, "tampered": FAILED, "unverifiable": ATTENTION}


@click.group()
def audit() -> None:
    """Read and verify the audit trail."""


@audit.command(
    cls=SetpointCommand, examples=("setpoint audit log", "setpoint audit log --target environment/shop-prod")
)
@click.option("--target", metavar="KIND/NAME", help="Only what happened to one object.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only rows after this number.")
@click.option("--limit", type=click.IntRange(min=1), metavar="COUNT", help="At most so many rows.")
@namespace_option
@output_option
@click.pass_obj
def log(
    invocation: Invocation, target: str | None, after: int, limit: int | None, namespace: str, output: str | None
) -> int:
    """Show the rows of the trail, oldest first."""
    ref = find_object(target, namespace) if target else None

    async def run(home: Home) -> int:
        rows = [row async for row in _rows(home, after, limit, ref)]
        if output:
            print_value([row_value(row) for row in rows], output)
        elif rows:
            click.echo(render(("SEQ", "AT", "ACTOR", "ACTION", "PHASE", "TARGET", "RESULT"), map(_cells, rows)))
        else:
            click.echo("No rows found.", err=True)
        return DONE

    return invocation.run(run)


@audit.command(cls=SetpointCommand, examples=("setpoint audit verify",))
@output_option
@click.pass_obj
def verify(invocation: Invocation, output: str | None) -> int:
    """Check every row of the trail.

    Exits with 0 where the trail is intact, with 1 where it was tampered with, naming the first bad row, and with 3
    where it can't be told.
    """

    async def run(home: Home) -> int:
        report = await home.verify_audit()
        if output:
            value = {"status": report.status, "rows": report.rows, "firstBad": report.first_bad}
            more = {
                "message": report.message,
                "erased": report.erased,
                "unsealed": report.unsealed,
                "remedy": report.remedy or None,
            }
            print_value({**value, **more}, output)
        else:
            where = f", first bad row {report.first_bad}" if report.first_bad is not None else ""
            why = f": {plain(report.message)}" if report.message else ""
            erased = f"{report.erased} with an erased payload" if report.erased else ""
            unsealed = f"{report.unsealed} from before rows were sealed" if report.unsealed else ""
            told = ", ".join(filter(None, (erased, unsealed)))
            click.echo(f"{report.status}, {report.rows} rows{f' ({told})' if told else ''}{where}{why}")
            if report.remedy:
                click.echo(f"Nothing is applied meanwhile: {report.remedy}")
        return _EXITS[report.status]

    try:
        return invocation.run(run)
    except StoreError as error:
        click.echo(f"unverifiable: {plain(error.message)}", err=True)
        return _EXITS["unverifiable"]


async def _rows(home: Home, after: int, limit: int | None, target: ObjectRef | None) -> AsyncIterator[AuditRow]:
    """The rows, page by page."""
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        page = await home.audit.rows(after=after, limit=size, target=target)
        for row in page:
            yield row
        if len(page) < size:
            return
        after = page[-1].seq
        left = None if left is None else left - len(page)


def _cells(row: AuditRow) -> tuple[str, ...]:
    entry = row.entry
    target = str(entry.target) if entry.target else ""
    return (str(row.seq), row.at, entry.actor, entry.action, entry.phase.value, target, entry.result)


def row_value(row: AuditRow) -> dict[str, Any]:
    """A row for programs."""
    entry, target = row.entry, row.entry.target
    return {
        "seq": row.seq,
        "at": row.at,
        "actor": entry.actor,
        "action": entry.action,
        "phase": entry.phase.value,
        "target": target and {"kind": target.kind, "namespace": target.namespace, "name": target.name},
        "run": entry.run,
        "result": entry.result,
        "digests": dict(entry.digests),
        "payload": entry.payload and dict(entry.payload),
        "hash": row.hash.hex(),
    }
