"""Owns the reconciler of targets: choose the goal, run the pipeline, record how it ended. One exit."""

import dataclasses
import datetime as dt
from collections.abc import Callable

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import MANIFEST_ERROR_ANNOTATION, ObjectRef
from setpoint.api.target import Target
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
from setpoint.pipeline.configurations import Configurations
from setpoint.pipeline.continuations import Begun
from setpoint.pipeline.draft import StatusDraft
from setpoint.pipeline.fresh_targets import FreshTargets
from setpoint.pipeline.holds import release_hold
from setpoint.pipeline.lifecycle import Lifecycle
from setpoint.pipeline.passes import Ending, Pass, new_run
from setpoint.pipeline.path import Pipeline
from setpoint.pipeline.resets import ResetRegister
from setpoint.pipeline.stored import StoredStatus
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.pipeline.waits import WaitShow
from setpoint.ports import Clock, EventRecorder, TargetDriver
from setpoint.runtime.descriptors import as_exhaustion
from setpoint.runtime.requests import Request, Result

_UNREADABLE_INTERVAL = dt.timedelta(minutes=10)
"""Between passes over one whose own interval can't be read: an upgrade may have mended the schema instead."""

_AT_LEAST = dt.timedelta(seconds=1)
"""Between two passes over an accepted apply, whatever its driver asks for."""


@dataclasses.dataclass(frozen=True, slots=True)
class PassReport:
    """How a pass over a target ended: `done` where it carried something out and verified it.

    `goes_on`: an apply was accepted, and another pass is to follow it to its end.
    """

    ref: ObjectRef
    ready: str
    reason: str
    message: str
    stalled: bool
    failed: bool
    change: str | None
    done: bool
    goes_on: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Listeners:
    """Those who hear of passes: `on_progress` of every resource, `on_report` of every pass, as it ends."""

    recorder: EventRecorder
    metrics: TargetMetrics
    on_progress: Callable[[ObjectRef, ResourceProgress], None]
    on_report: Callable[[PassReport], None]


