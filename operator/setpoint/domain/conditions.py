"""Owns how condition lists change (Kubernetes API conventions, kstatus). Pure: time and generation come in.

A list holds each type once, Ready first and the others by name, so that equal statements give equal status.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import Condition
from setpoint.api.model import format_time
from setpoint.domain.visible import visible

MAX_MESSAGE = 1024
"""Characters; a status is a summary, and what is longer is in the store or the log."""

Conditions = tuple[Condition, ...]


def set_condition(
    conditions: Sequence[Condition],
    type_: ConditionType,
    status: Literal["True", "False", "Unknown"],
    reason: Reason,
    message: str,
    generation: int,
    now: dt.datetime,
) -> Conditions:
    """The list with one statement added or replaced. The transition time moves only when the status does."""
    known = get_condition(conditions, type_)
    unchanged = known is not None and known.status == status
    stated = Condition(
        type=type_.value,
        status=status,
        reason=reason.value,
        message=_trimmed(message),
        observed_generation=generation,
        last_transition_time=known.last_transition_time if known and unchanged else format_time(now),
    )
    return tuple(sorted((*remove_condition(conditions, type_), stated), key=_position))


def remove_condition(conditions: Sequence[Condition], type_: ConditionType) -> Conditions:
    """The list without the statements of a type."""
    return tuple(condition for condition in conditions if condition.type != type_)


def own_conditions(conditions: Sequence[Condition]) -> Conditions:
    """The statements of our types: what else somebody wrote there would stay for ever, and a list holds 16."""
    return tuple(condition for condition in conditions if condition.type in _TYPES)


_TYPES = frozenset(type_.value for type_ in ConditionType)


def get_condition(conditions: Sequence[Condition], type_: ConditionType) -> Condition | None:
    """The statement of a type, None where there is none."""
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: Sequence[Condition], type_: ConditionType) -> bool:
    """True where a statement of the type is there and holds; Unknown does not."""
    condition = get_condition(conditions, type_)
    return condition is not None and condition.status == "True"


def mark_ready(
    conditions: Sequence[Condition], reason: Reason, message: str, generation: int, now: dt.datetime
) -> Conditions:
    """All is as declared: Ready, and neither Reconciling nor Stalled."""
    rest = remove_condition(remove_condition(conditions, ConditionType.RECONCILING), ConditionType.STALLED)
    return set_condition(rest, ConditionType.READY, "True", reason, message, generation, now)


def mark_stalled(
    conditions: Sequence[Condition], reason: Reason, message: str, generation: int, now: dt.datetime
) -> Conditions:
    """Not ready, and nothing goes on until a person changes something."""
    rest = remove_condition(conditions, ConditionType.RECONCILING)
    rest = set_condition(rest, ConditionType.READY, "False", reason, message, generation, now)
    return set_condition(rest, ConditionType.STALLED, "True", reason, message, generation, now)


def _position(condition: Condition) -> tuple[bool, str]:
    return condition.type != ConditionType.READY, condition.type


def _trimmed(message: str) -> str:
    """At most MAX_MESSAGE characters, and none that moves a terminal's cursor: much of it is quoted from outside."""
    message = visible(message, keep="\t\n")
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 1]}…"
