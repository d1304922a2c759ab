"""Owns the status that a pass is writing: a draft that steps add to and one exit stores. Pure; time comes in."""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import Any, Literal

from setpoint.api.conditions import REASON_MEANING, ConditionType, Reason
from setpoint.api.meta import Condition
from setpoint.api.model import format_time
from setpoint.api.v1alpha1.environment import Environment, EnvironmentStatus
from setpoint.domain.conditions import get_condition, own_conditions, remove_condition, set_condition

Status = Literal["True", "False", "Unknown"]
_ALARMING = {ConditionType.DRIFTED, ConditionType.HELD, ConditionType.STALLED}
_TOLD = (
    ConditionType.READY,
    ConditionType.DRIFTED,
    ConditionType.RESET_READY,
    ConditionType.VERIFIED,
    ConditionType.HELD,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell people: becomes an event."""

    type: Literal["Normal", "Warning"]
    reason: Reason
    message: str


class StatusDraft:
    """An Environment's status in the making."""

    def __init__(self, environment: Environment, now: dt.datetime) -> None:
        self._before = environment.status
        self._generation = environment.metadata.generation
        self._now = now
        self._conditions = own_conditions(environment.status.conditions)
        self._fields: dict[str, Any] = {"observed_generation": self._generation}

    @property
    def status(self) -> EnvironmentStatus:
        """The status as drafted so far."""
        return self._before.model_copy(update={**self._fields, "conditions": list(self._conditions)})

    @property
    def now_text(self) -> str:
        """The instant of the pass, as it is written into a status."""
        return format_time(self._now)

    def set(self, **fields: Any) -> None:
        """Sets status fields, by their Python names."""
        self._fields |= fields

    def condition(self, type_: ConditionType, status: Status, reason: Reason, message: str = "") -> None:
        """States something; the transition time moves only when the status does."""
        self._conditions = set_condition(self._conditions, type_, status, reason, message, self._generation, self._now)

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

    def notices(self) -> Iterator[Notice]:
        """Changes since the pass began that people should hear of; nothing where there are none."""
        for type_ in _TOLD:
            before, after = get_condition(tuple(self._before.conditions), type_), self.get(type_)
            if after is None or (before and (before.status, before.reason) == (after.status, after.reason)):
                continue
            if before is None and not _is_news(type_, after):
                continue
            reason = Reason(after.reason)
            message = after.message or REASON_MEANING[reason]
            yield Notice("Warning" if _is_bad(type_, after) else "Normal", reason, message)


def _is_bad(type_: ConditionType, condition: Condition) -> bool:
    if type_ in _ALARMING:
        return condition.status != "False"
    return condition.status == "False" and condition.reason not in {Reason.APPROVAL_REQUIRED, Reason.SUSPENDED}


def _is_news(type_: ConditionType, condition: Condition) -> bool:
    return type_ is ConditionType.READY or _is_bad(type_, condition)
