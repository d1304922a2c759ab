"""Owns the live progress of long work, on standard error: one line for each thing that happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from setpoint.cli.table import plain

if TYPE_CHECKING:
    from setpoint.api.meta import ObjectRef
    from setpoint.domain.model import ResourceProgress

_DONE = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced", "read": "read"}
_DOING = {"create": "creating", "update": "updating", "delete": "deleting", "replace": "replacing", "read": "reading"}


class ProgressLines:
    """Prints each step and each resource as it moves: `environment/shop  apply    local_file.a created (2.1s)`.

    A step is told once per target, until another step begins.
    """

    def __init__(self) -> None:
        self._steps: dict[ObjectRef, str] = {}

    def __call__(self, ref: ObjectRef, step: str, /, resource: ResourceProgress | None = None) -> None:
        """Says what happened."""
        if resource is not None:
            self._say(ref, step, _resource(resource))
        elif self._steps.get(ref) != step:
            self._say(ref, step, "")
        self._steps[ref] = step

    def _say(self, ref: ObjectRef, step: str, text: str) -> None:
        click.echo(f"{ref}  {plain(step):<8} {text}".rstrip(), err=True)


def _resource(resource: ResourceProgress) -> str:
    address = plain(resource.address)
    if resource.state == "started":
        return f"{address} {_DOING.get(resource.action, plain(resource.action))}"
    if resource.state == "waiting":
        return f"waiting for {address} for {resource.seconds:.0f} s"
    if resource.state == "failed":
        return f"{address} {click.style('failed', fg='red')} to {plain(resource.action)} ({resource.seconds:.1f}s)"
    return f"{address} {_DONE.get(resource.action, plain(resource.action))} ({resource.seconds:.1f}s)"
