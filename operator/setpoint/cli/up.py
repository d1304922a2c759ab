"""Owns `setpoint up`: the manager in the foreground, its progress, and how it says what came of it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from setpoint.api.conditions import Reason
from setpoint.cli.context import ATTENTION, DONE, FAILED, INTERRUPTED, Invocation
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import in_namespace, output_option
from setpoint.cli.output import print_value
from setpoint.cli.progress import ProgressLines
from setpoint.cli.signals import stop_on_signals
from setpoint.cli.table import plain, render

if TYPE_CHECKING:
    from setpoint.api.meta import ObjectRef
    from setpoint.cli.context import Progress
    from setpoint.domain.model import ResourceProgress
    from setpoint.wiring.manager import RunReport, TargetReport

_ADDRESS = re.compile(r"(?:[^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")


def _check_address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    match = _ADDRESS.fullmatch(value) if value else None
    if value and (match is None or int(match[1]) > 65_535):
        msg = f"--listen: {value!r} is no HOST:PORT, such as 127.0.0.1:9090 or [::1]:9090."
        raise click.UsageError(msg)
    return value


listen_option = click.option(
    "--listen",
    metavar="HOST:PORT",
    envvar="SETPOINT_LISTEN",
    callback=_check_address,
    help="Serve /healthz, /readyz and /metrics there.",
)
log_format_option = click.option(
    "--log-format", type=click.Choice(["console", "json"]), envvar="SETPOINT_LOG_FORMAT", help="How log lines look."
)


@click.command(cls=SetpointCommand, examples=("setpoint up home --once", "setpoint up home --listen 127.0.0.1:9090"))
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--once", is_flag=True, help="Observe every target now, and stop when none has work left.")
@click.option(
    "--due",
    is_flag=True,
    help="Leave out what is fresh: at its setpoint, unchanged since, and observed within its interval.",
)
@listen_option
@log_format_option
@output_option
@click.pass_obj
def up(
    invocation: Invocation,
    folder: Path | None,
    once: bool,
    due: bool,
    listen: str | None,
    log_format: str | None,
    output: str | None,
) -> int:
    """Run the manager on the manifests in a folder.

    DIR holds manifests; what the manager makes is in DIR/.setpoint. Without DIR, the home is found as for every other
    command. Ctrl-C stops gracefully: what runs comes to its end; a second Ctrl-C stops at once.

    Exits with 0 where every target is at its setpoint or was released, with 3 where one needs attention or is held,
    with 1 where one failed. A folder that is no home and holds no manifest stays as it is: exit 2.

    With --due, what an earlier run found at its setpoint is not observed again before its interval has passed, unless
    its manifest, the files of its source or a Secret that it reads moved: fast over thousands of fresh targets.
    Drift of those is seen when they are due.
    """
    root = folder.resolve() if folder else invocation.root()
    try:
        report, stopped = asyncio.run(_run(invocation, root, once=once, due=due, listen=listen, log_format=log_format))
    except asyncio.CancelledError:
        click.echo("error: stopped at once; the next start settles what was running", err=True)
        return INTERRUPTED
    if output:
        print_value(report_value(report), output)
    else:
        _print_report(invocation, root, report)
    if once:
        return INTERRUPTED if stopped else exit_code(report)
    return DONE


async def _run(
    invocation: Invocation, root: Path, *, once: bool, due: bool, listen: str | None, log_format: str | None
) -> tuple[RunReport, bool]:
    """How the run ended, and whether that was because someone stopped it."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    progress: Progress = _silence if log_format == "json" else ProgressLines()
    report = await invocation.wiring().run_manager(
        root, once=once, due=due, metrics_address=listen, log_format=log_format, progress=progress, stop=stop
    )
    return report, stop.is_set()


def _silence(_ref: ObjectRef, _step: str, resource: ResourceProgress | None = None) -> None:
    """No progress for people among log lines for programs."""


def exit_code(report: RunReport) -> int:
    """0 where all are at their setpoint or released, 1 where one failed or a manifest is wrong, 3 where one waits.

    3, too, where nothing would be applied, since the store was set back.
    """
    states = {target.state for target in report.targets}
    if "failed" in states or report.manifest_errors:
        return FAILED
    return ATTENTION if states & {"needs attention", "held"} or report.store else DONE


def report_value(report: RunReport) -> dict[str, Any]:
    """The report for programs."""
    return {
        "targets": [
            {
                "kind": target.ref.kind,
                "namespace": target.ref.namespace,
                "name": target.ref.name,
                "state": target.state,
                "reason": target.reason,
                "message": target.message,
                "change": target.change,
            }
            for target in report.targets
        ],
        "manifestErrors": [str(error) for error in report.manifest_errors],
        "store": report.store or None,
    }


def _print_report(invocation: Invocation, root: Path, report: RunReport) -> None:
    for error in report.manifest_errors:
        click.echo(f"error: {plain(str(error))}", err=True)
    if report.store:
        click.echo(f"error: {plain(report.store)}", err=True)
    if not report.targets:
        click.echo(f"No targets found in {root}; an Environment manifest makes one.", err=True)
        return
    rows = [(str(each.ref), each.state, each.reason, each.change or "") for each in report.targets]
    click.echo(render(("TARGET", "STATE", "REASON", "CHANGE"), rows))
    for target in report.targets:
        if target.state != "at the setpoint" and target.reason != Reason.STORE_SET_BACK:
            click.echo("\n".join(["", *_next_steps(invocation, root, target)]))


def _next_steps(invocation: Invocation, root: Path, target: TargetReport) -> list[str]:
    if target.state == "released":
        # The object is gone, so there is nothing to describe.
        return [f"{target.ref}: {plain(target.message)}"]
    lines = [f"{target.ref} {target.state}: {plain(target.message) or target.reason}"]
    space = in_namespace(target.ref)
    if target.change:
        lines.append(f"  {invocation.command('describe', f'change/{target.change}', *space, root=root)}")
        if target.reason == Reason.APPROVAL_REQUIRED:
            lines.append(f"  {invocation.command('approve', target.change, *space, root=root)}")
    else:
        lines.append(f"  {invocation.command('describe', str(target.ref), *space, root=root)}")
    return lines
