"""Owns the status that a pass is writing: a draft that steps add to and one exit stores. Pure; time comes in."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

from setpoint.api.conditions import REASON_MEANING, ConditionType, Reason
from setpoint.api.meta import Condition
from setpoint.api.model import format_time
from setpoint.api.target import AppliedStatus, DriftStatus, HoldStatus, Target, TargetStatus
from setpoint.domain.conditions import get_condition, own_conditions, remove_condition, set_condition
from setpoint.domain.drift_policy import DriftVerdict, drift_condition
from setpoint.domain.findings import Finding, count_classes, drifted_names

Status = Literal["True", "False", "Unknown"]
NoticeType = Literal["Normal", "Warning"]
_ALARMING = {ConditionType.DRIFTED, ConditionType.HELD, ConditionType.STALLED}
_NOTICED = (
    ConditionType.READY,
    ConditionType.DRIFTED,
    ConditionType.RESET_READY,
    ConditionType.VERIFIED,
    ConditionType.HELD,
)
_MAX_ADDRESSES = 20
_MAX_WARNINGS = 20
_MAX_WARNING = 1024


class StatusFields(TypedDict, total=False):
    """The fields of a status that steps set, by their Python names."""

    applied: AppliedStatus | None
    applying: AppliedStatus | None
    attempts: int
    change: str | None
    drift: DriftStatus
    failures: int
    handled_reconcile: str | None
    hold: HoldStatus | None
    not_converging: list[str]
    observed_generation: int
    orphans: list[str]
    snapshot: str | None
    warnings: list[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell people: becomes an event."""

    type: NoticeType
    reason: Reason
    message: str


class StatusDraft:
    """A target's status in the making, and what people should hear of it."""

    def __init__(self, target: Target, now: dt.datetime) -> None:
        self._before = target.status
        self._generation = target.metadata.generation
        self._now = now
        self._conditions = own_conditions(target.status.conditions)
        self._fields: StatusFields = {"observed_generation": self._generation}
        self._shown: dict[str, Any] = {}
        self._notices: list[Notice] = []

    @property
    def status(self) -> TargetStatus:
        """The status as drafted so far."""
        return self._before.model_copy(update={**self._shown, **self._fields, "conditions": list(self._conditions)})

    @property
    def now(self) -> dt.datetime:
        """The instant of the pass."""
        return self._now

    @property
    def now_text(self) -> str:
        """The instant of the pass, as it is written into a status."""
        return format_time(self._now)

    def set(self, **fields: Unpack[StatusFields]) -> None:
        """Sets fields of the status."""
        self._fields |= fields

    def show(self, shown: Mapping[str, Any]) -> None:
        """Sets fields that are the kind's own."""
        self._shown |= shown

    def condition(self, type_: ConditionType, status: Status, reason: Reason, message: str = "") -> None:
        """States something; the transition time moves only when the status does."""
        self._conditions = set_condition(self._conditions, type_, status, reason, message, self._generation, self._now)

    def drift(self, findings: Sequence[Finding], verdict: DriftVerdict) -> None:
        """States what differs, by class: Drifted is about actionable drift, and about any that violates a policy."""
        names = drifted_names(findings)
        since = (self._before.drift.since or self.now_text) if names else None
        counts, violations = dataclasses.asdict(count_classes(findings)), len(verdict.violations)
        self.set(drift=DriftStatus(**counts, addresses=names[:_MAX_ADDRESSES], since=since, violations=violations))
        status, reason, message = drift_condition(verdict, names)
        known = self.get(ConditionType.DRIFTED)
        if violations and known and known.reason == Reason.POLICY_VIOLATED and known.message != message:
            self.notice(Reason.POLICY_VIOLATED, message, "Warning")
        self.condition(ConditionType.DRIFTED, status, reason, message)

    def drop(self, *types: ConditionType) -> None:
        """Takes statements back."""
        for type_ in types:
            self._conditions = remove_condition(self._conditions, type_)

    def ready(self, status: Status, reason: Reason, message: str = "") -> None:
        """States Ready, and takes back what only holds while working or stuck (kstatus)."""
        self.drop(ConditionType.RECONCILING, ConditionType.STALLED)
        self.condition(ConditionType.READY, status, reason, message)

    def get(self, type_: ConditionType) -> Condition | None:
        """A condition as drafted so far."""
        return get_condition(self._conditions, type_)

    def notice(self, reason: Reason, message: str, type_: NoticeType = "Normal") -> None:
        """Adds something that people should hear of, whatever the conditions say."""
        self._notices.append(Notice(type_, reason, message))

    def warn(self, warnings: Sequence[str]) -> None:
        """Shows what an observation warns of, and tells of what is new."""
        shown = [one[:_MAX_WARNING] for one in warnings[:_MAX_WARNINGS]]
        for one in shown:
            if one not in self.status.warnings:
                self.notice(Reason.WARNED, one, "Warning")
        self.set(warnings=shown)

    def warnings_of(self, violations: Sequence[str]) -> list[str]:
        """Warnings for whoever decides on a Change: an apply takes what it does not put back into the state."""
        return [*violations, *self.status.warnings][:_MAX_WARNINGS]

    def notices(self) -> Iterator[Notice]:
        """The notices that were told, then the changes since the pass began that people should hear of."""
        yield from self._notices
        for type_ in _NOTICED:
            before, after = get_condition(tuple(self._before.conditions), type_), self.get(type_)
            if after is None or (before and (before.status, before.reason) == (after.status, after.reason)):
                continue
            if before is None and type_ is not ConditionType.READY and not _is_bad(type_, after):
                continue
            reason = Reason(after.reason)
            message = after.message or REASON_MEANING[reason]
            yield Notice("Warning" if _is_bad(type_, after) else "Normal", reason, message)


def _is_bad(type_: ConditionType, condition: Condition) -> bool:
    if type_ in _ALARMING:
        return condition.status != "False"
    return condition.status == "False" and condition.reason not in {Reason.APPROVAL_REQUIRED, Reason.SUSPENDED}
