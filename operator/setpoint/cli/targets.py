"""Owns `setpoint reconcile`, `suspend` and `resume`: what people ask of targets, as annotations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from setpoint.api.meta import RECONCILE_ANNOTATION, RESUME_ANNOTATION, SUSPEND_ANNOTATION, JsonObject, ObjectRef
from setpoint.cli.context import DONE, Home, Invocation, fetch
from setpoint.cli.kinds import find_target
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import namespace_option, output_option
from setpoint.cli.output import as_list, print_value
from setpoint.domain import audit_actions

Annotations = Mapping[str, str | None]
Function = TypeVar("Function", bound=Callable[..., Any])


def _options(function: Function) -> Function:
    targets = click.argument("targets", metavar="KIND/NAME...", nargs=-1, required=True)
    return targets(output_option(namespace_option(click.pass_obj(function))))  # type: ignore[return-value]


@click.command(cls=SetpointCommand, examples=("setpoint reconcile environment/shop-prod",))
@_options
def reconcile(invocation: Invocation, targets: tuple[str, ...], namespace: str, output: str | None) -> int:
    """Ask for a run now.

    The manager that runs on the home takes the request up at once; without one, the next `setpoint up` does.
    """
    return _annotate(invocation, targets, namespace, output, "reconcile", lambda _: {RECONCILE_ANNOTATION: _now()})


@click.command(cls=SetpointCommand, examples=("setpoint suspend environment/shop-prod",))
@_options
def suspend(invocation: Invocation, targets: tuple[str, ...], namespace: str, output: str | None) -> int:
    """Stop all work on targets.

    Nothing is observed and nothing applied until `setpoint resume`. What runs already comes to its end.
    """
    return _annotate(invocation, targets, namespace, output, "suspend", lambda user: {SUSPEND_ANNOTATION: user})


@click.command(cls=SetpointCommand, examples=("setpoint resume environment/shop-prod",))
@_options
def resume(invocation: Invocation, targets: tuple[str, ...], namespace: str, output: str | None) -> int:
    """Go on with targets; also releases a hold.

    A hold follows a reset, or a change that did not verify: nothing is applied until the spec changes or a person
    resumes. A target whose manifest says `suspend: true` stays suspended.
    """
    return _annotate(
        invocation,
        targets,
        namespace,
        output,
        "resume",
        lambda _: {SUSPEND_ANNOTATION: None, RESUME_ANNOTATION: _now()},
    )


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _annotate(
    invocation: Invocation,
    targets: tuple[str, ...],
    namespace: str,
    output: str | None,
    action: audit_actions.Wish,
    annotations: Callable[[str], Annotations],
) -> int:
    """Records who asks for what, then asks; `annotations` makes them of the user."""
    refs = [find_target(target, namespace) for target in targets]

    async def run(home: Home) -> int:
        for ref in refs:
            await fetch(home, ref)
        asked = [await _ask(home, ref, action, annotations(home.user())) for ref in refs]
        if output:
            print_value(asked[0] if len(asked) == 1 else as_list(asked), output)
            return DONE
        for obj in asked:
            _print_done(obj, action)
        return DONE

    return invocation.run(run)


async def _ask(home: Home, ref: ObjectRef, action: audit_actions.Wish, annotations: Annotations) -> JsonObject:
    await home.audit.append(audit_actions.wished(ref, action, home.user()))
    return await home.cluster.annotate(ref, annotations)


def _print_done(obj: JsonObject, action: audit_actions.Wish) -> None:
    done = {"reconcile": "run requested", "suspend": "suspended", "resume": "resumed"}[action]
    click.echo(f"{ObjectRef.of(obj)} {done}")
    if action == "resume" and obj["spec"].get("suspend"):
        click.echo(f"warning: the manifest of {ObjectRef.of(obj)} says suspend: true; take it out to go on", err=True)
