"""Owns the reconciler of targets: choose the goal, run the pipeline, record how it ended. One exit."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import FINALIZER, MANIFEST_ERROR_ANNOTATION, ObjectRef
from setpoint.api.v1alpha1.environment import Environment, EnvironmentStatus
from setpoint.domain.errors import (
    ConflictError,
    FencedError,
    ForbiddenError,
    InvalidError,
    LostBlobError,
    NamespaceTerminatingError,
    NotFoundError,
    ReasonedError,
    SetpointError,
    StalledError,
    StoreError,
    WaitingError,
)
from setpoint.domain.goals import Goal, GoalKind, asked_run, choose_goal, is_suspended
from setpoint.domain.model import ResourceProgress
from setpoint.domain.reading import parse
from setpoint.pipeline.changes import ChangeRegister, is_marked
from setpoint.pipeline.draft import StatusDraft
from setpoint.pipeline.path import Pass, Pipeline
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.resting import RestRegister
from setpoint.pipeline.seals import Seals
from setpoint.pipeline.settlement import Settlement
from setpoint.pipeline.snapshots import SnapshotPruner
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.pipeline.waits import WaitShow
from setpoint.ports import Clock, ClusterClient, EventRecorder, TargetDriver
from setpoint.runtime.descriptors import as_exhaustion
from setpoint.runtime.requests import Request, Result
from setpoint.runtime.status import show_unreadable, write_status

_UNREADABLE_INTERVAL = dt.timedelta(minutes=10)
"""Between looks at one whose own interval can't be read: an upgrade may have mended the schema instead."""


@dataclasses.dataclass(frozen=True, slots=True)
class PassReport:
    """How a pass over a target ended: `done` where it carried something out and verified it."""

    ref: ObjectRef
    ready: str
    reason: str
    message: str
    stalled: bool
    failed: bool
    change: str | None
    done: bool


