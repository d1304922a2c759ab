"""Owns every metric's instrument, and the registry. The only importer of prometheus_client.

Counters and histograms never carry an object's name. Per-target gauges do: they are not kept as series but as one
slim record per target, and rendered at each scrape.
"""

import collections
import dataclasses
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from setpoint.api.meta import ObjectRef
from setpoint.domain import model
from setpoint.domain.model import DriftClass
from setpoint.runtime.metric_specs import METRICS, DropCause, LockState, MetricSpec, Step, WatchEnd
from setpoint.runtime.requests import OutcomeKind

_DURATIONS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_TARGETS = "setpoint_targets"
_SUPPRESSED = "setpoint_target_metrics_suppressed"
_AGGREGATED = frozenset({_TARGETS, _SUPPRESSED})
MAX_SHOWN = 1000
"""With more targets none is shown by itself: a scrape would cost too much, for us and for Prometheus."""


@dataclasses.dataclass(frozen=True, slots=True)
class TargetSample:
    """What is shown of one target. `conditions` are (type, status); times are Unix seconds, None where unknown.

    `reason` is that of its Ready condition.
    """

    stage: str = ""
    reason: str = ""
    conditions: tuple[tuple[str, str], ...] = ()
    actionable: int = 0
    informational: int = 0
    pending: int = 0
    cascade: int = 0
    drift_since: float | None = None
    last_success: float | None = None
    snapshot: float | None = None
    reset_ready: bool | None = None


_Instrument = TypeVar("_Instrument", Counter, Gauge, Histogram)


class Metrics:
    """All metrics of one process, in a registry of their own. Methods may be called by any thread."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._targets = _TargetCollector()
        self._registry.register(self._targets)
        ProcessCollector(registry=self._registry)
        self._reconciles = self._counter("setpoint_reconcile_total")
        self._errors = self._counter("setpoint_reconcile_errors_total")
        self._durations = self._histogram("setpoint_reconcile_duration_seconds")
        self._workers = self._gauge("setpoint_active_workers")
        self._depth = self._gauge("setpoint_queue_depth")
        self._latency = self._histogram("setpoint_queue_latency_seconds")
        self._decisions = self._counter("setpoint_gate_decisions_total")
        self._approvals = self._gauge("setpoint_approvals_pending")
        self._applies = self._counter("setpoint_applies_total")
        self._resets = self._counter("setpoint_resets_total")
        self._steps = self._histogram("setpoint_step_duration_seconds")
        self._locks = self._gauge("setpoint_state_locks")
        self._audit_rows = self._counter("setpoint_audit_rows_total")
        self._chain = self._gauge("setpoint_audit_chain_ok")
        self._chain.set(float("nan"))
        self._blobs_removed = self._counter("setpoint_blobs_removed_total")
        self._leader = self._gauge("setpoint_leader")
        self._watch_restarts = self._counter("setpoint_watch_restarts_total")
        self._watch_dead = self._gauge("setpoint_watch_dead_seconds")
        self._dropped = self._counter("setpoint_events_dropped_total")

    def render(self) -> bytes:
        """The Prometheus text format. Takes up to a second with ten thousand targets: not for the event loop."""
        return generate_latest(self._registry)

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
        """What a WorkQueue tells the seconds that a request was ready (`on_latency`)."""
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

    def set_state_locks(self, state: LockState, locks: int) -> None:
        """So many locks on Terraform states are in that state."""
        self._locks.labels(state).set(locks)

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
        spec = _SPECS[name]
        return _from_zero(spec, Gauge(name, spec.help, spec.labels, registry=self._registry))

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


class _TargetCollector:
    """Per-target gauges, made from the records at each scrape."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[ObjectRef, TargetSample] = {}

    def put(self, ref: ObjectRef, sample: TargetSample) -> None:
        with self._lock:
            self._samples[ref] = sample

    def drop(self, ref: ObjectRef) -> None:
        with self._lock:
            self._samples.pop(ref, None)

    def refs(self) -> tuple[ObjectRef, ...]:
        with self._lock:
            return tuple(self._samples)

    def describe(self) -> Iterable[Metric]:
        return [_family(spec) for spec in METRICS if spec.per_target or spec.name in _AGGREGATED]

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            samples = dict(self._samples)
        suppressed = len(samples) > MAX_SHOWN
        yield _filled(_family(_SPECS[_SUPPRESSED]), [Sample(_SUPPRESSED, {}, float(suppressed))])
        yield _filled(_family(_SPECS[_TARGETS]), _counted(samples))
        shown = [] if suppressed else sorted(samples.items())
        for spec in METRICS:
            if spec.per_target:
                # One sample at a time: a list of them all would take 50 MB with ten thousand targets.
                yield _filled(_family(spec), _series(spec.name, shown))


def _family(spec: MetricSpec) -> Metric:
    return Metric(spec.name, spec.help, spec.type)


def _filled(family: Metric, samples: Iterable[Sample]) -> Metric:
    family.samples = samples  # type: ignore[assignment]
    return family


def _counted(samples: Mapping[ObjectRef, TargetSample]) -> Iterator[Sample]:
    counts = collections.Counter(
        (ref.kind, dict(sample.conditions).get("Ready", "Unknown"), sample.reason) for ref, sample in samples.items()
    )
    for (kind, ready, reason), count in sorted(counts.items()):
        yield Sample(_TARGETS, {"kind": kind, "ready": ready, "reason": reason}, float(count))


def _series(name: str, samples: Iterable[tuple[ObjectRef, TargetSample]]) -> Iterator[Sample]:
    read = _READERS[name]
    for ref, sample in samples:
        target = {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
        for labels, value in read(sample):
            yield Sample(name, {**target, **labels}, value)


_Readings = Iterable[tuple[Mapping[str, str], float]]


def _optional(value: float | None) -> _Readings:
    return () if value is None else (({}, float(value)),)


_READERS: Mapping[str, Callable[[TargetSample], _Readings]] = {
    "setpoint_target_info": lambda sample: [({"stage": sample.stage}, 1.0)],
    "setpoint_condition": lambda sample: (({"type": type_, "status": now}, 1.0) for type_, now in sample.conditions),
    "setpoint_drift_resources": lambda sample: (
        ({"class": drift.value}, float(getattr(sample, drift.value))) for drift in DriftClass
    ),
    "setpoint_drift_since_timestamp_seconds": lambda sample: _optional(sample.drift_since),
    "setpoint_last_success_timestamp_seconds": lambda sample: _optional(sample.last_success),
    "setpoint_snapshot_timestamp_seconds": lambda sample: _optional(sample.snapshot),
    "setpoint_reset_ready": lambda sample: _optional(sample.reset_ready),
}
