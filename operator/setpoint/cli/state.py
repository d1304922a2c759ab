"""Owns `setpoint import-state`: the adoption of a Terraform state that was kept elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click

from setpoint.cli.context import DONE, Home, Invocation, fetch
from setpoint.cli.kinds import find_object
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import namespace_option, output_option
from setpoint.cli.output import print_value
from setpoint.domain.errors import InvalidError

MAX_STATE_BYTES = 512 * 1024 * 1024
_WORKSPACE = """\
note: terraform.workspace is `default` in every run here. Where the code reads it, put a variable in its place, with
the name of the workspace that this state comes from; else what is named by it would be made anew"""


@click.command(
    cls=SetpointCommand,
    examples=("terraform state pull > old.tfstate", "setpoint import-state shop-prod old.tfstate"),
)
@click.argument("environment", metavar="ENVIRONMENT")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE")
@namespace_option
@output_option
@click.pass_obj
def import_state(invocation: Invocation, environment: str, file: Path, namespace: str, output: str | None) -> int:
    """Adopt an existing Terraform state.

    FILE is what `terraform state pull` prints; `-` reads standard input. It becomes version 1 of the environment's
    state, sealed. An environment that has a state takes none of another lineage and none with a lower serial.
    """
    ref = find_object(environment, namespace, default="Environment")
    data = _read(file)
    check_state(data, str(file))

    async def run(home: Home) -> int:
        await fetch(home, ref)
        version = await home.import_state(ref, data)
        if output:
            print_value(
                {
                    "version": version.version,
                    "serial": version.serial,
                    "lineage": version.lineage,
                    "terraformVersion": version.terraform_version,
                    "resources": version.resources,
                },
                output,
            )
        else:
            click.echo(
                f"{ref} has state version {version.version} now: serial {version.serial}, "
                f"{version.resources} resources, lineage {version.lineage}"
            )
            click.echo(_WORKSPACE, err=True)
        return DONE

    return invocation.run(run, create=invocation.home is not None)


def _read(file: Path) -> bytes:
    with click.open_file(str(file), "rb") as stream:
        return _read_bounded(stream, str(file))


def _read_bounded(stream: IO[bytes], name: str) -> bytes:
    data = stream.read(MAX_STATE_BYTES + 1)
    if len(data) > MAX_STATE_BYTES:
        msg = f"{name}: more than {MAX_STATE_BYTES // 1024**2} MiB is no Terraform state that can be adopted"
        raise InvalidError(msg)
    return data


def check_state(data: bytes, name: str) -> None:
    """Raises InvalidError for what is no Terraform state of version 4; its values are not looked at."""
    try:
        state = json.loads(data)
    except (ValueError, RecursionError):
        # The message of the parser would quote the file, which is full of secrets.
        msg = f"{name}: not JSON; give what 'terraform state pull' prints"
        raise InvalidError(msg) from None
    if not isinstance(state, dict) or state.get("version") != 4 or not {"serial", "lineage"} <= state.keys():
        msg = f"{name}: no Terraform state of format version 4; give what 'terraform state pull' prints"
        raise InvalidError(msg)
