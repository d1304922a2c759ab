"""Owns every metric's instrument, and the registry. The only importer of prometheus_client.

Counters and histograms never carry an object's name. Per-target gauges do: they are in runtime.target_series.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from setpoint.api.meta import ObjectRef
from setpoint.domain import model
from setpoint.runtime.metric_specs import METRICS, DropCause, MetricSpec, Step, WatchEnd
from setpoint.runtime.requests import OutcomeKind
from setpoint.runtime.target_series import TargetSample, TargetSeries

_DURATIONS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)

_Instrument = TypeVar("_Instrument", Counter, Gauge, Histogram)


class Metrics:
    """All metrics of one process, in a registry of their own. Methods may be called by any thread."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._targets = TargetSeries()
        ProcessCollector(registry=self._registry)
        self._reconciles = self._counter("setpoint_reconcile_total")
        self._errors = self._counter("setpoint_reconcile_errors_total")
        self._durations = self._histogram("setpoint_reconcile_duration_seconds")
        self._workers = self._gauge("setpoint_active_workers")
        self._depth = self._gauge("setpoint_queue_depth")
        self._latency = self._histogram("setpoint_queue_latency_seconds")
        self._decisions = self._counter("setpoint_gate_decisions_total")
        self._seal_failures = self._counter("setpoint_seal_failures_total")
        self._approvals = self._gauge("setpoint_approvals_pending")
        self._applies = self._counter("setpoint_applies_total")
        self._resets = self._counter("setpoint_resets_total")
        self._steps = self._histogram("setpoint_step_duration_seconds")
        self._audit_rows = self._counter("setpoint_audit_rows_total")
        self._chain = self._gauge("setpoint_audit_chain_ok")
        self._chain.set(float("nan"))
        self._blobs_removed = self._counter("setpoint_blobs_removed_total")
        self._leader = self._gauge("setpoint_leader")
        self._watch_restarts = self._counter("setpoint_watch_restarts_total")
        self._watch_dead = self._gauge("setpoint_watch_dead_seconds")
        self._dropped = self._counter("setpoint_events_dropped_total")

    def render(self) -> bytes:
        """The Prometheus text format. Takes tens of milliseconds: not for the event loop."""
        return generate_latest(self._registry) + self._targets.render().encode()

    def gauge(self, spec: MetricSpec) -> Callable[..., None]:
        """Adds a gauge that a kind of target has alone; returns what sets it, called with the labels and the value."""
        gauge = self._make_gauge(spec)

        def show(*labels: str, value: float) -> None:
            gauge.labels(*labels).set(value)

        return show

    # --- The runtime ---------------------------------------------------------------------------------------------

    def observe_controller(self, controller: str, *, depth: Callable[[], int], active: Callable[[], int]) -> None:
        """A controller exists: its series start at 0; the functions are asked at each scrape, in another thread."""
        for result in OutcomeKind:
            self._reconciles.labels(controller, result)
        self._errors.labels(controller)
        self._durations.labels(controller)
        self._latency.labels(controller)
        self._depth.labels(controller).set_function(depth)
        self._workers.labels(controller).set_function(active)

    def count_reconcile(self, controller: str, result: OutcomeKind, seconds: float) -> None:
        """A reconcile ended."""
        self._reconciles.labels(controller, result).inc()
        self._durations.labels(controller).observe(seconds)
        if result in {OutcomeKind.ERROR, OutcomeKind.TIMEOUT}:
            self._errors.labels(controller).inc()

    def queue_latency(self, controller: str) -> Callable[[float], None]:
        """The callback that a WorkQueue tells the seconds that a request was ready (`on_latency`)."""
        return self._latency.labels(controller).observe

    def count_dropped_event(self, cause: DropCause) -> None:
        """An event got lost."""
        self._dropped.labels(cause).inc()

    # --- The cluster home ----------------------------------------------------------------------------------------

    def set_leader(self, shard: str, leads: bool) -> None:
        """This replica leads a shard, or does not."""
        self._leader.labels(shard).set(float(leads))

    def count_watch_restart(self, cause: WatchEnd) -> None:
        """The watch ended, and is begun anew."""
        self._watch_restarts.labels(cause).inc()

    def observe_watch(self, seconds_dead: Callable[[], float]) -> None:
        """There is a watch; the function is asked at each scrape, in another thread."""
        self._watch_dead.set_function(seconds_dead)

    # --- Targets -------------------------------------------------------------------------------------------------

    def set_target(self, ref: ObjectRef, sample: TargetSample) -> None:
        """Shows a target as it is now."""
        self._targets.put(ref, sample)

    def targets(self) -> tuple[ObjectRef, ...]:
        """The targets that are shown."""
        return self._targets.refs()

    def drop_target(self, ref: ObjectRef) -> None:
        """Ends all series of a target that is gone."""
        self._targets.drop(ref)

    # --- The pipeline --------------------------------------------------------------------------------------------

    @contextmanager
    def time_step(self, step: Step) -> Iterator[None]:
        """Measures a step of the pipeline, however it ends."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._steps.labels(step).observe(time.perf_counter() - start)

    def count_seal_failure(self) -> None:
        """One status that somebody else wrote."""
        self._seal_failures.inc()

    def count_gate_decision(self, gate: str, stage: str, verdict: str) -> None:
        """A gate said something."""
        self._decisions.labels(gate, stage, verdict).inc()

    def set_approvals_pending(self, changes: int) -> None:
        """So many Changes wait for people."""
        self._approvals.set(changes)

    def count_apply(self, result: model.Result) -> None:
        """A Change was executed."""
        self._applies.labels(result).inc()

    def count_reset(self, result: model.Result) -> None:
        """A Reset was executed."""
        self._resets.labels(result).inc()

    # --- The store -----------------------------------------------------------------------------------------------

    def count_audit_rows(self, rows: int) -> None:
        """So many more audit rows are durable."""
        self._audit_rows.inc(rows)

    def count_removed_blobs(self, blobs: int) -> None:
        """So many sealed blobs were removed."""
        self._blobs_removed.inc(blobs)

    def set_audit_chain_ok(self, ok: bool) -> None:
        """The audit chain was verified."""
        self._chain.set(float(ok))

    def _counter(self, name: str) -> Counter:
        spec = _SPECS[name]
        return _from_zero(spec, Counter(name, spec.help, spec.labels, registry=self._registry))

    def _gauge(self, name: str) -> Gauge:
        return self._make_gauge(_SPECS[name])

    def _make_gauge(self, spec: MetricSpec) -> Gauge:
        return _from_zero(spec, Gauge(spec.name, spec.help, spec.labels, registry=self._registry))

    def _histogram(self, name: str) -> Histogram:
        spec = _SPECS[name]
        return _from_zero(spec, Histogram(name, spec.help, spec.labels, registry=self._registry, buckets=_DURATIONS))


def _from_zero(spec: MetricSpec, instrument: _Instrument) -> _Instrument:
    """Makes the series that are known beforehand, so that a rate sees the first count."""
    if spec.labels and set(spec.labels) == set(spec.values):
        for values in itertools.product(*(spec.values[label] for label in spec.labels)):
            instrument.labels(*values)
    return instrument


_SPECS = {spec.name: spec for spec in METRICS}
