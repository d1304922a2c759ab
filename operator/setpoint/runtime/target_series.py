"""Owns the metrics of targets: one slim record each, made into text at each scrape. Knows no metrics library.

A thousand targets are some 16,000 series: made one by one as objects of a library they cost a quarter of a second.
"""

import collections
import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from setpoint.api.meta import ObjectRef
from setpoint.domain.findings import DriftClass
from setpoint.runtime.metric_specs import METRICS, MetricSpec

MAX_SHOWN = 1000
"""With more targets none is shown by itself: a scrape would cost too much, for us and for Prometheus."""
_TARGETS = "setpoint_targets"
_SUPPRESSED = "setpoint_target_metrics_suppressed"
_SPECS = {spec.name: spec for spec in METRICS}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclasses.dataclass(frozen=True, slots=True)
class TargetSample:
    """The facts shown of one target. `conditions` are (type, status); times are Unix seconds, None where unknown.

    `reason` is that of its Ready condition.
    """

    stage: str = ""
    reason: str = ""
    conditions: tuple[tuple[str, str], ...] = ()
    actionable: int = 0
    informational: int = 0
    pending: int = 0
    cascade: int = 0
    violations: int = 0
    drift_since: float | None = None
    last_success: float | None = None
    snapshot: float | None = None
    reset_ready: bool | None = None


class TargetSeries:
    """The samples of all targets. Methods may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[ObjectRef, TargetSample] = {}

    def put(self, ref: ObjectRef, sample: TargetSample) -> None:
        """The target is so now."""
        with self._lock:
            self._samples[ref] = sample

    def drop(self, ref: ObjectRef) -> None:
        """The target is gone."""
        with self._lock:
            self._samples.pop(ref, None)

    def refs(self) -> tuple[ObjectRef, ...]:
        """All targets that are there."""
        with self._lock:
            return tuple(self._samples)

    def render(self) -> str:
        """The Prometheus text format of the per-target metrics and of those that count targets."""
        with self._lock:
            samples = dict(self._samples)
        suppressed = len(samples) > MAX_SHOWN
        shown = [] if suppressed else [(_labels_of(ref), sample) for ref, sample in sorted(samples.items())]
        lines = [*_family(_SPECS[_SUPPRESSED], [f"{_SUPPRESSED} {float(suppressed)}\n"])]
        lines += _family(_SPECS[_TARGETS], _counted(samples))
        for spec in METRICS:
            if spec.per_target:
                lines += _family(spec, _series(spec.name, shown))
        return "".join(lines)


def _family(spec: MetricSpec, lines: Iterable[str]) -> Iterator[str]:
    yield f"# HELP {spec.name} {spec.help}\n# TYPE {spec.name} {spec.type}\n"
    yield from lines


def _counted(samples: Mapping[ObjectRef, TargetSample]) -> Iterator[str]:
    counts = collections.Counter(
        (ref.kind, dict(sample.conditions).get("Ready", "Unknown"), sample.reason) for ref, sample in samples.items()
    )
    for (kind, ready, reason), count in sorted(counts.items()):
        labels = f"{_label('kind', kind)},{_label('ready', ready)},{_label('reason', reason)}"
        yield f"{_TARGETS}{{{labels}}} {float(count)}\n"


def _series(name: str, shown: Iterable[tuple[str, TargetSample]]) -> Iterator[str]:
    read = READERS[name]
    for target, sample in shown:
        for labels, value in read(sample):
            yield f"{name}{{{target}{labels}}} {value!r}\n"


def _labels_of(ref: ObjectRef) -> str:
    return f"{_label('kind', ref.kind)},{_label('name', ref.name)},{_label('namespace', ref.namespace)}"


def _label(name: str, value: str) -> str:
    return f'{name}="{value.translate(_ESCAPES)}"'


_Readings = Iterable[tuple[str, float]]


def _optional(value: float | None) -> _Readings:
    return () if value is None else (("", float(value)),)


READERS: Mapping[str, Callable[[TargetSample], _Readings]] = {
    "setpoint_target_info": lambda sample: [("," + _label("stage", sample.stage), 1.0)],
    "setpoint_condition": lambda sample: (
        (f",{_label('status', status)},{_label('type', type_)}", 1.0) for type_, status in sample.conditions
    ),
    "setpoint_drift_resources": lambda sample: (
        ("," + _label("class", drift.value), float(getattr(sample, drift.value))) for drift in DriftClass
    ),
    "setpoint_drift_violations": lambda sample: _optional(sample.violations),
    "setpoint_drift_since_timestamp_seconds": lambda sample: _optional(sample.drift_since),
    "setpoint_last_success_timestamp_seconds": lambda sample: _optional(sample.last_success),
    "setpoint_snapshot_timestamp_seconds": lambda sample: _optional(sample.snapshot),
    "setpoint_reset_ready": lambda sample: _optional(sample.reset_ready),
}
"""For each per-target metric, the readings of a sample: further labels as text, and the value."""
