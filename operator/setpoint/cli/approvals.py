"""Owns `setpoint approve` and `reject`: a person's word on the subject of the Change that is shown.

The subject is copied from the Change as it was read and shown: should it move in between, the approval is void.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Sequence

import click

from setpoint.api.conditions import ConditionType
from setpoint.api.meta import API_VERSION, JsonObject
from setpoint.api.v1alpha1.approval import ApprovalSpec
from setpoint.api.v1alpha1.change import Change, GateResult
from setpoint.cli.contents import Sight, action_section, refuse_unseen, see
from setpoint.cli.context import DONE, Home, Invocation, fetch_by_prefix
from setpoint.cli.kinds import find_object
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import (
    full_option,
    in_namespace,
    namespace_option,
    output_option,
    reason_option,
    subject_option,
)
from setpoint.cli.output import print_value
from setpoint.cli.story import field, gate_lines, review_lines, section, way_back_lines
from setpoint.cli.table import plain
from setpoint.cli.tally import ChangeApprovals, read_approvals, refuse_empty_word, refuse_rejected
from setpoint.domain import audit_actions
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import SetpointError
from setpoint.domain.gates import WAY_BACK
from setpoint.domain.reading import parse, text_at

_MAX_NAME = 253
_DIGEST = "sha256:"
_NOTHING_TO_ACCEPT = {
    "Passed": "the way back was drilled",
    "NotDrillable": "nothing was applied before, so there was nothing to drill",
    "NotDrilled": "an approval without it is enough here",
    "Failed": "since what differs can be mended before this Change",
}
"""By how the drill went, the reason for which nobody has to accept it, or nobody can."""


@click.command(
    cls=SetpointCommand,
    examples=(
        "setpoint approve shop-prod-a1b2c3d4e5",
        "setpoint approve shop-prod-a1b2c3d4e5 --override blast-radius --reason 'planned move'",
        "setpoint approve shop-prod-a1b2c3d4e5 --accept-undrilled --reason 'the old provider is gone'",
    ),
)
@click.argument("change")
@subject_option
@reason_option(required=False)
@click.option("--unseen", is_flag=True, help="Approve although not all that would change can be shown here.")
@full_option
@click.option("--override", "overrides", metavar="GATE", multiple=True, help="Pass a soft-mandatory gate knowingly.")
@click.option(
    "--accept-undrilled",
    is_flag=True,
    help="Pass a failed drill knowingly, where the Change says that this is possible.",
)
@namespace_option
@output_option
@click.pass_obj
def approve(
    invocation: Invocation,
    change: str,
    subject: str,
    reason: str,
    unseen: bool,
    full: bool,
    overrides: tuple[str, ...],
    accept_undrilled: bool,
    namespace: str,
    output: str | None,
) -> int:
    """Approve a Change as it is shown.

    CHANGE is a Change's name, or the beginning of one. The approval names the subject that is shown: what happens, the
    way back, policies, gates and state together. If any of them moves, it is another Change; --subject makes sure that
    it is still the one that you looked at. No question is asked. What can't be shown whole is approved only with
    --unseen and a --reason; what is not what the Change's digest names, never. A repair whose drill failed, and a
    Change where the last applied configuration can't be planned any more, take --accept-undrilled and a --reason.
    """
    if unseen and not reason:
        msg = "--unseen needs a --reason: say how you know what this Change does."
        raise click.UsageError(msg)
    if overrides and not reason:
        msg = "--override needs a --reason: say why the gate may be passed; it is kept in the audit trail."
        raise click.UsageError(msg)
    if accept_undrilled and not reason:
        msg = "--accept-undrilled needs a --reason: say why it is applied without a way back that was drilled."
        raise click.UsageError(msg)
    return _decide(
        invocation,
        change,
        namespace,
        output,
        verdict="Approved",
        subject=subject,
        reason=reason,
        overrides=overrides,
        accepts=accept_undrilled,
        unseen=unseen,
        full=full,
    )


@click.command(
    cls=SetpointCommand, examples=("setpoint reject shop-prod-a1b2c3d4e5 --reason 'the database must stay'",)
)
@click.argument("change")
@subject_option
@reason_option(required=True)
@namespace_option
@output_option
@click.pass_obj
def reject(invocation: Invocation, change: str, subject: str, reason: str, namespace: str, output: str | None) -> int:
    """Reject a Change as it is shown.

    The same change is not proposed again; another one follows when spec, source or world move. A Change that is being
    carried out in stages is asked to go back, as far as it can; its target is held then.
    """
    return _decide(invocation, change, namespace, output, verdict="Rejected", subject=subject, reason=reason)


def _decide(
    invocation: Invocation,
    name: str,
    namespace: str,
    output: str | None,
    *,
    verdict: str,
    subject: str,
    reason: str,
    overrides: Sequence[str] = (),
    accepts: bool = False,
    unseen: bool = False,
    full: bool = False,
) -> int:
    ref = find_object(name, namespace, default="Change")

    async def run(home: Home) -> int:
        change = parse(Change, await fetch_by_prefix(home, ref))
        await refuse_another_subject(home, change, subject)
        refuse_closed(change, lists=invocation.command("get", "changes", *in_namespace(change.ref)))
        so_far = await read_approvals(home, change, dt.datetime.now(dt.UTC))
        refuse_rejected(so_far)
        if verdict == "Approved":
            refuse_applying(change)
            refuse_overrides(change, overrides)
            refuse_acceptance(change, accepts=accepts)
            refuse_blocked(change, overrides)
            refuse_empty_word(so_far, home.user(), overrides, accepts=accepts)
        sight = await see(home, change)
        if not output:
            click.echo("\n".join(_shown(so_far, sight, full=full)))
        if verdict == "Approved":
            refuse_unseen(change, sight, unseen=unseen)
        approval = new_approval(
            change,
            home.user(),
            verdict=verdict,
            reason=reason,
            overrides=overrides,
            accepts=accepts,
            proven=home.proves_users,
        )
        entry = _entry(change, approval, unseen=verdict == "Approved" and not sight.whole)
        created = await home.cluster.create(approval, audit=(entry,))
        if output:
            print_value(created, output)
        else:
            click.echo("\n".join(["", *await _outcome(invocation, home, so_far, created)]))
        return DONE

    return invocation.run(run)


async def refuse_another_subject(home: Home, change: Change, wanted: str) -> None:
    """Raises SetpointError unless the subject is the one that is wanted, whole or by a beginning that no other has."""
    if not wanted:
        return
    whole = wanted if wanted.startswith(_DIGEST) else _DIGEST + wanted
    if not change.spec.subject.startswith(whole):
        msg = (
            f"the subject of {change.ref} is {change.spec.subject}, not {whole}: "
            "it is another Change than the one that you mean, and nothing was said of it"
        )
        raise SetpointError(msg)
    listed = await home.cluster.list("Change", namespace=change.metadata.namespace)
    alike = {text_at(item, "spec", "subject") or "" for item in listed.items}
    if len([subject for subject in alike if subject.startswith(whole)]) > 1:
        msg = f"--subject: several Changes have a subject that begins with {whole}; write more of it"
        raise SetpointError(msg)


def refuse_closed(change: Change, *, lists: str) -> None:
    """Raises SetpointError for a Change on which no word counts any more; `lists` is the command that shows others."""
    said = {
        ConditionType.SUPERSEDED: "is superseded",
        ConditionType.REJECTED: "was rejected",
        ConditionType.APPLIED: "was applied",
    }
    for condition in change.status.conditions:
        tried = condition.type == ConditionType.APPLIED and condition.status != "Unknown"
        if condition.type not in said or (condition.status != "True" and not tried):
            continue
        # An apply that failed or was interrupted has spent its approvals, and the next run makes another Change.
        how = said[ConditionType(condition.type)] if condition.status == "True" else "was tried and failed"
        why = f" ({plain(condition.message)})" if condition.message else ""
        msg = f"{change.ref} {how}{why}; {lists} lists what waits now"
        raise SetpointError(msg)


def refuse_applying(change: Change) -> None:
    """Raises SetpointError for a Change that is being carried out: an approval of it is spent, and another is void."""
    if change.status.outcome == "Applying":
        msg = f"{change.ref} is being carried out already; 'setpoint reject' asks it to go back"
        raise SetpointError(msg)


def refuse_overrides(change: Change, overrides: Sequence[str]) -> None:
    """Raises SetpointError for an override of a gate that does not block this Change, or that nobody can pass."""
    blocking = {gate.gate: gate for gate in change.status.gates if gate.blocks}
    passable = ", ".join(sorted(name for name, gate in blocking.items() if gate.overridable)) or "none"
    for name in overrides:
        if name not in blocking:
            msg = f"gate {name!r} does not block {change.ref}; gates that can be overridden: {passable}"
            raise SetpointError(msg)
        if not blocking[name].overridable:
            msg = f"gate {name!r} can't be overridden: {_why_not(blocking[name])}; gates that can be: {passable}"
            raise SetpointError(msg)


def _why_not(gate: GateResult) -> str:
    match gate.verdict:
        case "Pending":
            return "it waits for people"
        case "Error" | "Indeterminate":
            return "it could not decide"
        case _:
            return "what it found is mandatory"


def refuse_acceptance(change: Change, *, accepts: bool) -> None:
    """Raises SetpointError where a failed drill could be accepted and is not, or where there is none to accept."""
    plan = change.spec.reset_plan
    why = f" ({plain(plan.message).rstrip('.')})" if plan.message else ""
    if plan.acceptable and not accepts:
        msg = (
            f"{change.ref} has no way back that was shown to work{why}. Where it is better applied without one: "
            f"--accept-undrilled --reason WHY; the Change and the audit trail keep who said so"
        )
        raise SetpointError(msg)
    if accepts and not plan.acceptable:
        msg = f"--accept-undrilled: there is nothing to accept, {_NOTHING_TO_ACCEPT[plan.drill]}{why}"
        raise SetpointError(msg)


def refuse_blocked(change: Change, overrides: Sequence[str]) -> None:
    """Raises SetpointError where a gate blocks for another reason than a missing approval, and is not overridden.

    What ends that is another subject, on which this approval would not count.
    """
    for gate in change.status.gates:
        passed = gate.gate in overrides or (gate.gate == WAY_BACK and change.spec.reset_plan.acceptable)
        if gate.blocks and gate.verdict != "Pending" and not passed:
            why = f" ({plain(gate.messages[0]).rstrip('.')})" if gate.messages else ""
            remedy = f", or pass the gate with --override {gate.gate} --reason WHY" if gate.overridable else ""
            verdict = "could not decide" if gate.verdict in {"Error", "Indeterminate"} else "blocks it"
            msg = (
                f"{change.ref} is blocked: gate {gate.gate!r} {verdict}{why}; no approval changes that. "
                f"Change the code or the policy{remedy}"
            )
            raise SetpointError(msg)


def new_approval(
    change: Change,
    user: str,
    *,
    verdict: str,
    reason: str,
    overrides: Sequence[str],
    accepts: bool = False,
    proven: bool = False,
) -> JsonObject:
    """The Approval object of a person's word; its subject is the Change's."""
    spec = ApprovalSpec.model_validate(
        {
            "changeRef": {"name": change.metadata.name},
            "subject": change.spec.subject,
            "verdict": verdict,
            "approver": user,
            "reason": reason,
            "overrides": list(overrides),
            "acceptUndrilled": accepts,
            "proven": proven,
        }
    )
    metadata = {"name": approval_name(change.metadata.name, user), "namespace": change.metadata.namespace}
    return {"apiVersion": API_VERSION, "kind": "Approval", "metadata": metadata, "spec": spec.as_json()}


def approval_name(change: str, user: str) -> str:
    """`<change>-<user>-<six random hex digits>`, a valid object name."""
    person = re.sub(r"[^a-z0-9]+", "-", user.lower()).strip("-")[:32].strip("-") or "user"
    suffix = f"-{person}-{secrets.token_hex(3)}"
    return change[: _MAX_NAME - len(suffix)] + suffix


def _entry(change: Change, approval: JsonObject, *, unseen: bool) -> AuditEntry:
    """The row on who said what of which subject, and saw it or not; under the target, so that its trail tells it."""
    target = change.spec.target_ref.within(change.metadata.namespace)
    said, name = ApprovalSpec.model_validate(approval["spec"]), approval["metadata"]["name"]
    return audit_actions.opinion(target, change.metadata.name, change.spec, approval=name, said=said, unseen=unseen)


def _shown(so_far: ChangeApprovals, sight: Sight, *, full: bool) -> list[str]:
    change = so_far.change
    summary = change.spec.summary
    return [
        field("Change", f"{change.metadata.name}: {summary.text} ({change.spec.cause})"),
        field("Target", f"{change.spec.target_ref.kind.lower()}/{change.spec.target_ref.name}"),
        field("Subject", change.spec.subject),
        *action_section(sight, summary, summary.actions, cause=change.spec.cause, full=full),
        *section("Way back", way_back_lines(change.spec.reset_plan, change.status.undrilled_accepted_by)),
        *section("Gates", gate_lines(change.status.gates)),
        *section("Review", review_lines(change.status.review)),
        *section("Warnings", map(plain, change.status.warnings)),
        *section("Notes", map(plain, change.spec.notes)),
        *section("Approvals", so_far.lines()),
    ]


async def _outcome(invocation: Invocation, home: Home, before: ChangeApprovals, created: JsonObject) -> list[str]:
    """The lines on what was said, how many have said so by now, and what follows."""
    change, spec = before.change, created["spec"]
    said = f"{change.ref} {spec['verdict'].lower()} by {plain(spec['approver'])} ({created['metadata']['name']})"
    if spec["verdict"] == "Rejected":
        going = "It is being carried out, and goes back as far as it can."
        return [said, going] if change.status.outcome == "Applying" else [said]
    now = before.with_word_of(spec["approver"])
    if now.missing:
        return [said, f"{now.count()}."]
    if now.suspended:
        target = f"{change.spec.target_ref.kind.lower()}/{change.spec.target_ref.name}"
        resume = invocation.command("resume", target, *in_namespace(change.ref))
        return [said, f"{now.count()}.", f"{target} is suspended: nothing is carried out until {resume}"]
    return [said, f"{now.count()}.", invocation.how_it_goes_on("carries it out", await home.manager())]
