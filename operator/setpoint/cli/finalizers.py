"""Owns `setpoint finalizers release`: letting go of objects on a cluster whose operator is gone for good.

Takes our finalizer away and nothing else: no resource, no state and no record is touched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import click

from setpoint.api.meta import FINALIZER, JsonObject, ObjectRef
from setpoint.api.target import TARGET_KINDS, TargetStatus, target_type
from setpoint.cli.context import DONE, FAILED, ClusterHome, Invocation, fetch
from setpoint.cli.kinds import find_target
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import namespace_option, output_option
from setpoint.cli.output import print_value
from setpoint.cli.table import plain, render
from setpoint.domain.errors import ConflictError, ForbiddenError, NotFoundError, SetpointError
from setpoint.domain.reading import readable_status

_ATTEMPTS = 5
"""How often an object is read anew that somebody else wrote in between."""
_LOCAL = (
    "a local home has no use for it: there 'setpoint up' is the operator, and lets go of what is deleted; name a "
    "cluster with --context"
)
_WHO = "the finalizer is removed by members of the group setpoint:governance with the role setpoint-governance"


@click.group()
def finalizers() -> None:
    """Let go of objects whose operator is gone."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """The objects to release, and how. `namespace` is None for all; `target` None for whatever is there."""

    target: ObjectRef | None
    namespace: str | None
    operator_namespace: str
    dry_run: bool
    yes: bool
    force: bool
    output: str | None


@finalizers.command(
    cls=SetpointCommand,
    examples=(
        "setpoint finalizers release --all -A --dry-run --context my-cluster",
        "setpoint finalizers release environment/shop-prod -n shop --yes --context my-cluster",
    ),
)
@click.argument("target", metavar="[KIND/NAME]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every object that has the finalizer.")
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
@click.option("--dry-run", is_flag=True, help="Show what would be let go of, and what stays behind. Changes nothing.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option("--force", is_flag=True, help="Even while an operator leads, or where that can't be seen.")
@click.option(
    "--operator-namespace",
    default="setpoint-system",
    show_default=True,
    metavar="NAME",
    help="Where the operator's Leases are.",
)
@output_option
@click.pass_obj
def release(
    invocation: Invocation,
    target: str | None,
    everything: bool,
    namespace: str,
    all_namespaces: bool,
    operator_namespace: str,
    dry_run: bool,
    yes: bool,
    force: bool,
    output: str | None,
) -> int:
    """Take our finalizer away, on a cluster whose operator is gone for good.

    Nothing is destroyed: resources stay as they are, and the state stays in the operator's store. What is being deleted
    goes, unless others hold it, too; the rest stays as an object, and an operator that returns takes it up again.
    Refuses while an operator leads, since that one lets go by itself and records it. Exits with 1 where an object kept
    it.
    """
    if (target is None) == (not everything):
        msg = "name one object, as in environment/shop-prod, or say --all."
        raise click.UsageError(msg)
    if target is not None and all_namespaces:
        msg = "a resource cannot be retrieved by name across all namespaces."
        raise click.UsageError(msg)
    if output and not yes and not dry_run:
        msg = "--output leaves no room for a question: say --yes or --dry-run."
        raise click.UsageError(msg)
    request = Request(
        find_target(target, namespace) if target is not None else None,
        None if all_namespaces else namespace,
        *(operator_namespace, dry_run, yes, force, output),
    )
    return invocation.run_on_cluster(lambda home: _release(home, request), otherwise=_LOCAL)


async def _release(home: ClusterHome, request: Request) -> int:
    found = await _held(home, request)
    if not found:
        return _nothing(request)
    if not request.output:
        click.echo(render(("NAMESPACE", "NAME", "DELETED", "POLICY", "STAYS BEHIND"), map(_cells, found)))
    await _refuse_while_led(home, request)
    if request.dry_run:
        if request.output:
            _print(found, dict.fromkeys(map(ObjectRef.of, found), "WouldRelease"), request.output)
        return DONE
    if not request.yes:
        _ask(len(found))
        # Whoever answers may take minutes, and an operator may be back by then.
        await _refuse_while_led(home, request)
    outcomes = {ObjectRef.of(obj): await _let_go(home, obj) for obj in found}
    if request.output:
        _print(found, outcomes, request.output)
    return DONE if all(outcome == "Released" for outcome in outcomes.values()) else FAILED


async def _held(home: ClusterHome, request: Request) -> Sequence[JsonObject]:
    """The objects asked for that have our finalizer."""
    if request.target is None:
        found: list[JsonObject] = []
        for kind in TARGET_KINDS:
            listed = await home.cluster.list(kind, namespace=request.namespace)
            found += filter(_is_held, listed.items)
        return found
    obj = await fetch(home, request.target)
    return [obj] if _is_held(obj) else []


def _is_held(obj: JsonObject) -> bool:
    return FINALIZER in (obj["metadata"].get("finalizers") or ())


def _nothing(request: Request) -> int:
    """Nothing is left to do: that is what was wanted."""
    if request.output:
        _print((), {}, request.output)
    elif request.target is not None:
        click.echo(f"{request.target} does not have the finalizer {FINALIZER}", err=True)
    else:
        where = f"in {request.namespace} namespace" if request.namespace is not None else "in any namespace"
        click.echo(f"Nothing {where} has the finalizer {FINALIZER}.", err=True)
    return DONE


# --- Whether it may be --------------------------------------------------------------------------------------------


async def _refuse_while_led(home: ClusterHome, request: Request) -> None:
    """Raises SetpointError while an operator leads, or where that can't be seen; a dry run and --force say so alone."""
    problem = await _why_not(home, request.operator_namespace)
    if problem and not (request.dry_run or request.force):
        msg = f"{problem}; --force does it all the same"
        raise SetpointError(msg)
    if problem:
        click.echo(f"warning: {problem}", err=True)


