"""Owns `setpoint operator`: the manager on a cluster, in the foreground."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from setpoint.cli.context import DONE, INTERRUPTED, Invocation
from setpoint.cli.main import SetpointCommand
from setpoint.cli.signals import stop_on_signals
from setpoint.cli.up import listen_option, log_format_option


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
@listen_option
@log_format_option
@click.pass_obj
def operator(
    invocation: Invocation, kubeconfig: Path | None, namespaces: str | None, listen: str | None, log_format: str | None
) -> int:
    """Run the manager on a cluster.

    Watches the custom resources with the rights of its pod's service account, or of --context; stands by until it
    holds the Lease, and then reconciles. SIGTERM or Ctrl-C stops gracefully, a second one at once.
    """
    try:
        asyncio.run(_run(invocation.context or None, kubeconfig, namespaces, listen, log_format))
    except asyncio.CancelledError:
        click.echo("error: stopped at once; the next leader settles what was running", err=True)
        return INTERRUPTED
    return DONE


async def _run(
    context: str | None, kubeconfig: Path | None, namespaces: str | None, listen: str | None, log_format: str | None
) -> None:
    # Only this command needs kopf and the Kubernetes client, which take a second to import.
    from setpoint.wiring.operator import OperatorOptions, run_operator  # noqa: PLC0415

    stop = asyncio.Event()
    stop_on_signals(stop)
    options = OperatorOptions(
        context=context, kubeconfig=kubeconfig, namespaces=namespaces, listen=listen, log_format=log_format
    )
    await run_operator(options, stop)