class TargetReconciler:
    """Reconciles the targets of one kind."""

    def __init__(
        self,
        *,
        driver: TargetDriver,
        pipeline: Pipeline,
        lifecycle: Lifecycle,
        configurations: Configurations,
        resets: ResetRegister,
        fresh: FreshTargets,
        listeners: Listeners,
        clock: Clock,
    ) -> None:
        self._driver = driver
        self._pipeline = pipeline
        self._lifecycle = lifecycle
        self._configurations = configurations
        self._resets = resets
        self._fresh = fresh
        self._recorder = listeners.recorder
        self._metrics = listeners.metrics
        self._on_progress = listeners.on_progress
        self._on_report = listeners.on_report
        self._clock = clock

    async def reconcile(self, request: Request) -> Result:
        """One pass. Raises what the queue must know of (runtime.controller's outcome table)."""
        try:
            stored = await self._lifecycle.take_on(request.ref)
        except InvalidError as unreadable:
            raise await self._refuse(request.ref, unreadable) from None
        if stored is None:
            await self._forget(request.ref)
            return Result()
        inputs = await self._fresh.inputs_of(stored.read)
        target = self._unforged(stored.read)
        begun = await self._pipeline.continuations.find(target)
        if begun is None:
            target = await self._configurations.finish_interrupted(target)
        draft, ending = StatusDraft(target, self._clock.now()), Ending()
        error: Exception | None = None
        try:
            if begun is not None:
                goal = await self._pipeline.continuations.goal(target, begun)
            else:
                goal = await self._choose_goal(target)
            await self._pursue(goal, begun, target, draft, stored, ending)
        except (ConflictError, FencedError):
            # Someone else wrote first, or leads by now: what was seen here is no longer ours to tell.
            raise
        except Exception as caught:  # noqa: BLE001 the one exit: shown as a condition, then raised again
            error = as_exhaustion(caught) or _in_place(caught, target)
            _show_error(draft, error, observed=ending.observed)
        result = await self._record(target, draft, stored, ending, error)
        if result.requeue_after is not None:
            await self._fresh.record(target, draft.status, inputs)
        return result

    # --- before ---------------------------------------------------------------------------------------------

    async def _refuse(self, ref: ObjectRef, error: InvalidError) -> Exception:
        """Says what in a target can't be read: nothing else is done with it, not even where it is deleted."""
        stalled = await self._lifecycle.refuse(ref, error, self._clock.now())
        self._metrics.refuse(ref, stalled.reason)
        self._recorder.event(ref, "Warning", stalled.reason, stalled.message)
        self._on_report(
            PassReport(
                ref, "False", stalled.reason, stalled.message, stalled=True, failed=False, change=None, done=False
            )
        )
        return _with_interval(stalled, _UNREADABLE_INTERVAL)

    def _unforged(self, target: Target) -> Target:
        """The target without what others wrote where a decision rests on it, which people hear of."""
        trusted = self._configurations.drop_unsealed(target)
        if trusted is not target:
            message = (
                "status.applied is not what Setpoint wrote: it is taken for absent, and recorded anew once it is seen"
            )
            self._recorder.event(target.ref, "Warning", Reason.SEAL_INVALID, message)
            self._metrics.count_forgery()
        return trusted

    async def _choose_goal(self, target: Target) -> Goal:
        deleted = target.metadata.deletion_timestamp
        if not deleted:
            _refuse_bad_manifest(target)
        # All Resets of the namespace are read for it: not where none would be carried out.
        due = None if deleted or is_suspended(target) else await self._resets.due(target)
        governs = bool(deleted) and await self._governs(target)
        return choose_goal(target, *(due or (None, None)), governs=governs)

    async def _governs(self, target: Target) -> bool:
        """True where anything was made: by a failed apply, too, and no status need say so."""
        return target.status.applied is not None or bool(await self._driver.holdings(target.ref))

    # --- the goal -------------------------------------------------------------------------------------------

    async def _pursue(
        self,
        goal: Goal,
        begun: Begun | None,
        target: Target,
        draft: StatusDraft,
        stored: StoredStatus,
        ending: Ending,
    ) -> None:
        """Does as the goal says: a pass, unless it is to let go of the target, or to leave it alone."""
        if goal.kind is GoalKind.RELEASE:
            stays = await self._driver.holdings(target.ref)
            await self._lifecycle.release(target, draft, ending, stays=stays)
            return
        if goal.kind is GoalKind.SUSPENDED:
            draft.ready("Unknown", Reason.SUSPENDED, "suspended; run setpoint resume to go on")
            return
        if goal.kind is GoalKind.HOLD and target.status.applied is None:
            draft.ready("False", Reason.HELD, "held with nothing applied; run setpoint resume to go on")
            return
        run, waits = begun.run if begun else new_run(), WaitShow(stored, self._recorder, self._clock, target.ref)

        def progress(step: ResourceProgress) -> None:
            self._on_progress(target.ref, step)
            waits.on_progress(step)

        try:
            async with self._driver.session(target, goal, run, progress) as session:
                work = Pass(target, goal, run, session, draft, stored, ending)
                release_hold(work)
                await (self._pipeline.go_on(work, begun) if begun else self._pipeline.run(work))
        finally:
            await waits.end()

    # --- after ----------------------------------------------------------------------------------------------

    async def _record(
        self,
        target: Target,
        draft: StatusDraft,
        stored: StoredStatus,
        ending: Ending,
        error: Exception | None,
    ) -> Result:
        draft.set(handled_reconcile=asked_run(target))
        if ending.gone:
            await self._forget(target.ref)
        else:
            error = await self._write(draft, stored) or await self._close_reset(ending) or error
            self._metrics.observe(target, draft.status, now=self._clock.now())
        for notice in draft.notices():
            self._recorder.event(target.ref, notice.type, notice.reason, notice.message)
        self._on_report(_report(target, draft, ending, error))
        if error is not None:
            raise _with_interval(error, target.spec.interval)
        if ending.gone:
            return Result()
        wait = ending.wake_at - self._clock.now() if ending.wake_at else target.spec.interval
        return Result(requeue_after=max(wait, _AT_LEAST))

    async def _forget(self, ref: ObjectRef) -> None:
        self._metrics.drop(ref)
        await self._fresh.forget(ref)

    async def _write(self, draft: StatusDraft, stored: StoredStatus) -> Exception | None:
        """Stores the status. What stands in the way must not keep the pass from being reported."""
        try:
            await stored.write(draft.status)
        except NotFoundError:
            return None
        except SetpointError as error:
            return error
        return None

    async def _close_reset(self, ending: Ending) -> Exception | None:
        """After the status: who is killed in between carries it out again, and does not undo it for want of a hold."""
        if ending.completed is None:
            return None
        try:
            await self._resets.complete(ending.completed)
        except SetpointError as error:
            return error
        return None


def _refuse_bad_manifest(target: Target) -> None:
    problem = target.metadata.annotations.get(MANIFEST_ERROR_ANNOTATION)
    if problem:
        raise StalledError(Reason.INVALID_MANIFEST, problem)


def _in_place(error: Exception, target: Target) -> Exception:
    """The error's meaning for the target that it happened to."""
    if isinstance(error, LostBlobError):
        return StalledError(Reason.BLOB_LOST, error.message)
    if not isinstance(error, NamespaceTerminatingError):
        return error
    message = f"namespace {target.metadata.namespace} is being deleted, and takes nothing new"
    if target.metadata.deletion_timestamp:
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
    """A stalled target is observed again at its interval: what was wrong may be mended outside the spec."""
    if isinstance(error, StalledError):
        error.requeue_after = interval
    return error


def _report(target: Target, draft: StatusDraft, ending: Ending, error: Exception | None) -> PassReport:
    ready = draft.get(ConditionType.READY)
    status = draft.status
    return PassReport(
        ref=target.ref,
        ready=ready.status if ready else "Unknown",
        reason=ready.reason if ready else "",
        message=ready.message if ready else "",
        stalled=isinstance(error, StalledError),
        failed=error is not None and not isinstance(error, (StalledError, WaitingError)),
        change=status.change,
        done=ending.done,
        goes_on=ending.wake_at is not None and error is None,
    )