class TargetReconciler:
    """Reconciles the targets of one kind. `on_progress` hears of every resource, `on_report` of every pass."""

    def __init__(
        self,
        *,
        cluster: ClusterClient,
        driver: TargetDriver,
        pipeline: Pipeline,
        settlement: Settlement,
        changes: ChangeRegister,
        resets: ResetRegister,
        pruner: SnapshotPruner,
        seals: Seals,
        rests: RestRegister,
        recorder: EventRecorder,
        metrics: TargetMetrics,
        clock: Clock,
        on_progress: Callable[[ObjectRef, ResourceProgress], None],
        on_report: Callable[[PassReport], None],
    ) -> None:
        self._cluster = cluster
        self._driver = driver
        self._pipeline = pipeline
        self._settlement = settlement
        self._changes = changes
        self._resets = resets
        self._pruner = pruner
        self._seals = seals
        self._rests = rests
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._on_progress = on_progress
        self._on_report = on_report

    async def reconcile(self, request: Request) -> Result:
        """One pass. Raises what the queue must know of (runtime.controller's outcome table)."""
        try:
            environment = await self._read(request.ref)
        except InvalidError as unreadable:
            raise await self._refuse(request.ref, unreadable) from None
        if environment is None:
            await self._forget(request.ref)
            return Result()
        inputs, read = await self._rests.inputs_of(environment), environment.status
        waits = WaitShow(self._cluster, self._recorder, self._clock, environment)
        environment = await self._settle(self._unforged(environment))
        draft = StatusDraft(environment, self._clock.now())
        work: Pass | None = None
        error: Exception | None = None
        try:
            goal = await self._choose_goal(environment)
            async with self._open(environment, goal, draft, waits) as work:
                await self._work(work)
        except (ConflictError, FencedError):
            # Someone else wrote first, or leads by now: what was seen here is no longer ours to tell.
            raise
        except Exception as caught:  # noqa: BLE001 the one exit: shown as a condition, then raised again
            error = as_exhaustion(caught) or _in_place(caught, environment)
            _show_error(draft, error, observed=work is not None and hasattr(work, "observation"))
        result = await self._record(environment, draft, None if waits.wrote else read, work, error)
        if result.requeue_after is not None:
            await self._rests.record(environment, draft.status, inputs)
        return result

    # --- before ---------------------------------------------------------------------------------------------

    async def _read(self, ref: ObjectRef) -> Environment | None:
        try:
            found = await self._cluster.get(ref)
        except NotFoundError:
            return None
        environment = parse(Environment, found)
        if environment.metadata.deletion_timestamp or FINALIZER in environment.metadata.finalizers:
            return environment
        held = [*environment.metadata.finalizers, FINALIZER]
        return parse(Environment, await self._cluster.set_finalizers(found, held))

    async def _refuse(self, ref: ObjectRef, error: InvalidError) -> Exception:
        """Says what in an Environment can't be read: nothing else is done with it, not even where it is deleted."""
        found = await self._cluster.get(ref)
        now = self._clock.now()
        stalled = await show_unreadable(self._cluster, Environment, found, error, Reason.INVALID_SPEC, now)
        self._metrics.refuse(ref, stalled.reason)
        self._recorder.event(ref, "Warning", stalled.reason, stalled.message)
        self._on_report(
            PassReport(
                ref, "False", stalled.reason, stalled.message, stalled=True, failed=False, change=None, done=False
            )
        )
        return _with_interval(stalled, _UNREADABLE_INTERVAL)

    def _unforged(self, environment: Environment) -> Environment:
        """The Environment without what others wrote where a decision rests on it, which people hear of."""
        trusted = self._seals.drop_unsealed(environment)
        if trusted is not environment:
            message = (
                "status.applied is not what Setpoint wrote: it is taken for absent, and recorded anew once it is seen"
            )
            self._recorder.event(environment.ref, "Warning", Reason.SEAL_INVALID, message)
            self._metrics.count_forgery()
        return trusted

    async def _settle(self, environment: Environment) -> Environment:
        """Finishes what a killed manager had begun to write down: the configuration of an apply that it ended.

        Where the Change does not say that the apply succeeded, nothing can be said of what is in force.
        """
        applying = environment.status.applying
        if applying is None:
            return environment
        change = await self._changes.get(environment.metadata.namespace, applying.change or "")
        if change is not None and is_marked(change, ConditionType.APPLIED):
            update: dict[str, object] = {"applied": applying, "snapshot": None}
        else:
            update = {"failures": max(1, environment.status.failures)}
        status = environment.status.model_copy(update={**update, "applying": None})
        return environment.model_copy(update={"status": status})

    async def _choose_goal(self, environment: Environment) -> Goal:
        deleted = environment.metadata.deletion_timestamp
        if not deleted:
            _refuse_bad_manifest(environment)
        # All Resets of the namespace are read for it: not where none would be carried out.
        due = None if deleted or is_suspended(environment) else await self._resets.due(environment)
        governs = bool(deleted) and await self._governs(environment)
        return choose_goal(environment, *(due or (None, None)), governs=governs)

    async def _governs(self, environment: Environment) -> bool:
        """What a failed apply made counts, too, and no status need say so."""
        return environment.status.applied is not None or bool(await self._driver.holdings(environment.ref))

    @contextlib.asynccontextmanager
    async def _open(  # type: ignore[no-untyped-def]
        self, environment: Environment, goal: Goal, draft: StatusDraft, waits: WaitShow
    ):
        def progress(step: ResourceProgress) -> None:
            self._on_progress(environment.ref, step)
            waits.hear(step)

        if goal.kind in {GoalKind.REST, GoalKind.RELEASE} or _has_nothing_to_hold(environment, goal):
            yield Pass(environment, goal, None, draft)  # type: ignore[arg-type]
            return
        try:
            async with self._driver.session(environment, goal, progress) as session:
                yield Pass(environment, goal, session, draft)
        finally:
            await waits.end()

    async def _work(self, work: Pass) -> None:
        if work.goal.kind is GoalKind.RELEASE:
            await self._settlement.release(work, await self._driver.holdings(work.environment.ref))
        elif work.goal.kind is GoalKind.REST:
            work.draft.ready("Unknown", Reason.SUSPENDED, "suspended; run setpoint resume to go on")
        elif work.session is None:
            work.draft.ready("False", Reason.HELD, "held with nothing applied; run setpoint resume to go on")
        else:
            self._release_hold(work)
            await self._pipeline.run(work)
            newest = work.draft.status.snapshot
            if newest != work.environment.status.snapshot:
                await self._pruner.prune(work.environment, newest=newest)

    def _release_hold(self, work: Pass) -> None:
        if work.goal.kind is GoalKind.SPEC and work.environment.status.hold is not None:
            work.draft.set(hold=None)
            work.draft.condition(ConditionType.HELD, "False", Reason.RESUMED)

    # --- after ----------------------------------------------------------------------------------------------

    async def _record(
        self,
        environment: Environment,
        draft: StatusDraft,
        read: EnvironmentStatus | None,
        work: Pass | None,
        error: Exception | None,
    ) -> Result:
        draft.set(handled_reconcile=asked_run(environment))
        if work is not None and work.gone:
            await self._forget(environment.ref)
        else:
            error = await self._write(environment, draft, read) or await self._close_reset(work) or error
            self._metrics.observe(environment, draft.status, now=self._clock.now())
        for notice in (*(work.notices if work else ()), *draft.notices()):
            self._recorder.event(environment.ref, notice.type, notice.reason, notice.message)
        self._on_report(_report(environment, draft, work, error))
        if error is not None:
            raise _with_interval(error, environment.spec.interval)
        return Result() if work is not None and work.gone else Result(requeue_after=environment.spec.interval)

    async def _forget(self, ref: ObjectRef) -> None:
        self._metrics.drop(ref)
        await self._rests.forget(ref)

    async def _write(
        self, environment: Environment, draft: StatusDraft, read: EnvironmentStatus | None
    ) -> Exception | None:
        """Writes the status where it moved; `read` is None where it was written meanwhile.

        What stands in the way must not keep the pass from being reported.
        """
        if draft.status == read:
            return None
        try:
            # An apply has written the status in between.
            seen = environment.as_json() if read and draft.status.attempts == read.attempts else None
            await write_status(self._cluster, environment.ref, draft.status.as_json(), seen=seen)
        except NotFoundError:
            return None
        except SetpointError as error:
            return error
        return None

    async def _close_reset(self, work: Pass | None) -> Exception | None:
        """After the status: who is killed in between carries it out again, and does not undo it for want of a hold."""
        if work is None or work.completed is None:
            return None
        try:
            await self._resets.complete(work.completed)
        except SetpointError as error:
            return error
        return None


