"""Owns gathering the gates that guard a Change, and the policies that they ask. Whatever can't be read blocks."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from setpoint.api.meta import MANIFEST_ERROR_ANNOTATION, REQUESTED_BY_ANNOTATION
from setpoint.api.target import Target
from setpoint.api.v1alpha1.change import Cause
from setpoint.api.v1alpha1.enforcementgates import EnforcementGates, GateStage
from setpoint.api.v1alpha1.policyset import PolicySet
from setpoint.domain.approvals import find_requester, required_approvals
from setpoint.domain.errors import SetpointError
from setpoint.domain.findings import DriftClass, Finding
from setpoint.domain.gates import (
    STAGES,
    SelectedGate,
    approvals_asked,
    gates_digest,
    needs_four_eyes,
    select_gates,
    stages_of,
)
from setpoint.domain.goals import Goal
from setpoint.domain.model import Change, ResetPlan, Snapshot
from setpoint.domain.policies import PolicyModules, Unread
from setpoint.domain.subject import Subject, rules_digest
from setpoint.pipeline.objects import list_typed
from setpoint.ports import ClusterClient, PolicyResolver


@dataclasses.dataclass(frozen=True, slots=True)
class GateContext:
    """The gates of a Change and the policies that they ask.

    `modules` maps the name of a PolicySet to its content, `problems` to why it can't be asked. `faults` says which
    EnforcementGates could not be read.
    """

    target: Target
    gates: Mapping[GateStage, tuple[SelectedGate, ...]]
    modules: Mapping[str, PolicyModules]
    problems: Mapping[str, str]
    faults: tuple[str, ...]
    distant: bool = False

    def approve_command(self, change: str) -> str:
        """The command that a person types to approve the Change of that name."""
        namespace = self.target.metadata.namespace
        words = ["setpoint", "approve", change]
        words += ["-n", namespace] if namespace != "default" else []
        return " ".join([*words, "--context", "NAME"] if self.distant else words)

    def over(self, cause: Cause) -> "GateContext":
        """The same for a Change of this cause: the gates of the stages that it will pass, and what these ask."""
        gates = {stage: self.gates[stage] for stage in stages_of(cause)}
        names = _policy_sets(gates)
        modules = {name: found for name, found in self.modules.items() if name in names}
        return dataclasses.replace(self, gates=gates, modules=modules)

    def subject(self, change: Change, snapshot: Snapshot, reset_plan: ResetPlan, *, required: int) -> str:
        """The digest that an approval of this Change names."""
        spec = self.target.spec
        subject = Subject(
            target=change.target.key,
            cause=change.cause,
            content=change.digest,
            summary=change.summary,
            orphans=change.orphans,
            snapshot=snapshot.digest,
            reset_plan=reset_plan.digest,
            policies={name: modules.digest for name, modules in self.modules.items()},
            gates=gates_digest(self.all()),
            rules=rules_digest(spec.protection, spec.approvals, required),
            named=change.named,
            attempt=self.target.status.attempts,
            deletion=self.target.metadata.deletion_timestamp if change.cause == "Destroy" else None,
            notes=change.notes,
        )
        return subject.digest

    def required_approvals(
        self, change: Change, goal: Goal, findings: Sequence[Finding], *, undrilled: bool = False
    ) -> int:
        """How many people must approve it."""
        spec = self.target.spec
        drifted = any(f.drift_class is DriftClass.ACTIONABLE and not f.ignored for f in findings)
        return required_approvals(
            cause=change.cause,
            apply_mode=spec.apply.mode,
            drift_mode=spec.drift.mode,
            written=spec.approvals.required,
            asked=approvals_asked(self.all(), change.cause),
            automatic_reset=goal.reset is not None and goal.reset.spec.automatic,
            mixed=drifted and change.cause == "SpecChanged",
            uncertain=bool(change.orphans) or undrilled,
        )

    def requester(self, change: Change, goal: Goal) -> str | None:
        """The requester of the Change, None where that is not known."""
        stamped = self.target.metadata.annotations.get(REQUESTED_BY_ANNOTATION, "")
        return find_requester(
            change.cause, stamped=stamped, reset_by=goal.reset.spec.requested_by if goal.reset else ""
        )

    def barred(self, *names: str | None) -> frozenset[str]:
        """The requesters whose approval does not count."""
        return frozenset(filter(None, names)) if needs_four_eyes(self.all()) else frozenset()

    def all(self) -> tuple[SelectedGate, ...]:
        """Every gate once, whatever its stages."""
        return tuple(_by_name(self.gates).values())


class GateReader:
    """Reads gates and policies. `unread` tells of manifests that may govern and are no objects."""

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        policies: PolicyResolver,
        origin_of: Callable[[PolicySet], Path | None],
        unread: Callable[[], Sequence[Unread]] = tuple,
        distant: bool = False,
    ) -> None:
        self._cluster = cluster
        self._policies = policies
        self._origin_of = origin_of
        self._unread = unread
        self._distant = distant

    async def gather(self, target: Target) -> GateContext:
        """The gates that guard a target at every stage, and their policies: read once a pass."""
        objects, unfit = await list_typed(self._cluster, EnforcementGates)
        stage, labels = target.spec.stage, target.metadata.labels
        gates = {
            name: select_gates(objects, stage=name, kind=target.kind, target_stage=stage, labels=labels)
            for name in STAGES
        }
        names = _policy_sets(gates)
        modules, problems = await self._load(names) if names else ({}, {})
        unread = [one.text for one in self._unread() if "EnforcementGates" in one.kinds]
        # One that was read before stays in force beside: what it would say by now is not known.
        faults = dict.fromkeys([*map(str, unfit), *filter(None, map(_manifest_problem, objects)), *unread])
        return GateContext(target, gates, modules, problems, tuple(faults), self._distant)

    async def _load(self, names: set[str]) -> tuple[dict[str, PolicyModules], dict[str, str]]:
        """The content of each set that exists and loads, and why another can't be asked."""
        objects, unfit = await list_typed(self._cluster, PolicySet)
        problems = {one.name: str(one) for one in unfit if one.name in names}
        modules: dict[str, PolicyModules] = {}
        for policy_set in objects:
            name = policy_set.metadata.name
            if name not in names:
                continue
            try:
                modules[name] = await self._policies.resolve(policy_set.spec, origin=self._origin_of(policy_set))
            except SetpointError as error:
                problems[name] = f"PolicySet {name}: {error.message}"
            if problem := _manifest_problem(policy_set):
                problems[name] = f"PolicySet {name}: {problem}"
        for one in self._unread():
            if "PolicySet" in one.kinds:
                meant = {one.name} & names if one.name else names - modules.keys()
                problems |= {name: f"PolicySet {name}: {one.text}" for name in meant}
        return modules, problems


def _policy_sets(gates: Mapping[GateStage, Sequence[SelectedGate]]) -> set[str]:
    """The names of the PolicySets that gates ask."""
    asked = itertools.chain.from_iterable(one.gate.policy_sets for one in _by_name(gates).values())
    return {reference.name for reference in asked}


def _by_name(gates: Mapping[GateStage, Sequence[SelectedGate]]) -> dict[str, SelectedGate]:
    return {one.name: one for one in itertools.chain.from_iterable(gates.values())}


def _manifest_problem(obj: EnforcementGates | PolicySet) -> str:
    """The fault of the manifest of an object that was good before; empty where there is none."""
    return obj.metadata.annotations.get(MANIFEST_ERROR_ANNOTATION, "")
