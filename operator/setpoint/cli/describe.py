"""Owns `setpoint describe`: the story of one object, with what belongs to it, for people."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable

import click

from setpoint.api.meta import Condition, JsonObject, ObjectRef
from setpoint.api.target import TARGET_KINDS, Target, TargetReference, target_type
from setpoint.api.v1alpha1.change import Change
from setpoint.api.v1alpha1.snapshot import Snapshot, SnapshotSpec
from setpoint.cli.contents import ContentTeller
from setpoint.cli.context import DONE, FAILED, Home, Invocation, fetch
from setpoint.cli.kinds import complete_kinds, find_selection, kind_of, reference
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import full_option, namespace_option, output_option
from setpoint.cli.output import as_list, print_value
from setpoint.cli.story import (
    condition_lines,
    event_lines,
    field,
    gate_lines,
    review_lines,
    section,
    tree,
    way_back_lines,
)
from setpoint.cli.table import age, plain, render
from setpoint.cli.tally import read_approvals
from setpoint.domain.errors import InvalidError, NotFoundError
from setpoint.domain.reading import Kind, parse, readable_status

_NEWEST = 5


@click.command(
    cls=SetpointCommand,
    examples=("setpoint describe environment/shop-prod", "setpoint describe change shop-prod-a1b2c3d4e5"),
)
@click.argument(
    "words", metavar="KIND/NAME... | KIND [NAME]...", nargs=-1, required=True, shell_complete=complete_kinds
)
@full_option
@namespace_option
@output_option
@click.pass_obj
def describe(invocation: Invocation, words: tuple[str, ...], full: bool, namespace: str, output: str | None) -> int:
    """Tell an object's story.

    What it should be, what it is, what is about to happen to it and who must agree, the way back, and what happened.
    For programs: the objects, each Change with the content that it names. Exits with 1 where what is kept of a Change
    is not what its digest names.
    """
    selection = find_selection(words)
    contents = ContentTeller(full=full)

    async def run(home: Home) -> int:
        found: list[JsonObject] = []
        for kind, name in selection:
            if name is None:
                scope = namespace if kind.META.namespaced else None
                found += (await home.cluster.list(kind.__name__, namespace=scope)).items
            else:
                found.append(await fetch(home, reference(kind, namespace, name)))
        if output:
            values = [await contents.value(home, obj) for obj in found]
            print_value(values[0] if len(values) == 1 else as_list(values), output)
        elif found:
            stories = [await describe_object(home, obj, dt.datetime.now(dt.UTC), contents) for obj in found]
            click.echo("\n\n\n".join(stories))
        else:
            click.echo(f"No resources found in {namespace} namespace.", err=True)
        return FAILED if contents.wrong else DONE

    return invocation.run(run)


async def describe_object(home: Home, obj: JsonObject, now: dt.datetime, contents: ContentTeller) -> str:
    """The story of one object."""
    ref = ObjectRef.of(obj)
    lines = _metadata(obj, now)
    try:
        lines += await _own(home, obj, now, contents)
    except InvalidError as error:
        # Of an older schema, or of a newer one.
        lines += [field("Unreadable", error.message), *_other(obj, now)]
    lines += section("Events", event_lines(await home.events(ref), now)) or [field("Events", "<none>")]
    return "\n".join(lines)


async def _own(home: Home, obj: JsonObject, now: dt.datetime, contents: ContentTeller) -> list[str]:
    """Describes the object by its kind. Raises InvalidError where it does not fit the kind."""
    if obj["kind"] in TARGET_KINDS:
        return await _target(home, parse(target_type(obj["kind"]), obj), now, contents)
    if obj["kind"] == "Change":
        return await _change(home, parse(Change, obj), now, contents)
    return _other(obj, now)


def _metadata(obj: JsonObject, now: dt.datetime) -> list[str]:
    meta = obj["metadata"]
    created = meta.get("creationTimestamp")
    lines = [field("Name", meta["name"])]
    if meta.get("namespace"):
        lines.append(field("Namespace", meta["namespace"]))
    lines += [field("Kind", obj["kind"]), field("Created", f"{created or ''} ({age(created, now)} ago)")]
    if meta.get("deletionTimestamp"):
        lines.append(field("Deleted", f"{meta['deletionTimestamp']}, waits for its finalizers"))
    for title in ("labels", "annotations"):
        pairs = [f"{plain(key)}={plain(value)}" for key, value in sorted(meta.get(title, {}).items())]
        lines += section(title.capitalize(), pairs)
    return lines


def _other(obj: JsonObject, now: dt.datetime) -> list[str]:
    status = readable_status(kind_of(obj["kind"]), obj)
    conditions = [Condition.model_validate(each) for each in status.pop("conditions", [])]
    return [
        *section("Spec", tree(obj.get("spec"))),
        *section("Status", tree(status)),
        *section("Conditions", condition_lines(conditions, now)),
    ]


async def _target(home: Home, target: Target, now: dt.datetime, contents: ContentTeller) -> list[str]:
    status = target.status
    lines = section("Spec", tree(target.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)))
    lines += section("Drift", _drift(target, now))
    lines += [field(title, text) for title, text in status.told.items()]
    if status.applying and status.applying.stage:
        applying = status.applying
        lines.append(field("Applying", f"{applying.change}, at stage {applying.stage}, since {applying.at}"))
    if status.hold:
        lines.append(field("Held", f"since {status.hold.since} ({status.hold.reason}); 'setpoint resume' releases it"))
    lines += section("Warnings", map(plain, status.warnings))
    lines += section("Conditions", condition_lines(status.conditions, now))
    if status.change:
        lines += await _open_change(home, target, status.change, contents)
    lines += section("Snapshots", await _snapshots(home, target.ref, now))
    return lines


def _drift(target: Target, now: dt.datetime) -> list[str]:
    drift = target.status.drift
    counts = f"actionable {drift.actionable}, informational {drift.informational}, pending {drift.pending}"
    since = [f"since {plain(drift.since)} ({age(drift.since, now)})"] if drift.since else []
    violated = [f"violations of policies {drift.violations}"] if drift.violations else []
    return [f"{counts}, cascade {drift.cascade}", *violated, *since, *map(plain, drift.addresses)]


async def _open_change(home: Home, target: Target, name: str, contents: ContentTeller) -> list[str]:
    try:
        change = parse(Change, await home.cluster.get(ObjectRef("Change", target.metadata.namespace, name)))
    except NotFoundError:
        return [field("Change", f"{name}, which is gone")]
    except InvalidError as error:
        return [field("Change", f"{name}, which can't be read: {error.message}")]
    return section(
        "Change", [f"{name}: {change.spec.summary.text} ({change.spec.cause})", *await _what(home, change, contents)]
    )


async def _change(home: Home, change: Change, now: dt.datetime, contents: ContentTeller) -> list[str]:
    return [
        field("Target", f"{change.spec.target_ref.kind.lower()}/{change.spec.target_ref.name}"),
        field("Cause", change.spec.cause),
        field("Summary", change.spec.summary.text),
        field("Subject", change.spec.subject),
        field("Snapshot", change.spec.snapshot_ref),
        *([field("Run", change.status.run)] if change.status.run else []),
        *([field("Outcome", change.status.message)] if change.status.message else []),
        *await _what(home, change, contents),
        *section("Approvals", (await read_approvals(home, change, now)).lines()),
        *section("Conditions", condition_lines(change.status.conditions, now)),
    ]


async def _what(home: Home, change: Change, contents: ContentTeller) -> list[str]:
    """Says what a Change does, what it costs to go back, and what stands in its way."""
    orphans = [*change.spec.orphans, *change.status.orphans]
    return [
        *await contents.section(home, change),
        *section("Way back", way_back_lines(change.spec.reset_plan, change.status.undrilled_accepted_by)),
        *section("Gates", gate_lines(change.status.gates)),
        *section("Review", review_lines(change.status.review)),
        *section("Warnings", map(plain, change.status.warnings)),
        *section("Orphans", map(plain, orphans)),
        *section("Notes", map(plain, change.spec.notes)),
    ]


def _readable(kind: type[Kind], objects: Iterable[JsonObject]) -> list[Kind]:
    """Those that fit the kind; what is of another schema counts for nothing, and so is not shown as if it did."""
    read = []
    for obj in objects:
        with contextlib.suppress(InvalidError):
            read.append(parse(kind, obj))
    return read


async def _snapshots(home: Home, target: ObjectRef, now: dt.datetime) -> list[str]:
    found = await home.cluster.list("Snapshot", namespace=target.namespace)
    mine = [one for one in _readable(Snapshot, found.items) if one.spec.target_ref == TargetReference.to(target)]
    mine.sort(key=lambda one: one.metadata.creation_timestamp or "", reverse=True)
    shown = [(one, one.spec.member.told if one.spec.member else {}) for one in mine[:_NEWEST]]
    rows = [(one.metadata.name, *told.values(), age(one.metadata.creation_timestamp, now)) for one, told in shown]
    lines = render(("NAME", *shown[0][1], "AGE"), rows).splitlines() if shown else []
    more = [f"... and {len(mine) - _NEWEST} older"] if len(mine) > _NEWEST else []
    about = TargetReference.to(target).as_json()
    cut = sum(SnapshotSpec.is_cut(one["spec"]) and one["spec"]["targetRef"] == about for one in found.items)
    void = [f"{cut} void: an earlier version took them, and the API server cut them; nothing is reset to them"]
    return [*lines, *more, *(void if cut else [])]