async def _why_not(home: ClusterHome, namespace: str) -> str:
    try:
        leaders = await home.leaders(namespace, lambda text: click.echo(text, err=True))
    except ForbiddenError as error:
        return f"can't see whether an operator leads from namespace {namespace}: {plain(error.message)}"
    if not leaders:
        return ""
    return (
        f"an operator leads: {', '.join(map(plain, leaders))}. It lets go by itself of what is deleted, and records "
        "that; if it is to go for good, scale it down first"
    )


def _ask(count: int) -> None:
    """Raises SetpointError unless somebody says yes."""
    what = "this object" if count == 1 else f"these {count} objects"
    try:
        agreed = click.confirm(f"Let go of {what}?", err=True)
    except click.Abort:
        click.echo(err=True)
        msg = "nobody answered: say --yes, or look first with --dry-run."
        raise click.UsageError(msg) from None
    if not agreed:
        msg = "nothing was let go of"
        raise SetpointError(msg)


# --- Doing it -----------------------------------------------------------------------------------------------------


async def _let_go(home: ClusterHome, obj: JsonObject) -> str:
    """`Released`, or why not; says so as it happens."""
    ref = ObjectRef.of(obj)
    try:
        await _remove_finalizer(home, obj)
    except NotFoundError:
        # Somebody else let go of it meanwhile.
        pass
    except SetpointError as error:
        hint = f" ({_WHO})" if isinstance(error, ForbiddenError) else ""
        click.echo(f"error: {ref}: {plain(error.message)}{hint}", err=True)
        return f"{plain(error.message)}{hint}"
    click.echo(f"{ref} released", err=True)
    return "Released"


async def _remove_finalizer(home: ClusterHome, obj: JsonObject) -> None:
    """Keeps everybody else's finalizers. Raises NotFoundError where the object is gone already.

    The operator's trail is out of reach: the API server's own audit log says who did it.
    """
    ref = ObjectRef.of(obj)
    for attempt in range(1, _ATTEMPTS + 1):
        kept = [name for name in obj["metadata"].get("finalizers") or () if name != FINALIZER]
        try:
            await home.cluster.set_finalizers(obj, kept)
        except ConflictError:
            if attempt == _ATTEMPTS:
                raise
            obj = await home.cluster.get(ref)
        else:
            return


# --- What is shown ------------------------------------------------------------------------------------------------


def _cells(obj: JsonObject) -> tuple[str, ...]:
    ref, value = ObjectRef.of(obj), _value(obj)
    deleted = value["deletionTimestamp"] or "no: it stays"
    spared = ", not destroyed" if value["deletionPolicy"] == "Destroy" and value["deletionTimestamp"] else ""
    return (ref.namespace, ref.name, deleted, value["deletionPolicy"], _stays(obj, spared))


def _stays(obj: JsonObject, spared: str) -> str:
    """Says what nobody looks after any more, by the last status that an operator wrote."""
    kind = target_type(obj["kind"])
    type_: Any = kind.model_fields["status"].annotation
    readable = readable_status(kind, obj)
    status: TargetStatus = type_.model_validate(readable)
    if status.staying:
        first, *more = status.staying
        return "; ".join([first + spared, *more])
    if readable.keys() != (obj.get("status") or {}).keys():
        return "unknown: its status can't be read"
    return "nothing was ever applied"


def _value(obj: JsonObject) -> dict[str, Any]:
    """One object for programs; `resources` and `stateVersion` are what its status says, null where nothing."""
    ref, state = ObjectRef.of(obj), (obj.get("status") or {}).get("state") or {}
    protection = (obj.get("spec") or {}).get("protection") or {}
    return {
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "deletionTimestamp": obj["metadata"].get("deletionTimestamp"),
        "deletionPolicy": protection.get("deletionPolicy", "Retain"),
        "resources": state.get("resources"),
        "stateVersion": state.get("version"),
    }


def _print(found: Sequence[JsonObject], outcomes: dict[ObjectRef, str], output: str) -> None:
    print_value([{**_value(obj), "outcome": outcomes[ObjectRef.of(obj)]} for obj in found], output)
