"""Owns the Change objects of a target: making them, moving their conditions, superseding the old ones."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TypedDict, Unpack

from pydantic.alias_generators import to_camel

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import API_VERSION, Condition, JsonObject, ObjectRef
from setpoint.api.target import Target, TargetReference, member_name
from setpoint.api.v1alpha1.approval import Approval
from setpoint.api.v1alpha1.change import (
    Change,
    ChangeOutcome,
    ChangeSpec,
    ContentStatus,
    GateResult,
    ResetPlanSummary,
    ReviewStatus,
)
from setpoint.domain import audit_actions, model
from setpoint.domain.approvals import count_approvals
from setpoint.domain.audit import AuditEntry
from setpoint.domain.conditions import is_true, own_conditions, set_condition
from setpoint.domain.errors import AlreadyExistsError, ConflictError, InvalidError, NotFoundError, StalledError
from setpoint.domain.reading import parse
from setpoint.pipeline.draft import Status
from setpoint.pipeline.names import TARGET_LABEL, child_name, target_label
from setpoint.pipeline.objects import list_of_target, list_typed, read_all
from setpoint.ports import Clock, ClusterClient
from setpoint.runtime.status import write_status

_CLOSING = (ConditionType.APPLIED, ConditionType.REJECTED, ConditionType.SUPERSEDED)
_MAX_ACTIONS = 50
_MAX_NAME = 1024
_SHOWN_BYTES = 16 << 10
_SHOWN_LINE = 4 << 10
"""Bytes of one line in a status: a long text must not push out what follows it."""

_MAX_LISTED = 50
"""As many objects as a status lists."""


class ChangeFields(TypedDict, total=False):
    """The fields of a Change's status that are set beside its conditions, by their Python names."""

    approved_by: list[str]
    barred: list[str]
    content: ContentStatus | None
    gates: list[GateResult]
    orphans: list[str]
    review: ReviewStatus | None
    run: str
    undrilled_accepted_by: list[str]
    warnings: list[str]


ChangeCondition = tuple[ConditionType, Status, Reason, str]
"""Type, status, reason, message."""


def is_closed(change: Change) -> bool:
    """True once nothing more happens to it: applied (or tried), rejected or superseded."""
    return any(
        condition.type in _CLOSING and (condition.status == "True" or _was_tried(condition))
        for condition in change.status.conditions
    )


def _was_tried(condition: Condition) -> bool:
    """True of an apply that ended. Unknown, it was accepted, and goes on."""
    return condition.type == ConditionType.APPLIED and condition.status != "Unknown"


def describe_change(
    change: model.Change,
    subject: str,
    snapshot: model.Snapshot,
    reset_plan: model.ResetPlan,
    required: int,
    requested_by: str | None = None,
) -> ChangeSpec:
    """The immutable spec of a Change object."""
    return ChangeSpec.model_validate(
        {
            "targetRef": TargetReference.to(change.target),
            "cause": change.cause,
            "digest": change.digest,
            "content": change.kept,
            "subject": subject,
            "summary": change.summary,
            "snapshotRef": snapshot.name,
            "resetPlan": _summarise(reset_plan),
            "base": change.base,
            "configuration": change.configuration,
            member_name(change.target.kind): change.stated,
            "generation": change.generation,
            "approvalsRequired": required,
            "requestedBy": requested_by[:_MAX_NAME] if requested_by else None,
            "orphans": list(change.orphans),
            "notes": list(change.notes),
        }
    )


def _summarise(reset_plan: model.ResetPlan) -> ResetPlanSummary:
    return ResetPlanSummary.model_validate(
        {
            "digest": reset_plan.digest,
            "drill": reset_plan.drill,
            "acceptable": reset_plan.acceptable,
            "worst": reset_plan.worst,
            "actions": list(reset_plan.actions[:_MAX_ACTIONS]),
            "message": reset_plan.message[:1024],
        }
    )


CUT = (
    "void: an earlier version of Setpoint made it, and the API server cut what it says of its target. Where it is "
    "still due, the next pass proposes it anew"
)
"""The words on a Change of which the schema of today keeps too little."""

