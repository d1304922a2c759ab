"""Owns what the metrics show of a target. Reads the drafted status, decides nothing."""

import datetime as dt

from setpoint.api.conditions import ConditionType
from setpoint.api.meta import ObjectRef
from setpoint.api.model import parse_time
from setpoint.api.target import Target, TargetStatus
from setpoint.domain.conditions import get_condition, is_true
from setpoint.domain.sharding import Shard
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.target_series import TargetSample


class TargetMetrics:
    """Keeps each target's sample, and how many Changes wait for people."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._last_success: dict[ObjectRef, float] = {}
        self._waiting: set[ObjectRef] = set()

    def observe(self, target: Target, status: TargetStatus, *, now: dt.datetime) -> None:
        """Shows a target as a pass left it that ended `now`."""
        ref = target.ref
        conditions = tuple(status.conditions)
        if is_true(conditions, ConditionType.READY):
            self._last_success[ref] = now.timestamp()
        self._count_waiting(ref, waits=status.change is not None)
        reset_ready = get_condition(conditions, ConditionType.RESET_READY)
        ready = get_condition(conditions, ConditionType.READY)
        sample = TargetSample(
            stage=target.spec.stage,
            reason=ready.reason if ready else "",
            conditions=tuple((condition.type, condition.status) for condition in conditions),
            actionable=status.drift.actionable,
            informational=status.drift.informational,
            pending=status.drift.pending,
            cascade=status.drift.cascade,
            violations=status.drift.violations,
            drift_since=_timestamp(status.drift.since),
            last_success=self._last_success.get(ref),
            snapshot=_timestamp(status.applied.at) if status.applied else None,
            reset_ready=None if reset_ready is None else reset_ready.status == "True",
        )
        self._metrics.set_target(ref, sample)

    def count_forgery(self) -> None:
        """One status.applied that was not ours."""
        self._metrics.count_seal_failure()

    def refuse(self, ref: ObjectRef, reason: str) -> None:
        """Shows a target that can't be read."""
        self._count_waiting(ref, waits=False)
        self._metrics.set_target(ref, TargetSample(reason=reason, conditions=(("Ready", "False"), ("Stalled", "True"))))

    def drop(self, ref: ObjectRef) -> None:
        """Ends the series of a target that is gone."""
        self._last_success.pop(ref, None)
        self._count_waiting(ref, waits=False)
        self._metrics.drop_target(ref)

    def leave(self, shard: Shard) -> None:
        """Ends the series of targets that are another leader's by now."""
        for ref in [ref for ref in self._metrics.targets() if ref.key in shard]:
            self.drop(ref)

    def _count_waiting(self, ref: ObjectRef, *, waits: bool) -> None:
        if waits:
            self._waiting.add(ref)
        else:
            self._waiting.discard(ref)
        self._metrics.set_approvals_pending(len(self._waiting))


def _timestamp(time: str | None) -> float | None:
    """Seconds since the epoch; None for what is no time."""
    try:
        return parse_time(time).timestamp() if time else None
    except (ValueError, OverflowError):
        return None
