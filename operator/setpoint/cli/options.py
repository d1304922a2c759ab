"""Owns the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

_MAX_REASON = 1024

output_option: Callable[[Function], Function] = click.option(
    "-o", "--output", type=click.Choice(["json", "yaml"]), help="Print for programs."
)
full_option: Callable[[Function], Function] = click.option(
    "--full", is_flag=True, help="Show all attributes and whole values of what would change."
)
namespace_option: Callable[[Function], Function] = click.option(
    "-n", "--namespace", default="default", show_default=True, metavar="NAME", help="The namespace to look in."
)


def reason_option(*, required: bool) -> Callable[[Function], Function]:
    """`--reason`, within the limits of the types."""
    return click.option(
        "--reason", default="", required=required, callback=_check_reason, help="Why; kept in the audit trail."
    )


def _check_reason(_ctx: click.Context, param: click.Parameter, value: str) -> str:
    reason = value.strip()
    if len(reason) > _MAX_REASON:
        msg = f"--reason: {len(reason)} characters are too many; at most {_MAX_REASON}."
        raise click.UsageError(msg)
    if param.required and not reason:
        msg = "--reason: say why; it is kept in the audit trail."
        raise click.UsageError(msg)
    return reason