_FREE = {"content", "generation", "requested_by"}
"""Fields that may differ under one subject: how the content was sealed, when it was planned, and for whom."""


def require_same(change: Change, spec: ChangeSpec) -> None:
    """Raises StalledError unless a Change that was found by name is the one that this pass computed.

    A name holds a part of the subject, and so stands for nothing: what another says is neither approved nor applied.
    """
    found = dict(_comparable(change.spec))
    differing = [name for name, value in _comparable(spec) if name not in _FREE and value != found.get(name)]
    if change.spec.configuration is None and "configuration" in differing:
        differing.remove("configuration")  # an earlier version made it: its subject names the configuration
    if differing:
        fields = ", ".join(f"spec.{to_camel(name)}" for name in differing)
        message = (
            f"there is a Change {change.metadata.name} that is not this one: {fields} differ (its subject is "
            f"{change.spec.subject}, this one's is {spec.subject}). Find out who made it, then delete it"
        )
        raise StalledError(Reason.NAME_TAKEN, message)


def _comparable(spec: ChangeSpec) -> ChangeSpec:
    """Without what says how the drill went in words, and when: the same reset plan is told in other words next time."""
    plan = spec.reset_plan.model_copy(update={"message": "", "drilled_at": None})
    return spec.model_copy(update={"reset_plan": plan})


def show_content(change: model.Change) -> ContentStatus | None:
    """The beginning of what will change, for the status."""
    if change.shown is None:
        return None
    first = change.shown.first(_SHOWN_BYTES, _SHOWN_LINE)
    return ContentStatus(lines=list(first.lines), more=first.more, rest=first.rest, sealed=first.sealed)


def list_orphans(orphans: Iterable[str]) -> list[str]:
    """As many as a status holds; where there are more, the last entry says how many."""
    listed = sorted(set(orphans))
    more = len(listed) - _MAX_LISTED
    if more <= 0:
        return listed
    return [*listed[: _MAX_LISTED - 1], f"and {more + 1} more, which the row of this outcome in the trail names"]


def outcome_of(conditions: Sequence[Condition]) -> ChangeOutcome:
    """The outcome of a Change, in a word."""
    found = {condition.type: condition for condition in conditions}
    applied, gated = found.get(ConditionType.APPLIED), found.get(ConditionType.GATED)
    if applied is not None:
        return _applied_outcome(applied, found.get(ConditionType.VERIFIED))
    if is_true(conditions, ConditionType.REJECTED):
        return "Rejected"
    if is_true(conditions, ConditionType.SUPERSEDED):
        return "Superseded"
    if gated is None or gated.reason == Reason.GATES_PENDING:
        return "Waiting"
    return "Approved" if gated.status == "True" else "Blocked"


def _applied_outcome(applied: Condition, verified: Condition | None) -> ChangeOutcome:
    if applied.status == "Unknown":
        return "Applying"
    if applied.status != "True":
        return "Interrupted" if applied.reason == Reason.INTERRUPTED else "Failed"
    return "NotVerified" if verified is not None and verified.status == "False" else "Applied"