def _has_nothing_to_hold(environment: Environment, goal: Goal) -> bool:
    return goal.kind is GoalKind.HOLD and environment.status.applied is None


def _refuse_bad_manifest(environment: Environment) -> None:
    problem = environment.metadata.annotations.get(MANIFEST_ERROR_ANNOTATION)
    if problem:
        raise StalledError(Reason.INVALID_MANIFEST, problem)


def _in_place(error: Exception, environment: Environment) -> Exception:
    """The error's meaning for the target that it happened to."""
    if isinstance(error, LostBlobError):
        return StalledError(Reason.BLOB_LOST, error.message)
    if not isinstance(error, NamespaceTerminatingError):
        return error
    message = f"namespace {environment.metadata.namespace} is being deleted, and takes nothing new"
    if environment.metadata.deletion_timestamp:
        message += (
            ", so no Change to destroy with; set spec.protection.deletionPolicy to Retain: "
            "it is released then, and what it has stays"
        )
    return StalledError(Reason.NAMESPACE_TERMINATING, message)


def _show_error(draft: StatusDraft, error: Exception, *, observed: bool) -> None:
    """Turns an error into conditions; what is not ours to name shows no text of its own."""
    status = "False" if observed or isinstance(error, StalledError) else "Unknown"
    reason, message = _reason_of(error)
    draft.ready(status, reason, message)  # type: ignore[arg-type]
    if isinstance(error, StalledError):
        draft.condition(ConditionType.STALLED, "True", reason, message)
    elif not isinstance(error, WaitingError):
        draft.condition(ConditionType.RECONCILING, "True", Reason.PROGRESSING_WITH_RETRY, message)


def _reason_of(error: Exception) -> tuple[Reason, str]:
    match error:
        case ReasonedError():
            return error.reason, error.message
        case StoreError():
            return Reason.STORE_FAILED, error.message
        case ForbiddenError():
            # The API server's own words: which right is missing, on what.
            return Reason.API_UNAVAILABLE, error.message
        case InvalidError():
            return Reason.INTERNAL_ERROR, error.message
        case _:
            return Reason.INTERNAL_ERROR, "a fault in Setpoint; see its log"


def _with_interval(error: Exception, interval: dt.timedelta) -> Exception:
    """A stalled target is looked at again at its interval: what was wrong may be mended outside the spec."""
    if isinstance(error, StalledError):
        error.requeue_after = interval
    return error


def _report(environment: Environment, draft: StatusDraft, work: Pass | None, error: Exception | None) -> PassReport:
    ready = draft.get(ConditionType.READY)
    status = draft.status
    return PassReport(
        ref=environment.ref,
        ready=ready.status if ready else "Unknown",
        reason=ready.reason if ready else "",
        message=ready.message if ready else "",
        stalled=isinstance(error, StalledError),
        failed=error is not None and not isinstance(error, (StalledError, WaitingError)),
        change=status.change,
        done=work is not None and work.done,
    )
