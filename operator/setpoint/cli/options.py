"""Owns the options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from setpoint.api.meta import ObjectRef

Function = TypeVar("Function", bound=Callable[..., Any])

_MAX_REASON = 1024
_SUBJECT = re.compile(r"(sha256:)?[0-9a-f]{8,64}")

output_option: Callable[[Function], Function] = click.option(
    "-o", "--output", type=click.Choice(["json", "yaml"]), help="Print for programs."
)
full_option: Callable[[Function], Function] = click.option(
    "--full", is_flag=True, help="Show all attributes and whole values of what would change."
)
namespace_option: Callable[[Function], Function] = click.option(
    "-n", "--namespace", default="default", show_default=True, metavar="NAME", help="The namespace to look in."
)


def in_namespace(ref: ObjectRef) -> tuple[str, ...]:
    """`-n` and the namespace of an object, for a command to type; nothing where it is the default."""
    return () if ref.namespace in {"", "default"} else ("-n", ref.namespace)


def _check_subject(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value and not _SUBJECT.fullmatch(value):
        msg = f"--subject: {value!r} is no digest; write it as it is shown, or at least its first 8 hex digits."
        raise click.UsageError(msg)
    return value


subject_option: Callable[[Function], Function] = click.option(
    "--subject",
    metavar="DIGEST",
    default="",
    callback=_check_subject,
    help="Only if this is the Change's subject; its first digits do where no other Change's begins so.",
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