class ChangeRegister:
    """The Changes of targets, in the cluster."""

    def __init__(self, cluster: ClusterClient, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock

    async def get(self, namespace: str, name: str) -> Change | None:
        """One Change by name. Raises StalledError for one that can't be read."""
        try:
            return _read(await self._cluster.get(ObjectRef("Change", namespace, name)))
        except NotFoundError:
            return None

    async def ensure(self, target: Target, spec: ChangeSpec) -> tuple[Change, bool]:
        """The Change of this subject, made where it is not there; (change, whether it is new).

        Whatever else is open for the target is superseded by it. Raises StalledError where another Change has its name.
        """
        namespace = target.metadata.namespace
        name = child_name(target.metadata.name, "", spec.subject)
        known = await self.get(namespace, name)
        if known is not None and known.spec.member is None:
            name = child_name(target.metadata.name, "", spec.subject, beside=True)
            known = await self.get(namespace, name)
        if known is not None:
            require_same(known, spec)
        await self.supersede(target, f"replaced by {name}", keep=name)
        if known is not None:
            return known, False
        try:
            entry = audit_actions.change_created(target.ref, name, spec)
            created = await self._cluster.create(_manifest(target, name, spec), audit=(entry,))
        except AlreadyExistsError:
            created = await self._cluster.get(ObjectRef("Change", namespace, name))
        made = _read(created)
        require_same(made, spec)
        return made, True

    async def confirm(self, change: Change, spec: ChangeSpec) -> None:
        """Reads a Change once more, right before it is carried out.

        Raises StalledError where it is another by now, ConflictError where it is gone: the next pass proposes it anew.
        """
        now = await self.get(change.metadata.namespace, change.metadata.name)
        if now is None:
            message = f"Change {change.metadata.name} was deleted before it could be carried out"
            raise ConflictError(message)
        require_same(now, spec)

    async def open_changes(self, target: Target) -> list[Change]:
        """The Changes of a target that are not closed; one that can't be read is nobody's to carry out."""
        return [change for change in await self.of_target(target) if not is_closed(change)]

    async def of_target(self, target: Target) -> list[Change]:
        """The Changes of a target that can be read."""
        changes, _ = read_all(Change, await list_of_target(self._cluster, "Change", target.ref))
        return changes

    async def rejected_by(self, change: Change) -> tuple[str, ...]:
        """The people who reject a Change, by what they said of this very subject."""
        approvals, _ = await list_typed(self._cluster, Approval, namespace=change.metadata.namespace)
        said = [one for one in approvals if one.spec.change_ref.name == change.metadata.name]
        return count_approvals(said, subject=change.spec.subject, ttl=dt.timedelta(), now=self._clock.now()).rejected_by

    async def supersede(self, target: Target, message: str, *, keep: str = "") -> list[Change]:
        """Closes every open Change of the target but `keep`; returns those, which show their content no more."""
        closed = [change for change in await self.open_changes(target) if change.metadata.name != keep]
        for change in closed:
            taken_back = change.spec.cause == "Destroy" and not target.metadata.deletion_timestamp
            why = "the deletion was taken back" if taken_back else message
            why = CUT if change.spec.member is None else why
            # No decision on it is left, and there may be thousands: the store keeps what it would have done.
            await self.mark(change, (ConditionType.SUPERSEDED, "True", Reason.SUPERSEDED, why), content=None)
        return closed

    async def mark(
        self,
        change: Change,
        *conditions: ChangeCondition,
        dropped: Sequence[ConditionType] = (),
        audit: Sequence[AuditEntry] = (),
        **fields: Unpack[ChangeFields],
    ) -> Change:
        """Moves conditions (type, status, reason, message) and what else is given; returns the Change as it is now."""
        moved = self._with(change, conditions, dropped)
        status = change.status.model_copy(
            update={**fields, "conditions": moved, "outcome": outcome_of(moved)}
            | {"observed_generation": change.metadata.generation}
        )
        await write_status(self._cluster, change.ref, status.as_json(), audit=audit)
        return change.model_copy(update={"status": status})

    def _with(
        self, change: Change, conditions: Iterable[ChangeCondition], dropped: Sequence[ConditionType]
    ) -> list[Condition]:
        current = tuple(one for one in own_conditions(change.status.conditions) if one.type not in dropped)
        now: dt.datetime = self._clock.now()
        for type_, status, reason, message in conditions:
            current = set_condition(current, type_, status, reason, message, change.metadata.generation, now)
        return list(current)


def _read(found: JsonObject) -> Change:
    try:
        return parse(Change, found)
    except InvalidError as error:
        message = f"Change {found['metadata'].get('name')} is of another schema ({error.message}); delete it"
        raise StalledError(Reason.INVALID_SPEC, message) from None


def _manifest(target: Target, name: str, spec: ChangeSpec) -> JsonObject:
    labels = {TARGET_LABEL: target_label(target.ref)}
    metadata = {"name": name, "namespace": target.metadata.namespace, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "Change", "metadata": metadata, "spec": spec.as_json()}


def is_marked(change: Change, type_: ConditionType) -> bool:
    """True where a condition of the Change is True."""
    return is_true(change.status.conditions, type_)
