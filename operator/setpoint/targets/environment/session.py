"""Owns one pass over an Environment: the steps of the pipeline that differ from other kinds of target. Decides nothing.

It holds the target's work folder from the first plan to the last look.
"""

import dataclasses

from setpoint.adapters.store.state_versions import StateVersion
from setpoint.api.conditions import Reason
from setpoint.api.v1alpha1.environment import (
    BundleStatus,
    Environment,
    StateStatus,
    name_configuration,
)
from setpoint.domain.digests import canonical, digest
from setpoint.domain.errors import ConflictError, StalledError, TransientError
from setpoint.domain.gating import GateDecision
from setpoint.domain.goals import Goal, cause_of
from setpoint.domain.model import (
    Applying,
    AtSetpoint,
    Captured,
    Change,
    Configuration,
    Observation,
    Outcome,
    Proposal,
    ResetPlan,
    Result,
    Review,
    Snapshot,
    Verification,
)
from setpoint.domain.scrubbing import Scrubber, label_keys
from setpoint.ports import BlobStore, ClusterClient, Journal, Notice, OnProgress
from setpoint.targets.environment import drills
from setpoint.targets.environment.capturing import capture_state
from setpoint.targets.environment.configurations import Configurations
from setpoint.targets.environment.destroying import notes_of, plan_goal
from setpoint.targets.environment.drills import Drill
from setpoint.targets.environment.pacing import Pacer
from setpoint.targets.environment.plan.analysis import PlanAnalysis, differing_contents
from setpoint.targets.environment.plan.judged_plan import JudgedPlan
from setpoint.targets.environment.plan.orphans import find_orphans, still_suspected
from setpoint.targets.environment.plan.resource_types import resource_type
from setpoint.targets.environment.plan.verification import verify_plan
from setpoint.targets.environment.plan_reading import PlanReader
from setpoint.targets.environment.ports import (
    ApplyRun,
    Bundle,
    EngineVersion,
    ErroredState,
    HealthProber,
    PlanRun,
    RunInputs,
    Terraform,
    TerraformSession,
)
from setpoint.targets.environment.reset_plans import lost_before, reset_actions, reset_plan
from setpoint.targets.environment.secrets import SecretReader, publish_outputs
from setpoint.targets.environment.sources import SourceBundler
from setpoint.targets.environment.state_ports import StateStore
from setpoint.targets.environment.states import (
    ErroredStates,
    read_addresses,
    read_instances,
    refuse_newer_state,
    require_readable,
    suspect_orphans,
)

