"""Owns the reset plan of an Environment's Change: what the table of types, its own words and the plan say of it."""

import dataclasses
import functools
from importlib import resources

import yaml

from setpoint.api.target import Protection
from setpoint.api.v1alpha1.change import ResetAction
from setpoint.domain.digests import digest
from setpoint.domain.model import Change, ResetPlan, Snapshot
from setpoint.targets.environment.drills import Drill
from setpoint.targets.environment.plan.analysis import PlanAnalysis
from setpoint.targets.environment.plan.expiring import find_expiring
from setpoint.targets.environment.plan.losses import notes_of_losses
from setpoint.targets.environment.plan.resetting import plan_reset
from setpoint.targets.environment.plan.resource_types import ResourceTypes, read_table
from setpoint.targets.environment.ports import PlanRun

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def reset_actions(
    change: Change, plan: PlanRun, analysis: PlanAnalysis | None, protection: Protection
) -> tuple[ResetAction, ...]:
    """The actions that undo a Change, with what is lost as the Environment and the table say."""
    types = dataclasses.replace(known_types(), words=protection.reversibility)
    moved, imported = (analysis.moved, analysis.imported) if analysis else ((), ())
    expiring = find_expiring(plan.document or {}, change, types)
    return plan_reset(change.actions, change.cause, types, moved=moved, imported=imported, expiring=expiring)


def lost_before(analysis: PlanAnalysis, protection: Protection) -> tuple[str, ...]:
    """Notes on the data that is gone already: it was deleted outside, and is made anew without."""
    types = dataclasses.replace(known_types(), words=protection.reversibility)
    return notes_of_losses(analysis.lost, lambda type_: types.judge(type_).resource_class == "Data")


def reset_plan(snapshot: Snapshot, actions: tuple[ResetAction, ...], drill: Drill) -> ResetPlan:
    """The reset plan, named by all that a decision over it rests on."""
    identity: dict[str, object] = {
        "snapshot": snapshot.digest,
        "actions": [action.as_json() for action in actions],
        "drill": drill.result,
    }
    named = digest(identity | ({"acceptable": True} if drill.acceptable else {}))
    return ResetPlan(named, actions, drill.result, drill.message, drill.acceptable)


@functools.cache
def known_types() -> ResourceTypes:
    """The table that comes with Setpoint."""
    text = resources.files("setpoint").joinpath("resource_types.yaml").read_text(encoding="utf-8")
    return read_table(yaml.load(text, Loader=_LOADER))  # noqa: S506 a safe loader, in C where there is one
