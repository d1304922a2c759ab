"""Owns asking the gates: which guard a Change, what their policies say, who approved. domain.gating decides."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from setpoint.api.meta import MANIFEST_ERROR_ANNOTATION, REQUESTED_BY_ANNOTATION, ObjectRef
from setpoint.api.v1alpha1.approval import Approval
from setpoint.api.v1alpha1.change import Cause, ChangeSpec
from setpoint.api.v1alpha1.change import Change as ChangeObject
from setpoint.api.v1alpha1.enforcementgates import EnforcementGates, GateStage, PolicySetReference
from setpoint.api.v1alpha1.environment import Environment
from setpoint.api.v1alpha1.policyset import PolicySet
from setpoint.domain import gating
from setpoint.domain.approvals import ApprovalTally, count_approvals, find_requester, required_approvals
from setpoint.domain.audit import AuditRow
from setpoint.domain.drift_policy import DRIFT_STAGE, DriftVerdict, caused_by_drift, drift_verdict
from setpoint.domain.errors import SetpointError
from setpoint.domain.findings import DriftClass, Finding
from setpoint.domain.gates import (
    SelectedGate,
    approvals_asked,
    gates_digest,
    needs_four_eyes,
    pin_problem,
    select_gates,
    stages_of,
)
from setpoint.domain.gating import GateDecision, GateInput, Verdict
from setpoint.domain.goals import Goal
from setpoint.domain.judged import NOTHING, Judged, Redact
from setpoint.domain.model import Change, Observation, ResetPlan, Snapshot
from setpoint.domain.policies import PolicyModules, PolicyResult, Unread
from setpoint.domain.policy_input import policy_input
from setpoint.domain.protection import check_protection
from setpoint.domain.reading import text_at
from setpoint.domain.subject import rules_digest, subject_digest
from setpoint.domain.vouching import is_recorded
from setpoint.pipeline.objects import list_typed
from setpoint.pipeline.passes import Guarded, Pass
from setpoint.ports import AuditLog, Clock, ClusterClient, PolicyEngine, PolicyResolver
from setpoint.runtime.metrics import Metrics

_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class GateContext:
    """The gates of a Change and the policies that they ask, read once a pass.

    `modules` maps the name of a PolicySet to its content, `problems` to why it can't be asked. `faults` says which
    EnforcementGates could not be read.
    """

    environment: Environment
    gates: Mapping[GateStage, tuple[SelectedGate, ...]]
    modules: Mapping[str, PolicyModules]
    problems: Mapping[str, str]
    faults: tuple[str, ...]
    distant: bool = False

    def approve_command(self, change: str) -> str:
        """The command that a person types to approve the Change of that name."""
        namespace = self.environment.metadata.namespace
        words = ["setpoint", "approve", change]
        words += ["-n", namespace] if namespace != "default" else []
        return " ".join([*words, "--context", "NAME"] if self.distant else words)

    def subject(
        self, change: Change, snapshot: Snapshot, reset_plan: ResetPlan, *, variables: str, required: int
    ) -> str:
        """The digest that an approval of this Change names; `variables` is the digest of what it is planned with."""
        spec = self.environment.spec
        return subject_digest(
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
            bundle=change.bundle,
            variables=variables,
            state_version=change.state_version,
            attempt=self.environment.status.attempts,
            deletion=self.environment.metadata.deletion_timestamp if change.cause == "Destroy" else None,
            notes=change.notes,
        )

    def required_approvals(
        self, change: Change, goal: Goal, findings: Sequence[Finding], *, undrilled: bool = False
    ) -> int:
        """How many people must approve it."""
        spec = self.environment.spec
        drifted = any(f.drift_class is DriftClass.ACTIONABLE and not f.ignored for f in findings)
        return required_approvals(
            cause=change.cause,
            apply_mode=spec.apply.mode,
            drift_mode=spec.drift.mode,
            written=spec.approvals.required,
            asked=approvals_asked(self.all(), change.cause),
            automatic_reset=goal.reset is not None and goal.reset.spec.automatic,
            orphans=bool(change.orphans),
            mixed=drifted and change.cause == "SpecChanged",
            undrilled=undrilled,
        )

    def requester(self, change: Change, goal: Goal) -> str | None:
        """The requester of the Change, None where that is not known."""
        stamped = self.environment.metadata.annotations.get(REQUESTED_BY_ANNOTATION, "")
        return find_requester(
            change.cause, stamped=stamped, reset_by=goal.reset.spec.requested_by if goal.reset else ""
        )

    def barred(self, *names: str | None) -> frozenset[str]:
        """The requesters whose approval does not count."""
        return frozenset(filter(None, names)) if needs_four_eyes(self.all()) else frozenset()

    def all(self) -> tuple[SelectedGate, ...]:
        """Every gate once, whatever its stages."""
        return tuple({one.name: one for gates in self.gates.values() for one in gates}.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Proposed:
    """A guarded change as people see it, with the gates that guard it.

    `spec` is the Change as this pass computed it: decided on, approved, spent, recorded; `record` is where people see
    it.
    """

    guarded: Guarded
    gates: GateContext
    required: int
    spec: ChangeSpec
    record: ChangeObject


@dataclasses.dataclass(frozen=True, slots=True)
class Gated:
    """A proposed change with the decision of the gates of a stage."""

    proposed: Proposed
    decision: GateDecision

    @property
    def passes(self) -> bool:
        """True where the change may go on."""
        return self.decision.verdict is Verdict.PASS


class Gatekeeper:
    """Asks gates. Whatever can't be asked blocks. `unread` tells of manifests that may govern and are no objects.

    `witness` is the trail that an approval has to be in; None where the API server proves who gave it.
    """

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        engine: PolicyEngine,
        policies: PolicyResolver,
        origin_of: Callable[[PolicySet], Path | None],
        clock: Clock,
        metrics: Metrics,
        witness: AuditLog | None,
        unread: Callable[[], Sequence[Unread]] = tuple,
        distant: bool = False,
        redact: Redact = lambda text, _: text,
    ) -> None:
        self._cluster = cluster
        self._engine = engine
        self._policies = policies
        self._origin_of = origin_of
        self._clock = clock
        self._metrics = metrics
        self._witness = witness
        self._unread = unread
        self._distant = distant
        self._redact = redact

    async def gather(self, environment: Environment, cause: Cause) -> GateContext:
        """The gates that guard a Change of this cause at the stages that it will pass."""
        objects, unfit = await list_typed(self._cluster, EnforcementGates)
        stage, labels = environment.spec.stage, environment.metadata.labels
        gates = {
            name: select_gates(objects, stage=name, target_stage=stage, labels=labels) for name in stages_of(cause)
        }
        names = {ref.name for selected in gates.values() for one in selected for ref in one.gate.policy_sets}
        modules, problems = await self._load(names) if names else ({}, {})
        unread = [one.text for one in self._unread() if "EnforcementGates" in one.kinds]
        # One that was read before stays in force beside: what it would say by now is not known.
        faults = dict.fromkeys([*map(str, unfit), *filter(None, map(_manifest_problem, objects)), *unread])
        return GateContext(environment, gates, modules, problems, tuple(faults), self._distant)

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

    async def decide(self, work: Pass, proposed: Proposed, stage: GateStage) -> GateDecision:
        """The decision over the Change of this pass at a stage."""
        context, change, reset_plan = proposed.gates, proposed.guarded.change, proposed.guarded.reset_plan
        gates = context.gates.get(stage, ())
        judged = proposed.guarded.observed.seen.judged or NOTHING
        documents = [self._document(work, proposed, stage, selected.name, judged.document) for selected in gates]
        asked = (self._ask(context, one, document) for one, document in zip(gates, documents, strict=True))
        answers = [
            _shown(context, one, results, judged, self._redact)
            for one, results in zip(gates, await asyncio.gather(*asked), strict=True)
        ]
        tally, unfit = await self._tally(work, proposed)
        decision = gating.decide(
            GateInput(
                stage=stage,
                change=change,
                subject=proposed.spec.subject,
                reset_plan=reset_plan,
                gates=gates,
                answers={selected.name: answer for selected, answer in zip(gates, answers, strict=True)},
                protection=check_protection(change, work.environment.spec.protection),
                tally=tally,
                required=proposed.required,
                faults=(*context.faults, *unfit),
                requested_by=context.requester(change, work.goal),
                approve=context.approve_command(proposed.record.metadata.name),
            )
        )
        for result in decision.results:
            self._metrics.count_gate_decision(result.gate, result.stage, result.verdict)
        return decision

    async def judge_drift(self, work: Pass, seen: Observation) -> DriftVerdict:
        """The verdict of the policies of the target's gates on what the world changed."""
        judged = seen.judged
        if judged is None or not judged.drifted:
            return DriftVerdict()
        context = await self.gather(work.environment, "Drift")
        answers = await asyncio.gather(*(self._ask_of_drift(work, context, one, judged) for one in context.all()))
        found = {one.name: results for one, results in zip(context.all(), answers, strict=True)}
        return drift_verdict(found, context.faults)

    async def _ask_of_drift(
        self, work: Pass, context: GateContext, selected: SelectedGate, judged: Judged
    ) -> list[PolicyResult]:
        async def ask(plan: Mapping[str, Any]) -> list[PolicyResult]:
            return await self._ask(context, selected, _drift_document(work, selected.name, plan))

        found = await ask(judged.of_drift())
        if any(result.violations for result in found):
            anyway = await ask(judged.without_drift()), await ask(judged.of_nothing())
            found = [caused_by_drift(*results) for results in zip(found, *anyway, strict=True)]
        return _shown(context, selected, found, judged, self._redact)

    async def _ask(
        self, context: GateContext, selected: SelectedGate, document: Mapping[str, Any]
    ) -> list[PolicyResult]:
        """The answer of a gate's sets. They were given the plan with its secrets, so it is not to be shown as it is."""
        return [await self._ask_set(context, selected, one, document) for one in selected.gate.policy_sets]

    async def _ask_set(
        self, context: GateContext, selected: SelectedGate, reference: PolicySetReference, document: Mapping[str, Any]
    ) -> PolicyResult:
        modules = context.modules.get(reference.name)
        problem = context.problems.get(reference.name) or pin_problem(reference, modules.digest if modules else None)
        if problem or modules is None:
            return PolicyResult(error=problem)
        seconds = selected.gate.timeout.total_seconds()
        memory = selected.gate.memory_mib
        return await self._engine.evaluate(modules, document, timeout=seconds, memory_mib=memory)

    def _document(
        self, work: Pass, proposed: Proposed, stage: GateStage, gate: str, plan: Mapping[str, Any]
    ) -> dict[str, Any]:
        change, reset_plan = proposed.guarded.change, proposed.guarded.reset_plan
        return policy_input(
            plan,
            target=_target(work.environment),
            cause=change.cause,
            summary=change.summary,
            gate=gate,
            stage=stage,
            reset_actions=reset_plan.actions,
            worst=reset_plan.worst,
            now=work.draft.now_text,
        )

    async def _tally(self, work: Pass, proposed: Proposed) -> tuple[ApprovalTally, list[str]]:
        """Counts who approved the Change, and names its Approvals that can't be read: one of those may reject it."""
        approvals, unfit = await list_typed(self._cluster, Approval, namespace=work.environment.metadata.namespace)
        name = proposed.record.metadata.name
        given = [one for one in approvals if one.spec.change_ref.name == name]
        tally = count_approvals(
            await self._recorded(work.environment.ref, given),
            subject=proposed.spec.subject,
            ttl=work.environment.spec.approvals.ttl,
            now=self._clock.now(),
            # The requester at the time the Change was made stays barred, should another person edit the spec since.
            barred=proposed.gates.barred(
                proposed.record.spec.requested_by, proposed.gates.requester(proposed.guarded.change, work.goal)
            ),
        )
        return tally, [str(one) for one in unfit if text_at(one.found, "spec", "changeRef", "name") == name]

    async def _recorded(self, target: ObjectRef, given: Sequence[Approval]) -> list[Approval]:
        """Those that count: all where the API server proves who gave them, else those that the trail tells of."""
        if self._witness is None or not given:
            return list(given)
        rows = await _rows_of(self._witness, target)
        counted = [one for one in given if is_recorded(one, rows)]
        for one in given:
            if one not in counted:
                _LOGGER.warning("%s: %s is in no row of the audit trail, so it does not count", target, one.ref)
        return counted


