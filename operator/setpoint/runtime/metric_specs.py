"""Owns the metrics that are about no kind of target: names, labels, meanings. Pure data, also for the reference."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from setpoint.domain import model
from setpoint.runtime.requests import OutcomeKind

Step = Literal["observe", "analyse", "plan", "guard", "gate", "apply", "verify", "record"]
DropCause = Literal["rate", "queue", "sink"]
WatchEnd = Literal["died", "blind"]

_TARGET = ("kind", "namespace", "name")
_RESULTS = {"result": tuple(model.Result)}


@dataclasses.dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric. `values` are the values of labels that are known beforehand: with all known, series start at 0."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    values: Mapping[str, Iterable[str]] = dataclasses.field(default_factory=dict)
    per_target: bool = False


METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(
        "setpoint_reconcile_total",
        "counter",
        "Reconciles that ended, by result.",
        ("controller", "result"),
        {"result": tuple(OutcomeKind)},
    ),
    MetricSpec("setpoint_reconcile_errors_total", "counter", "Reconciles that failed or timed out.", ("controller",)),
    MetricSpec("setpoint_reconcile_duration_seconds", "histogram", "How long a reconcile took.", ("controller",)),
    MetricSpec("setpoint_active_workers", "gauge", "Workers that are reconciling.", ("controller",)),
    MetricSpec("setpoint_queue_depth", "gauge", "Requests that are ready and wait for a worker.", ("controller",)),
    MetricSpec(
        "setpoint_queue_latency_seconds", "histogram", "How long a ready request waited for a worker.", ("controller",)
    ),
    MetricSpec(
        "setpoint_targets",
        "gauge",
        "Targets by the reason of their Ready condition: True, False or Unknown.",
        ("kind", "ready", "reason"),
    ),
    MetricSpec(
        "setpoint_target_metrics_suppressed",
        "gauge",
        "1 where there are more than 1,000 targets, so that none is shown by itself; else 0.",
    ),
    MetricSpec(
        "setpoint_target_info", "gauge", "Always 1: a target and its stage.", (*_TARGET, "stage"), per_target=True
    ),
    MetricSpec(
        "setpoint_condition",
        "gauge",
        "Always 1: the status that a condition of the target has now; no series for those that it has not.",
        (*_TARGET, "type", "status"),
        per_target=True,
    ),
    MetricSpec(
        "setpoint_drift_resources",
        "gauge",
        "Resources that differ, by drift class.",
        (*_TARGET, "class"),
        per_target=True,
    ),
    MetricSpec(
        "setpoint_drift_violations",
        "gauge",
        "Violations of policies by what changed outside, whatever its drift class.",
        _TARGET,
        per_target=True,
    ),
    MetricSpec(
        "setpoint_drift_since_timestamp_seconds",
        "gauge",
        "When the actionable drift that lasts was first seen; no series without drift.",
        _TARGET,
        per_target=True,
    ),
    MetricSpec(
        "setpoint_last_success_timestamp_seconds",
        "gauge",
        "When the target was last seen at its setpoint.",
        _TARGET,
        per_target=True,
    ),
    MetricSpec(
        "setpoint_snapshot_timestamp_seconds", "gauge", "When the newest snapshot was taken.", _TARGET, per_target=True
    ),
    MetricSpec("setpoint_reset_ready", "gauge", "1 where there is a way back, 0 where not.", _TARGET, per_target=True),
    MetricSpec("setpoint_gate_decisions_total", "counter", "Verdicts of gates.", ("gate", "stage", "verdict")),
    MetricSpec("setpoint_seal_failures_total", "counter", "Times that a status.applied was not Setpoint's own."),
    MetricSpec("setpoint_approvals_pending", "gauge", "Changes that wait for people."),
    MetricSpec("setpoint_applies_total", "counter", "Changes that were executed, by result.", ("result",), _RESULTS),
    MetricSpec("setpoint_resets_total", "counter", "Resets that were executed, by result.", ("result",), _RESULTS),
    MetricSpec(
        "setpoint_step_duration_seconds",
        "histogram",
        "How long a step of the pipeline took.",
        ("step",),
        {"step": get_args(Step)},
    ),
    MetricSpec("setpoint_audit_rows_total", "counter", "Audit rows that this process made durable."),
    MetricSpec(
        "setpoint_audit_chain_ok", "gauge", "1 where the audit chain verified, 0 where not, NaN before the first check."
    ),
    MetricSpec("setpoint_blobs_removed_total", "counter", "Sealed blobs that were removed: nothing referred to them."),
    MetricSpec(
        "setpoint_leader",
        "gauge",
        "1 while this replica leads, by shard; the undivided targets are shard 0/1.",
        ("shard",),
    ),
    MetricSpec(
        "setpoint_watch_restarts_total",
        "counter",
        "Restarts of the watch on a cluster: it died, or was found blind.",
        ("cause",),
        {"cause": get_args(WatchEnd)},
    ),
    MetricSpec(
        "setpoint_watch_dead_seconds", "gauge", "For how long there has been no live watch on the cluster; 0 with one."
    ),
    MetricSpec(
        "setpoint_events_dropped_total",
        "counter",
        "Events that nobody will see: over the object's rate, pushed out of a full queue, refused by the sink.",
        ("cause",),
        {"cause": get_args(DropCause)},
    ),
)
"""All metrics, in the order in which they are documented."""
