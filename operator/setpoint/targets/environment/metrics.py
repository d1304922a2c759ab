"""Owns the metrics that Environments alone have: names, labels, meanings. Pure data, also for the reference."""

from setpoint.runtime.metric_specs import MetricSpec

STATE_LOCKS = MetricSpec(
    "setpoint_state_locks",
    "gauge",
    "Locks on Terraform states: held by a run, or orphaned by one whose manager was killed.",
    ("state",),
    {"state": ("held", "orphaned")},
)
METRICS = (STATE_LOCKS,)
