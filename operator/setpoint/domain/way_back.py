"""Owns the inverse of a change: the actions back, each with how much of the way it really leads. Pure.

Going back means to apply the configuration of the snapshot to today's state (a restored state file would orphan
resources). So the way back of a repaired drift is empty: the configuration was the same before.
"""

from collections.abc import Collection, Sequence
from typing import Literal

from setpoint.api.v1alpha1.change import ActionSummary, Cause, ResetAction, Reversibility
from setpoint.domain.protection import resource_type

Verb = Literal["create", "update", "delete", "replace", "none"]

_HOLDS_DATA = """
    archive backup bigquery bigtable bucket cache cluster cosmosdb database datastore db disk docdb documentdb dynamodb
    ebs efs elasticache elasticsearch filestore filesystem firestore fsx keyspaces kinesis kms mongo mongodb mssql mysql
    namespace neptune opensearch persistent postgresql queue rds redis redshift registry repository s3 secret
    secretsmanager snapshot spanner sql sqs stateful statefulset storage stream topic vault volume
"""
_HOLDS_SETTINGS = "alias association attachment binding grant member permission policies policy rule rules"
_STATEFUL = frozenset(_HOLDS_DATA.split())
"""Words in types whose destruction takes data along that no configuration brings back. Errs towards saying so."""
_SETTINGS = frozenset(_HOLDS_SETTINGS.split())
"""Last words of types that belong to a stateful one and only hold its settings."""


def plan_way_back(
    actions: Sequence[ActionSummary],
    cause: Cause,
    *,
    moved: Collection[str] = (),
    imported: Collection[str] = (),
) -> tuple[ResetAction, ...]:
    """The actions that undo these, in reverse order, each with its class.

    `moved` and `imported` are addresses that the configuration before does not know (`PlanAnalysis`): going back, it
    would have Terraform destroy what is there.
    """
    return tuple(_invert(action, cause, moved, imported) for action in reversed(actions))


def _invert(action: ActionSummary, cause: Cause, moved: Collection[str], imported: Collection[str]) -> ResetAction:
    if action.deposed is not None:
        is_lost = is_stateful(resource_type(action.address))
        note = "it was left by an interrupted replacement and is destroyed for good; the object in use stays"
        return _back(action, "none", "DataLoss" if is_lost else "NotRestorable", note)
    if action.address in imported or action.action == "import":
        note = "going back would destroy what was imported: remove it from the state first"
        return _back(action, "delete", "DataLoss", note)
    if action.action != "replace" and (action.address in moved or action.action == "move"):
        return _lose(action, "replace", "going back destroys it and makes it anew under its old address")
    return _undo_repair(action, cause) if action.cause in {"actionable", "cascade"} else _undo(action)


def _undo_repair(action: ActionSummary, cause: Cause) -> ResetAction:
    """Drift was repaired: what stood there is gone, and no configuration ever knew it."""
    if action.action == "create":
        return _back(action, "none", "Reversible", "it was deleted outside, and the configuration keeps it")
    if action.action in {"replace", "delete"}:
        return _lose(action, "none" if cause == "Drift" else "replace", "what stands there now is destroyed")
    verb: Verb = "none" if cause == "Drift" else "update"
    if action.cause == "cascade":
        return _back(action, verb, "Reversible", "it follows from another resource")
    return _back(action, verb, "NotRestorable", "what was changed outside is overwritten; the sealed Change keeps it")


def _undo(action: ActionSummary) -> ResetAction:
    if action.action == "create":
        return _back(action, "delete", "Reversible")
    if action.action == "update":
        return _back(action, "update", "Reversible")
    if action.action == "forget":
        return _back(
            action, "create", "NotRestorable", "going back would make a second one: import the first again instead"
        )
    return _lose(action, "create" if action.action == "delete" else "replace", "going back makes it anew")


def _lose(action: ActionSummary, verb: Verb, note: str) -> ResetAction:
    if is_stateful(resource_type(action.address)):
        return _back(action, verb, "DataLoss", f"{note}: its data and its id are lost")
    return _back(action, verb, "ReversibleNewId", f"{note}: its id is lost")


def is_stateful(type_: str) -> bool:
    """Whether resources of a type hold data of their own."""
    words = type_.split("_")
    singular = {word.removesuffix("s") for word in words}
    return words[-1] not in _SETTINGS and ("file_system" in type_ or not _STATEFUL.isdisjoint({*words, *singular}))


def _back(action: ActionSummary, verb: Verb, reversibility: Reversibility, note: str = "") -> ResetAction:
    return ResetAction(
        address=action.address, action=verb, reversibility=reversibility, note=note, deposed=action.deposed
    )
