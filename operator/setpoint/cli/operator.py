"""Owns `setpoint operator`: the manager on a cluster, in the foreground."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from setpoint.cli.context import DONE, INTERRUPTED, Invocation
from setpoint.cli.main import SetpointCommand
from setpoint.cli.signals import stop_on_signals
from setpoint.cli.up import listen_option, log_format_option
from setpoint.domain.sharding import MAX_SHARDS


@click.command(
    cls=SetpointCommand,
    examples=("setpoint operator --context kind-setpoint", "setpoint operator --listen 0.0.0.0:8080"),
)
@click.option(
    "--kubeconfig",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The kubeconfig; else KUBECONFIG, else ~/.kube/config.",
)
@click.option(
    "--namespaces",
    metavar="A,B",
    envvar="SETPOINT_NAMESPACES",
    help="The namespaces to serve; all where none is named.",
)
@click.option(
    "--shards",
    metavar="N",
    type=click.IntRange(1, MAX_SHARDS),
    envvar="SETPOINT_SHARDS",
    help="Divides the targets among N leaders; the same for all replicas.  [default: 1]",
)
@listen_option
@log_format_option
@click.pass_obj
def operator(
    invocation: Invocation,
    kubeconfig: Path | None,
    namespaces: str | None,
    shards: int | None,
    listen: str | None,
    log_format: str | None,
) -> int:
    """Run the manager on a cluster.

    Watches the custom resources with the rights of its pod's service account, or of --context; stands by until it
    holds a Lease, and then reconciles. SIGTERM or Ctrl-C stops gracefully, a second one at once.
    """
    given = {"kubeconfig": kubeconfig, "namespaces": namespaces, "shards": shards, "listen": listen}
    try:
        asyncio.run(_run(context=invocation.context or None, log_format=log_format, **given))
    except asyncio.CancelledError:
        click.echo("error: stopped at once; the next leader settles what was running", err=True)
        return INTERRUPTED
    return DONE


async def _run(**given: Any) -> None:
    # Only this command needs kopf and the Kubernetes client, which take a second to import.
    from setpoint.wiring.operator import OperatorOptions, run_operator  # noqa: PLC0415

    stop = asyncio.Event()
    stop_on_signals(stop)
    await run_operator(OperatorOptions(**given), stop)
