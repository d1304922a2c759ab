"""Owns holds: a target is kept as it is after a reset, and after an apply that did not verify; and what ends that."""

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import API_VERSION, JsonObject, ObjectRef
from setpoint.api.target import HoldStatus, Target, TargetReference
from setpoint.api.v1alpha1.change import Change
from setpoint.api.v1alpha1.reset import Reset
from setpoint.domain.errors import AlreadyExistsError, InvalidError, StalledError
from setpoint.domain.goals import GoalKind
from setpoint.domain.model import Snapshot
from setpoint.domain.reading import parse
from setpoint.pipeline.draft import StatusDraft
from setpoint.pipeline.names import TARGET_LABEL, child_name, target_label
from setpoint.pipeline.passes import Applied, Pass
from setpoint.ports import ClusterClient


def draft_held(target: Target, draft: StatusDraft) -> None:
    """States that the target is held, as its status says."""
    hold = target.status.hold
    draft.ready("False", Reason.HELD, _held_message(target, hold.snapshot if hold else None))


def release_hold(work: Pass) -> None:
    """Ends a hold where the pass goes to the spec again."""
    if work.goal.kind is GoalKind.SPEC and work.target.status.hold is not None:
        work.draft.set(hold=None)
        work.draft.condition(ConditionType.HELD, "False", Reason.RESUMED)


def hold_at_snapshot(work: Pass) -> None:
    """Ends a reset: the target stays at its snapshot."""
    reset, snapshot = work.goal.reset, work.goal.snapshot
    if reset is None or snapshot is None:
        return
    name = snapshot.metadata.name
    _draft_hold(work, Reason.RESET_HOLD, snapshot=name)
    work.draft.ready("False", Reason.HELD, _held_message(work.target, name))
    work.draft.notice(Reason.RESET_COMPLETE, f"reset to {name}")
    work.ending.completed = reset
    work.ending.done = True


def hold_rejected(work: Pass) -> None:
    """Holds where people reject what is being applied: once it went back, nothing may begin it anew without them.

    Before it does, so that the hold is stored with the intent to go back, whoever is killed then.
    """
    if work.goal.rejected and work.goal.began is GoalKind.SPEC:
        _draft_hold(work, Reason.REJECTED, snapshot=None)


def release_rejected(work: Pass) -> None:
    """Ends that hold where it could not go back: what people rejected is there."""
    hold = work.draft.status.hold
    if work.goal.rejected and hold is not None and hold.reason == Reason.REJECTED:
        work.draft.set(hold=None)
        work.draft.condition(ConditionType.HELD, "False", Reason.RESUMED)


async def hold_unverified(work: Pass, applied: Applied, cluster: ClusterClient) -> None:
    """Holds after a Change that did not verify: it is not applied again; a way back is asked for as the spec says.

    Where nothing was applied before, the way back would be to destroy everything: that is a person's to ask for.
    The target is observed again as it is, and at its setpoint once it verifies.
    """
    snapshot = applied.snapshot
    if snapshot is None or snapshot.configuration is None:
        return
    _draft_hold(work, Reason.VERIFY_HOLD, snapshot=None)
    policy = work.target.spec.reset.on_verify_failure
    if policy == "Never" or work.goal.aim is not GoalKind.SPEC or work.goal.back:
        return
    metadata = work.target.metadata
    name = child_name(metadata.name, "reset", applied.spec.subject)
    wanted = _reset_manifest(work.target, applied.record, snapshot, name, automatic=policy == "Auto")
    try:
        await cluster.create(wanted)
    except AlreadyExistsError:
        _require_same_reset(await cluster.get(ObjectRef("Reset", metadata.namespace, name)), wanted)
    work.draft.notice(Reason.RESET_REQUESTED, f"Reset {name} to {snapshot.name} was asked for by policy", "Warning")


def _draft_hold(work: Pass, reason: Reason, *, snapshot: str | None) -> None:
    generation = work.target.metadata.generation
    work.draft.set(hold=HoldStatus(reason=reason, since=work.draft.now_text, generation=generation, snapshot=snapshot))
    message = "nothing is applied until the spec changes or a person resumes"
    work.draft.condition(ConditionType.HELD, "True", reason, message)


def _held_message(target: Target, snapshot: str | None) -> str:
    """The reason why nothing is applied, and what ends that."""
    hold = target.status.hold
    rejected = hold is not None and hold.reason == Reason.REJECTED
    did = "an apply was rejected while it went on" if rejected else "an apply did not verify"
    why = f"held at {snapshot} after a reset" if snapshot else f"held: {did}"
    metadata = target.metadata
    space = "" if metadata.namespace == "default" else f" -n {metadata.namespace}"
    return f"{why}; change the spec or run setpoint resume {target.kind.lower()}/{metadata.name}{space}"


def _reset_manifest(target: Target, change: Change, snapshot: Snapshot, name: str, *, automatic: bool) -> JsonObject:
    spec = {
        "targetRef": TargetReference.to(target.ref).as_json(),
        "snapshotRef": {"name": snapshot.name, "digest": snapshot.digest},
        "reason": f"{change.metadata.name} did not verify",
        "requestedBy": "policy",
        "automatic": automatic,
    }
    labels = {TARGET_LABEL: target_label(target.ref)}
    metadata = {"name": name, "namespace": target.metadata.namespace, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "Reset", "metadata": metadata, "spec": spec}


def _require_same_reset(found: JsonObject, wanted: JsonObject) -> None:
    """Raises StalledError where the Reset of that name asks for something else."""
    try:
        same = parse(Reset, found).spec == parse(Reset, wanted).spec
    except InvalidError:
        same = False
    if not same:
        message = (
            f"there is a Reset {found['metadata']['name']} that asks for something else than policy does. Find out who "
            "made it, then delete it"
        )
        raise StalledError(Reason.NAME_TAKEN, message)
