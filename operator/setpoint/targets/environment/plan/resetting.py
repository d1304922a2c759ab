"""Owns the inverse of a change: the actions back, each with how much of the way it really leads. Pure.

Going back means to apply the configuration of the snapshot to today's state (a restored state file would orphan
resources). So the reset plan of a repaired drift is empty: the configuration was the same before.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from setpoint.api.target import ResourceClass
from setpoint.api.v1alpha1.change import ActionSummary, Cause, ResetAction, Reversibility
from setpoint.targets.environment.plan.expiring import Expiring
from setpoint.targets.environment.plan.resource_types import Judgement, ResourceTypes, resource_type

Verb = Literal["create", "update", "delete", "replace", "none"]

NOTHING: Mapping[str, Expiring] = MappingProxyType({})
_MAX_NOTE = 1024
_LOSSES: Mapping[ResourceClass, tuple[Reversibility, str]] = {
    "Data": ("DataLoss", "its data and its id are lost"),
    "Identity": (
        "NotRestorable",
        "it comes back with another id or secret, to be given to all who know the one of today",
    ),
    "Settings": ("ReversibleNewId", "its id is lost"),
}
"""All that is lost with a resource, by its type's class."""


def plan_reset(
    actions: Sequence[ActionSummary],
    cause: Cause,
    types: ResourceTypes,
    *,
    moved: Collection[str] = (),
    imported: Collection[str] = (),
    expiring: Mapping[str, Expiring] = NOTHING,
) -> tuple[ResetAction, ...]:
    """The actions that undo these, in reverse order, each with its class.

    `moved` and `imported` are addresses that the configuration before does not know (`PlanAnalysis`): going back, it
    would have Terraform destroy what is there. `expiring` are those whose change has data expire.
    """
    back = _WayBack(cause, types, moved, imported, expiring)
    return tuple(map(back.of, reversed(actions)))


@dataclasses.dataclass(frozen=True, slots=True)
class _WayBack:
    """How each action of one Change is undone."""

    cause: Cause
    types: ResourceTypes
    moved: Collection[str]
    imported: Collection[str]
    expiring: Mapping[str, Expiring]

    def of(self, action: ActionSummary) -> ResetAction:
        if action.deposed is not None:
            note = "it was left by an interrupted replacement and is destroyed for good; the object in use stays"
            lost = self._judge(action)
            return _back(
                action, "none", "DataLoss" if lost.resource_class == "Data" else "NotRestorable", note, lost.by
            )
        if action.address in self.imported or action.action == "import":
            note = "going back would destroy what was imported: remove it from the state first"
            return _back(action, "delete", "DataLoss", note)
        if action.action != "replace" and (action.address in self.moved or action.action == "move"):
            return self._lose(action, "replace", "going back destroys it and makes it anew under its old address")
        is_repair = action.cause in {"actionable", "cascade"}
        back = self._undo_repair(action) if is_repair else self._undo(action)
        expiring = self.expiring.get(action.address)
        if expiring is None or back.reversibility == "DataLoss":
            return back
        judged = self._judge(action)
        if judged.by and judged.resource_class == "Settings":
            return back.model_copy(update={"classed_by": judged.by})
        return _expire(back, expiring)

    def _undo_repair(self, action: ActionSummary) -> ResetAction:
        """Drift was repaired: what stood there is gone, and no configuration ever knew it."""
        if action.action == "create":
            return _back(action, "none", "Reversible", "it was deleted outside, and the configuration keeps it")
        if action.action in {"replace", "delete"}:
            verb: Verb = "none" if self.cause == "Drift" else "replace"
            return self._lose(action, verb, "what stands there now is destroyed")
        verb = "none" if self.cause == "Drift" else "update"
        if action.cause == "cascade":
            return _back(action, verb, "Reversible", "it follows from another resource")
        return _back(
            action, verb, "NotRestorable", "what was changed outside is overwritten; the sealed Change keeps it"
        )

    def _undo(self, action: ActionSummary) -> ResetAction:
        if action.action == "create":
            return _back(action, "delete", "Reversible")
        if action.action == "update":
            return _back(action, "update", "Reversible")
        if action.action == "forget":
            note = "going back would make a second one: import the first again instead"
            return _back(action, "create", "NotRestorable", note)
        return self._lose(action, "create" if action.action == "delete" else "replace", "going back makes it anew")

    def _lose(self, action: ActionSummary, verb: Verb, note: str) -> ResetAction:
        judged = self._judge(action)
        reversibility, loss = _LOSSES[judged.resource_class]
        return _back(action, verb, reversibility, f"{note}: {loss}", judged.by)

    def _judge(self, action: ActionSummary) -> Judgement:
        return self.types.judge(resource_type(action.address))


def _expire(back: ResetAction, expiring: Expiring) -> ResetAction:
    """The same action back, where data goes by itself meanwhile or is not kept any more."""
    loss = "has data expire, which does not come back" if expiring.at_once else "keeps less, so that what goes is gone"
    note = f"{', '.join(expiring.paths)} {loss}"
    update = {"reversibility": "DataLoss" if expiring.at_once else "NotRestorable", "note": note[:_MAX_NOTE]}
    return back.model_copy(update=update)


def _back(action: ActionSummary, verb: Verb, reversibility: Reversibility, note: str = "", by: str = "") -> ResetAction:
    return ResetAction(
        address=action.address,
        action=verb,
        reversibility=reversibility,
        note=note,
        classed_by=by or None,
        deposed=action.deposed,
    )
