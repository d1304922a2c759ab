"""Owns `setpoint completion`: the script that makes a shell complete commands, options and kinds."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from setpoint.cli.context import DONE
from setpoint.cli.main import SetpointCommand, cli

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    cls=SetpointCommand,
    examples=(
        "source <(setpoint completion bash)",
        "source <(setpoint completion zsh)",
        "setpoint completion fish | source",
    ),
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> int:
    """Print the completion script of a shell."""
    # The base's source(): bash's own would start bash to ask its version.
    click.echo(ShellComplete.source(_SHELLS[shell](cli, {}, "setpoint", "_SETPOINT_COMPLETE")))
    return DONE
