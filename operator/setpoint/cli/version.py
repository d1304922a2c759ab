"""Owns `setpoint version`. Must stay cheap to import."""

from __future__ import annotations

import json
import platform

import click

import setpoint
from setpoint.cli.main import SetpointCommand


@click.command(cls=SetpointCommand)
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="Print for programs.")
def version(output: str | None) -> None:
    """Print the version."""
    versions = {"setpoint": setpoint.__version__, "python": platform.python_version(), "platform": platform.platform()}
    if output == "json":
        click.echo(json.dumps(versions, indent=4))
    elif output == "yaml":
        click.echo("\n".join(f"{key}: {json.dumps(value)}" for key, value in versions.items()))
    else:
        click.echo(f"setpoint {setpoint.__version__} (Python {platform.python_version()})")