def _drift_document(work: Pass, gate: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    target, now = _target(work.environment), work.draft.now_text
    return policy_input(plan, target=target, cause="Drift", gate=gate, stage=DRIFT_STAGE, now=now)


def _shown(
    context: GateContext,
    selected: SelectedGate,
    results: Sequence[PolicyResult],
    judged: Judged,
    redact: Redact,
) -> list[PolicyResult]:
    """The answers of a gate's sets, without secrets."""
    pairs = zip(selected.gate.policy_sets, results, strict=True)
    policies = [(context.modules.get(reference.name), result) for reference, result in pairs]
    return [judged.show(result, modules.modules.values() if modules else (), redact) for modules, result in policies]


def _target(environment: Environment) -> dict[str, Any]:
    return {
        "kind": environment.kind,
        "namespace": environment.metadata.namespace,
        "name": environment.metadata.name,
        "stage": environment.spec.stage,
        "labels": environment.metadata.labels,
    }


async def _rows_of(trail: AuditLog, target: ObjectRef) -> list[AuditRow]:
    found: list[AuditRow] = []
    while page := await trail.rows(after=found[-1].seq if found else 0, target=target):
        found += page
    return found


def _manifest_problem(obj: EnforcementGates | PolicySet) -> str:
    """The fault of the manifest of an object that was good before; empty where there is none."""
    return obj.metadata.annotations.get(MANIFEST_ERROR_ANNOTATION, "")