_UNSAVED = (
    "Terraform says that it applied, but the store has no state of this run: it went elsewhere, or was lost. Look in "
    "the work folder for a terraform.tfstate, and at the provider for what is named as suspected"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Services:
    """All that the passes over Environments share."""

    cluster: ClusterClient
    terraform: Terraform
    sources: SourceBundler
    states: StateStore
    blobs: BlobStore
    prober: HealthProber
    plans: PlanReader
    pacer: Pacer


class EnvironmentSession:
    """The six steps of ports.TargetDriver, for one Environment and one goal."""

    def __init__(
        self,
        services: Services,
        environment: Environment,
        goal: Goal,
        run: str,
        workspace: TerraformSession,
        progress: OnProgress,
    ) -> None:
        self._services = services
        self._environment = environment
        self._goal = goal
        self._run = run
        self._workspace = workspace
        self._progress = progress
        self._key = environment.ref.key
        self._errored = ErroredStates(services.states, self._key, workspace)
        self._notices: tuple[Notice, ...] = ()
        self._reader = SecretReader(services.cluster, environment.metadata.namespace)
        self._configurations = Configurations(environment, goal, self._reader, services.blobs, services.sources)
        self._inputs: RunInputs
        self._bundle: Bundle
        self._engine: EngineVersion
        self._plan: PlanRun
        self._analysis: PlanAnalysis | None = None
        self._observed = False
        self._in_force = False
        """True where the Change applies what was applied last: it repairs, and nobody asked for anything new."""

    # --- observe and plan -----------------------------------------------------------------------------------

    async def observe(self) -> Observation:
        """One plan of the goal's configuration against state and world."""
        services = self._services
        await self._errored.require_saved()
        head = await services.states.head(self._key)
        self._inputs = await self._configurations.inputs(has_state=head is not None)
        self._engine = await services.terraform.engine(self._inputs)
        refuse_newer_state(self._engine, head)
        self._bundle = await self._configurations.bundle(self._inputs)
        before = self._analysis
        await self._observe_goal()
        moved = differing_contents(before, self._analysis) if self._observed else ()
        self._observed = True
        seen = self._observation(head, await services.plans.judge(self._plan, self._analysis, self._scrubber()))
        return dataclasses.replace(seen, moved=moved)

    async def _observe_goal(self) -> None:
        try:
            await self._observe_once()
        except StalledError as error:
            if error.reason is not Reason.DESTROY_PREVENTED or not self._goal.destroys:
                raise
            self._bundle, self._inputs = await self._configurations.to_destroy_instead(self._bundle, error)
            await self._observe_once()

    async def _observe_once(self) -> None:
        try:
            self._plan = await self._services.pacer.observe(
                self._key, self._bundle.digest, self._inputs, self._plan_goal
            )
        except (StalledError, TransientError):
            await require_readable(self._services.states, self._key)
            raise
        self._analysis = await self._analyse(self._plan)

    async def _plan_goal(self, inputs: RunInputs) -> PlanRun:
        return await plan_goal(
            self._workspace, self._bundle, inputs, destroys=self._goal.destroys, run=self._run, progress=self._progress
        )

    async def _analyse(self, plan: PlanRun) -> PlanAnalysis | None:
        ignore = self._environment.spec.drift.ignore
        return await self._services.plans.analyse(plan, ignore, self._scrubber(), self._commit)

    def _scrubber(self) -> Scrubber:
        label = label_keys(self._key, self._services.blobs.digest)
        return Scrubber(self._inputs.variable_secrets, label=label)

    def _commit(self, sensitive: bytes) -> str:
        """Keyed by the home and bound to the target: who may plan one target learns nothing about another's secrets."""
        return self._services.blobs.digest(b"content of a change\0" + self._key.encode() + b"\0" + sensitive)

    def _observation(self, head: StateVersion | None, judged: JudgedPlan | None) -> Observation:
        analysis = self._analysis
        return Observation(
            base=_base_of(head),
            configuration=name_configuration(self._bundle.digest, self._variables_digest()),
            findings=analysis.findings if analysis else (),
            judged=judged,
            shown={
                "bundle": BundleStatus(digest=self._bundle.digest, revision=self._bundle.revision),
                "state": _show_state(head),
            },
            warnings=self._plan.warnings,
        )

    def _variables_digest(self) -> str:
        return self._services.blobs.digest(canonical(dict(self._inputs.variables)))

    async def plan(self, observation: Observation) -> AtSetpoint | Proposal:
        """The exact change; at the setpoint there is none."""
        analysis = self._analysis
        if analysis is None or analysis.shown is None or analysis.content_digest is None:
            return AtSetpoint()
        applied = self._environment.status.applied
        self._in_force = applied is not None and applied.configuration_name == observation.configuration
        stated = {"bundle": self._bundle.digest, "stateVersion": int(observation.base)}
        change = Change(
            target=self._environment.ref,
            cause=cause_of(self._goal, observation.findings, in_force=self._in_force),
            digest=analysis.content_digest,
            base=observation.base,
            configuration=observation.configuration,
            generation=self._environment.metadata.generation,
            actions=analysis.actions,
            summary=analysis.summary,
            orphans=await self._suspects(),
            shown=analysis.shown,
            kept=await self._services.blobs.put(analysis.shown.as_bytes()),
            real_addresses=analysis.real_addresses,
            types={action.address: resource_type(action.address) for action in analysis.actions},
            notes=(*notes_of(self._plan), *lost_before(analysis, self._environment.spec.protection)),
            stated=stated,
            # A provisioner may use a variable that no attribute shows.
            named={**stated, "variables": self._variables_digest()},
        )
        return Proposal(change)

    async def _suspects(self) -> tuple[str, ...]:
        """Suspected orphans, but those that are in the state by now."""
        known = self._environment.status.orphans
        instances = await read_instances(self._services.states, self._key) if known else ()
        return still_suspected(known, instances, self._scrubber())

    # --- guard ----------------------------------------------------------------------------------------------

    async def capture(self, configuration: Configuration | None) -> Captured:
        """The head version of the state under a configuration."""
        services, secrets = self._services, self._inputs.secret_variables
        recorded = configuration.recorded if configuration else {}
        return await capture_state(
            services.states, services.blobs, self._key, recorded, engine=str(self._engine), secret_variables=secrets
        )

    async def plan_reset(self, change: Change | None, snapshot: Snapshot | None) -> ResetPlan:
        """The inverse of the change, and the drill: does the last applied bundle plan today?"""
        if change is None or snapshot is None:
            return await self._plan_destruction()
        protection = self._environment.spec.protection
        actions = reset_actions(change, self._plan, self._analysis, protection)
        return reset_plan(snapshot, actions, await self._drill(change, snapshot))

    async def _plan_destruction(self) -> ResetPlan:
        """Its actions are in no Change: it is drilled to see early what stands in its way."""
        try:
            await plan_goal(self._workspace, self._bundle, self._inputs, destroys=True)
        except (StalledError, TransientError) as error:
            return ResetPlan(digest([]), (), "Failed", error.message)
        return ResetPlan(digest([]), (), "Passed")

    async def _drill(self, change: Change, snapshot: Snapshot) -> Drill:
        applied = self._environment.status.applied
        if snapshot.configuration is None or applied is None:
            return Drill("NotDrillable", drills.undrillable(self._plan.prevent_destroy))
        if change.cause == "Drift" and self._bundle.digest == applied.bundle:
            return Drill("Passed")
        bundle, inputs = await self._configurations.of_applied(applied)
        try:
            plan = await self._workspace.plan(bundle, inputs)
        except (StalledError, TransientError) as error:
            return drills.judge_failure(applied, error, unread=bool(self._plan.unread))
        moved = self._configurations.secrets_digest(inputs) != applied.secrets
        result, message = drills.judge_drill(self._environment, await self._analyse(plan), secrets_moved=moved)
        repairs = change.cause in {"Drift", "SpecChanged"} and self._in_force
        return drills.weigh(result, message, repairs=repairs)

    # --- apply and verify -----------------------------------------------------------------------------------

    shows_changes = False

    async def propose(self, decision: GateDecision, name: str) -> Review:
        """Shows nothing: people look at Changes of Environments where Setpoint keeps them."""
        del name
        decision.require_review()
        return Review()

    async def withdraw(self, name: str) -> None:
        """Does nothing, as nothing is shown."""

    async def apply(self, decision: GateDecision, journal: Journal) -> Outcome:
        """Executes the plan whose content was decided on, and harvests what it left, whatever happens."""
        del journal
        decision.require_pass()
        if (self._analysis.content_digest if self._analysis else None) != decision.change.digest:
            message = "the plan at hand is not the one that was decided on"
            raise ConflictError(message)
        head = await self._services.states.head(self._key)
        if _base_of(head) != decision.change.base:
            message = "the state moved since it was planned"
            raise ConflictError(message)
        self._plan = dataclasses.replace(self._plan, state_version=int(decision.change.base))
        run = await self._workspace.apply(self._plan, self._bundle, self._inputs, self._progress)
        problem = ""
        if run.errored_state is not None:
            problem = await self._errored.harvest(ErroredState(self._run, run.errored_state, self._plan.state_version))
        return await self._outcome(run, problem)

    async def resume(self, applying: Applying, journal: Journal) -> Outcome:
        """Refuses: an apply of Terraform has ended when `apply` returns, so that none was accepted."""
        del journal
        raise StalledError(Reason.INTERNAL_ERROR, f"Change {applying.change} can't go on: an apply has no stages")

    async def _outcome(self, run: ApplyRun, problem: str) -> Outcome:
        head = await self._services.states.head(self._key)
        result = Result.INTERRUPTED if run.interrupted else Result.SUCCEEDED if run.ok else Result.FAILED
        lost = await self._find_lost(run, succeeded=result is Result.SUCCEEDED)
        if result is Result.SUCCEEDED and lost:
            result, problem = Result.FAILED, _UNSAVED
        return Outcome(
            result=result,
            message="; ".join(filter(None, (problem, *run.diagnostics)))[:1000],
            completed=tuple(step.address for step in run.progress if step.state == "completed"),
            left_behind=lost,
            shown={"state": _show_state(head)},
        )

    async def _find_lost(self, run: ApplyRun, *, succeeded: bool) -> tuple[str, ...]:
        """Creations that no state of this run knows.

        An apply that only brought back what the state knew before writes none: then that state must know them.
        """
        states, base = self._services.states, self._plan.state_version
        secrets = self._scrubber().with_secrets(self._inputs.credential_secrets)
        if not succeeded:
            name, created = self._run, run.created
            return await suspect_orphans(states, self._key, run=name, base=base, created=created, secrets=secrets)
        if not run.created or await states.head(self._key, run=self._run) is not None:
            return ()
        known = await read_instances(states, self._key, base) if base else ()
        return find_orphans(run.created, (), known, secrets)

    async def addresses(self) -> tuple[str, ...]:
        """The resource instances in the state, as people may see them."""
        return tuple(map(self._scrubber().address, await read_addresses(self._services.states, self._key)))

    def outcome_recorded(self) -> None:
        """Notes that the outcome of the apply is on record."""
        self._workspace.outcome_recorded()

    def take_notices(self) -> tuple[Notice, ...]:
        """The notices since this was last asked: of what was put right, and of Secrets that name no keys."""
        new = (*self._reader.take_notices(), *self._workspace.take_notices())
        taken, self._notices = (*self._notices, *new), ()
        return taken

    async def verify(self, change: Change | None) -> Verification:
        """A second observation: a plan, and the health checks where something is left to be healthy."""
        if change is None:
            return await self._probe_health()
        try:
            destroys, progress = self._goal.destroys, self._progress
            plan = await plan_goal(self._workspace, self._bundle, self._inputs, destroys=destroys, progress=progress)
        except (StalledError, TransientError) as error:
            return Verification(ok=False, reason=Reason.PLAN_FAILED, message=error.message)
        verification = verify_plan(await self._analyse(plan), change.actions)
        if not verification.ok:
            self._notices += self._workspace.take_notices()
            message = "; ".join((verification.message, *(notice.text for notice in self._notices)))
            verification = dataclasses.replace(verification, message=message)
        elif not self._goal.destroys:
            verification = await self._probe_health()
        return dataclasses.replace(verification, warnings=plan.warnings)

    async def _probe_health(self) -> Verification:
        """All health checks, one after another; the first that fails decides."""
        for index, check in enumerate(self._environment.spec.health):
            seconds = check.timeout.total_seconds()
            problem = await self._services.prober.probe(check.http.url, check.http.status, seconds)
            if problem:
                return Verification(ok=False, reason=Reason.UNHEALTHY, message=f"spec.health[{index}]: {problem}")
        return Verification(ok=True, reason=Reason.VERIFIED, message="")

    # --- record ---------------------------------------------------------------------------------------------

    async def configuration(self) -> Configuration:
        """The configuration that this pass holds the environment to; the variables are sealed."""
        return await self._configurations.record(self._bundle, self._inputs)

    async def publish(self, *, at_setpoint: bool) -> bool:
        """Writes the outputs to spec.outputsTo, once the environment is as it must be."""
        services = self._services
        return at_setpoint and await publish_outputs(services.cluster, services.states, self._environment)


def _base_of(head: StateVersion | None) -> str:
    return str(head.version if head else 0)


def _show_state(head: StateVersion | None) -> StateStatus:
    if head is None:
        return StateStatus(version=0, serial=0)
    return StateStatus(version=head.version, serial=head.serial, lineage=head.lineage, resources=head.resources)
