"""Owns `setpoint reset`: a wish to bring a target back to a snapshot, as a Reset object."""

from __future__ import annotations

import secrets

import click

from setpoint.api.meta import API_VERSION, JsonObject, ObjectRef
from setpoint.api.target import TargetReference
from setpoint.api.v1alpha1.reset import ResetSpec
from setpoint.cli.context import DONE, Home, Invocation, fetch, fetch_by_prefix
from setpoint.cli.kinds import find_object, find_target
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import in_namespace, namespace_option, output_option, reason_option
from setpoint.cli.output import print_value
from setpoint.domain import audit_actions
from setpoint.domain.errors import SetpointError

_MAX_NAME = 253


@click.command(
    cls=SetpointCommand,
    examples=("setpoint reset environment/shop-prod --to shop-prod-7 --reason 'the new version loses orders'",),
)
@click.argument("target", metavar="KIND/NAME")
@click.option(
    "--to",
    "snapshot",
    required=True,
    metavar="SNAPSHOT",
    help="The snapshot to go back to, or the first letters of its name.",
)
@reason_option(required=True)
@namespace_option
@output_option
@click.pass_obj
def reset(invocation: Invocation, target: str, snapshot: str, reason: str, namespace: str, output: str | None) -> int:
    """Ask to bring a target back to a snapshot.

    The reset applies the snapshot's configuration to today's state through the same pipeline: a Change is computed,
    gated and approved like any other. Afterwards the target is held, so that what was undone is not applied again.
    """
    target_ref = find_target(target, namespace)
    wanted = find_object(snapshot, namespace, default="Snapshot")

    async def run(home: Home) -> int:
        await fetch(home, target_ref)
        found = await fetch_by_prefix(home, wanted)
        snapshot_ref = ObjectRef.of(found)
        _refuse_foreign(found, target_ref, lists=invocation.command("get", "snapshots", *in_namespace(target_ref)))
        digest = found["spec"]["digest"]
        wish = new_reset(target_ref, snapshot_ref, home.user(), reason, digest=digest)
        entry = audit_actions.reset_asked(
            target_ref, wish["metadata"]["name"], who=home.user(), snapshot=snapshot_ref.name, digest=digest, why=reason
        )
        created = await home.cluster.create(wish, audit=(entry,))
        if output:
            print_value(created, output)
            return DONE
        click.echo(f"reset/{created['metadata']['name']} created: {target_ref} to {snapshot_ref}")
        click.echo(invocation.how_it_goes_on("computes its Change", await home.manager()))
        return DONE

    return invocation.run(run)


def _refuse_foreign(snapshot: JsonObject, target: ObjectRef, *, lists: str) -> None:
    owner = TargetReference.model_validate(snapshot["spec"]["targetRef"]).within(target.namespace)
    if owner != target:
        name = snapshot["metadata"]["name"]
        theirs, wanted = (owner.name, target.name) if owner.kind == target.kind else (str(owner), str(target))
        msg = f"snapshot/{name} was taken of {theirs!r}, not of {wanted!r}; {lists} lists all"
        raise SetpointError(msg)


def new_reset(target: ObjectRef, snapshot: ObjectRef, user: str, reason: str, *, digest: str) -> JsonObject:
    """The Reset object of a person's wish; `digest` is that of the Snapshot that was found under the name."""
    spec = ResetSpec.model_validate(
        {
            "targetRef": TargetReference.to(target),
            "snapshotRef": {"name": snapshot.name, "digest": digest},
            "reason": reason,
            "requestedBy": user,
        }
    )
    suffix = f"-reset-{secrets.token_hex(3)}"
    metadata = {"name": target.name[: _MAX_NAME - len(suffix)] + suffix, "namespace": target.namespace}
    return {"apiVersion": API_VERSION, "kind": "Reset", "metadata": metadata, "spec": spec.as_json()}
