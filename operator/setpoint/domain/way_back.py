"""Owns the inverse of a change: the actions back, each with how much of the way it really leads. Pure."""

import re
from collections.abc import Sequence

from setpoint.api.v1alpha1.change import ActionSummary, Cause, ResetAction, Reversibility

_STATEFUL = re.compile(
    r"database|_db_|rds|sql|bucket|volume|disk|filesystem|file_system|_efs_|dynamodb|table|queue|topic|kinesis"
    r"|elasticsearch|opensearch|redis|cache_cluster|storage|secret|_kms_|key_vault|registry|backup|snapshot|cosmos"
    r"|persistent|statefulset",
)
"""Types whose destruction takes data along that no configuration brings back. Errs towards saying so."""

_RECREATED = {"delete": "create", "replace": "replace"}
_UNDONE = {"create": "delete", "update": "update"}


def plan_way_back(actions: Sequence[ActionSummary], cause: Cause) -> tuple[ResetAction, ...]:
    """The actions that undo these, in reverse order, each with its class."""
    return tuple(_invert(action, cause) for action in reversed(actions))


def _invert(action: ActionSummary, cause: Cause) -> ResetAction:
    if action.cause == "actionable" and cause == "Drift" and action.action in {"update", "replace"}:
        return _back(action, "none", "NotRestorable", "what was changed outside is overwritten; it stays in the trail")
    if action.action in _RECREATED:
        return _recreate(action, _RECREATED[action.action])
    if action.action == "forget":
        return _back(action, "none", "NotRestorable", "it leaves the state and must be imported again")
    return _back(action, _UNDONE.get(action.action, "none"), "Reversible")


def _recreate(action: ActionSummary, verb: str) -> ResetAction:
    if _STATEFUL.search(action.address.rpartition("module.")[2]):
        return _back(action, verb, "DataLoss", "it comes back empty, under a new id")
    return _back(action, verb, "ReversibleNewId", "it comes back under a new id")


def _back(action: ActionSummary, verb: str, reversibility: Reversibility, note: str = "") -> ResetAction:
    return ResetAction.model_validate(
        {"address": action.address, "action": verb, "reversibility": reversibility, "note": note}
    )
