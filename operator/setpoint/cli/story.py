"""Owns the parts of an object's story for people: actions, way back, gates, conditions, events. Returns lines."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from setpoint.cli.table import age, human_duration, plain, render

if TYPE_CHECKING:
    from setpoint.api.meta import Condition
    from setpoint.api.v1alpha1.change import ActionSummary, GateResult, ResetAction, ResetPlanSummary, ReviewStatus
    from setpoint.runtime.recorder import EventRecord

_LABEL = 14
_SYMBOLS = {"create": "+", "update": "~", "delete": "-", "replace": "-/+", "forget": "forget", "import": "import"}
_REVERSIBILITY = {
    "Reversible": "can be undone",
    "ReversibleNewId": "can be undone, with a new id",
    "DataLoss": "can NOT be undone: data is lost",
    "NotRestorable": "can NOT be undone by configuration",
}
_DRILL = {
    "Passed": "drilled: it plans today",
    "Failed": "the drill FAILED: nothing is applied",
    "NotDrillable": "nothing was applied yet, so there was nothing to drill",
    "NotDrilled": "was NOT drilled: a person must approve",
}


def field(label: str, value: Any) -> str:
    """One labelled line, as in kubectl describe."""
    return f"{label + ':':<{_LABEL}} {plain(value)}".rstrip()


def section(title: str, lines: Iterable[str]) -> list[str]:
    """A titled block, indented; nothing where there are no lines."""
    indented = [f"  {line}" for line in lines]
    return [f"{title}:", *indented] if indented else []


def tree(value: Any) -> list[str]:
    """A JSON value as an indented outline, without what is empty."""
    if isinstance(value, Mapping):
        branches = (_branch(key, item) for key, item in value.items() if not _is_empty(item))
        return list(itertools.chain.from_iterable(branches))
    if isinstance(value, list):
        return list(itertools.chain.from_iterable(map(_item, value)))
    return [plain(value)]


def _is_empty(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value in (None, "", [])


def _branch(key: str, value: Any) -> list[str]:
    if isinstance(value, Mapping | list):
        return [f"{plain(key)}:", *(f"  {line}" for line in tree(value))]
    return [f"{plain(key)}: {_shorten(plain(value))}"]


def _item(value: Any) -> list[str]:
    first, *rest = tree(value) or ["{}"]
    return [f"- {first}", *(f"  {line}" for line in rest)]


def _shorten(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def action_lines(actions: Sequence[ActionSummary], *, total: int | None = None) -> list[str]:
    """Tells what happens to each resource; says how many more there are than shown."""
    lines = [_action(action) for action in actions]
    more = (total or 0) - len(actions)
    return [*lines, f"... and {more} more"] if more > 0 else lines


def _action(action: ActionSummary) -> str:
    paths = f" ({', '.join(map(plain, action.paths))})" if action.paths else ""
    return f"{_SYMBOLS.get(action.action, action.action):<3} {_object(action)}{paths}"


def _object(action: ActionSummary | ResetAction) -> str:
    """The address, and for an object that an interrupted replacement left that it is one."""
    left = f"  (the deposed object {plain(action.deposed)}, which an interrupted replacement left)"
    return plain(action.address) + (left if action.deposed else "")


def way_back_lines(reset_plan: ResetPlanSummary, accepted_by: Sequence[str] = ()) -> list[str]:
    """Says whether there is a way back, what it costs, and who accepted that it is not drilled."""
    drill = _DRILL[reset_plan.drill]
    if accepted_by:
        drill = f"the drill FAILED, which was accepted by {', '.join(map(plain, accepted_by))}"
    elif reset_plan.acceptable:
        drill += ", unless a person accepts that: approve with --accept-undrilled"
    lines = [_REVERSIBILITY[reset_plan.worst], drill]
    if reset_plan.message:
        lines.append(plain(reset_plan.message))
    return lines + [
        _step_back(action)
        for action in reset_plan.actions
        if action.reversibility != "Reversible" or action.classed_by is not None
    ]


def review_lines(review: ReviewStatus | None) -> list[str]:
    """Says where people look at a Change outside of Setpoint, and who turned it down there; nothing where none do."""
    if review is None:
        return []
    ended = "" if review.shown else " (no longer shown)"
    where = [f"{plain(review.url)}{ended}"] if review.url else ["not shown yet"]
    if review.declined_by is not None:
        where.append(f"declined by {plain(review.declined_by)}: {plain(review.why)}")
    return where


def _step_back(action: ResetAction) -> str:
    note = f": {plain(action.note)}" if action.note else ""
    by = f" (spec.protection.reversibility: {plain(action.classed_by)})" if action.classed_by else ""
    return f"{_object(action)} {_REVERSIBILITY[action.reversibility]}{note}{by}"


def gate_lines(gates: Sequence[GateResult]) -> list[str]:
    """The verdict of each gate, and why."""
    lines = []
    for gate in gates:
        blocks = ", blocks" if gate.blocks else ""
        lines.append(f"{plain(gate.gate)} ({gate.stage}): {gate.verdict}{blocks}")
        lines += [f"  {plain(message)}" for message in gate.messages]
    return lines


def condition_lines(conditions: Sequence[Condition], now: dt.datetime) -> list[str]:
    """The conditions as a table."""
    rows = [
        (each.type, each.status, each.reason, age(each.last_transition_time, now), each.message) for each in conditions
    ]
    return render(("TYPE", "STATUS", "REASON", "AGE", "MESSAGE"), rows).splitlines() if rows else []


def event_lines(events: Sequence[EventRecord], now: dt.datetime) -> list[str]:
    """The events as a table, oldest first."""
    rows = [(each.type, each.reason, _event_age(each, now), each.message) for each in events]
    return render(("TYPE", "REASON", "AGE", "MESSAGE"), rows).splitlines() if rows else []


def _event_age(event: EventRecord, now: dt.datetime) -> str:
    last = human_duration(now - event.last_seen)
    return f"{last} (x{event.count} over {human_duration(now - event.first_seen)})" if event.count > 1 else last
