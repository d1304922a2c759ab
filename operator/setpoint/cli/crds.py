"""Owns `setpoint crds`: the CustomResourceDefinitions, made from the types."""

from __future__ import annotations

import click

from setpoint.api.crdgen import custom_resource_definition
from setpoint.api.meta import JsonObject
from setpoint.api.v1alpha1 import KINDS
from setpoint.cli.context import DONE
from setpoint.cli.kinds import find_kinds
from setpoint.cli.main import SetpointCommand
from setpoint.cli.output import as_list, as_yaml, print_value


@click.command(
    cls=SetpointCommand,
    examples=("setpoint crds | kubectl apply --server-side -f -", "setpoint crds environments -o json"),
)
@click.argument("kinds", nargs=-1, metavar="[KIND]...")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Format.")
def crds(kinds: tuple[str, ...], output: str) -> int:
    """Print the CustomResourceDefinitions."""
    selected = find_kinds(",".join(kinds)) if kinds else KINDS
    definitions: list[JsonObject] = [custom_resource_definition(kind) for kind in selected]
    if output == "json":
        print_value(definitions[0] if len(definitions) == 1 else as_list(definitions), output)
    else:
        click.echo("---\n".join(map(as_yaml, definitions)), nl=False)
    return DONE
