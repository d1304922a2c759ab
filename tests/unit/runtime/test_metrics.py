import itertools
import math
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from setpoint.api.meta import ObjectRef
from setpoint.domain.findings import DriftClass
from setpoint.domain.model import Result
from setpoint.runtime.metric_specs import METRICS
from setpoint.runtime.metrics import Metrics
from setpoint.runtime.requests import OutcomeKind
from setpoint.runtime.target_series import MAX_SHOWN, READERS, TargetSample
from setpoint.targets.environment.metrics import STATE_LOCKS

PROD = ObjectRef("Environment", "default", "shop-prod")
TARGET = {"kind": "Environment", "namespace": "default", "name": "shop-prod"}
SAMPLE = TargetSample(
    stage="prod",
    reason="ApprovalRequired",
    conditions=(("Ready", "False"), ("Drifted", "True")),
    actionable=2,
    informational=1,
    drift_since=1000.0,
    last_success=900.0,
    snapshot=800.0,
    reset_ready=True,
)


def exposed(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    samples = list(itertools.chain.from_iterable(family.samples for family in families))
    series = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(series) == len(samples), "a series is there twice"
    return series


def value(metrics: Metrics, name: str, /, **labels: str) -> float | None:
    return exposed(metrics).get((name, frozenset(labels.items())))


def full() -> Metrics:
    """Metrics with at least one series of each."""
    metrics = Metrics()
    metrics.observe_controller("environment", depth=lambda: 3, active=lambda: 2)
    metrics.count_gate_decision("baseline", "apply", "Fail")
    metrics.set_target(PROD, SAMPLE)
    metrics.set_leader("0/1", True)
    return metrics


def test_exposition__has_exactly_the_metrics_of_the_table() -> None:
    text = full().render().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    ours = {name for name in families if name.startswith("setpoint_")}
    assert ours == {spec.name.removesuffix("_total") for spec in METRICS}
    for spec in METRICS:
        family = families[spec.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (spec.type, spec.help)
        assert family.samples
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(spec.labels)


def test_names__follow_the_conventions() -> None:
    for spec in METRICS:
        assert spec.name.startswith("setpoint_")
        assert spec.name.endswith("_total") == (spec.type == "counter")
        assert spec.help.endswith(".")
        assert spec.per_target == ({"namespace", "name"} <= set(spec.labels))
        assert spec.type == "gauge" or "name" not in spec.labels
    assert len({spec.name for spec in METRICS}) == len(METRICS)
    assert set(READERS) == {spec.name for spec in METRICS if spec.per_target}


def test_known_series__start_at_zero() -> None:
    metrics = Metrics()
    metrics.observe_controller("environment", depth=lambda: 0, active=lambda: 0)
    for kind in OutcomeKind:
        assert value(metrics, "setpoint_reconcile_total", controller="environment", result=kind) == 0
    for result in Result:
        assert value(metrics, "setpoint_applies_total", result=result) == 0
        assert value(metrics, "setpoint_resets_total", result=result) == 0
    assert value(metrics, "setpoint_step_duration_seconds_count", step="apply") == 0
    assert value(metrics, "setpoint_events_dropped_total", cause="queue") == 0
    assert value(metrics, "setpoint_audit_rows_total") == 0
    chain = value(metrics, "setpoint_audit_chain_ok")
    assert chain is not None
    assert math.isnan(chain)


@pytest.mark.parametrize("kind", list(OutcomeKind))
def test_reconcile__counted_by_result_and_as_error_where_it_is_one(kind: OutcomeKind) -> None:
    metrics = full()
    metrics.count_reconcile("environment", kind, 0.2)
    assert value(metrics, "setpoint_reconcile_total", controller="environment", result=kind) == 1
    is_error = kind in {OutcomeKind.ERROR, OutcomeKind.TIMEOUT}
    assert value(metrics, "setpoint_reconcile_errors_total", controller="environment") == is_error
    assert value(metrics, "setpoint_reconcile_duration_seconds_sum", controller="environment") == 0.2


def test_controller_gauges__asked_at_each_scrape() -> None:
    metrics, depth = Metrics(), [1, 2]
    metrics.observe_controller("environment", depth=lambda: len(depth), active=lambda: 1)
    assert value(metrics, "setpoint_queue_depth", controller="environment") == 2
    depth.append(3)
    assert value(metrics, "setpoint_queue_depth", controller="environment") == 3
    assert value(metrics, "setpoint_active_workers", controller="environment") == 1


def test_gauge_of_a_kind_of_target__is_added__and_starts_at_zero() -> None:
    metrics = Metrics()
    show = metrics.gauge(STATE_LOCKS)
    for state in ("held", "orphaned"):
        assert value(metrics, "setpoint_state_locks", state=state) == 0
    show("held", value=2)
    assert value(metrics, "setpoint_state_locks", state="held") == 2


def test_the_other_counters_and_gauges() -> None:
    metrics = full()
    metrics.queue_latency("environment")(0.3)
    metrics.count_seal_failure()
    metrics.set_approvals_pending(4)
    metrics.count_apply(Result.FAILED)
    metrics.count_reset(Result.SUCCEEDED)
    metrics.count_audit_rows(7)
    metrics.set_audit_chain_ok(True)
    metrics.count_dropped_event("rate")
    series = exposed(metrics)

    def read(name: str, /, **labels: str) -> float:
        return series[name, frozenset(labels.items())]

    assert read("setpoint_queue_latency_seconds_sum", controller="environment") == 0.3
    assert read("setpoint_gate_decisions_total", gate="baseline", stage="apply", verdict="Fail") == 1
    assert read("setpoint_seal_failures_total") == 1
    assert read("setpoint_approvals_pending") == 4
    assert read("setpoint_applies_total", result="Failed") == 1
    assert read("setpoint_resets_total", result="Succeeded") == 1
    assert read("setpoint_audit_rows_total") == 7
    assert read("setpoint_audit_chain_ok") == 1
    assert read("setpoint_events_dropped_total", cause="rate") == 1


def test_time_step__measured_however_it_ends() -> None:
    metrics = Metrics()
    with metrics.time_step("plan"):
        pass
    with pytest.raises(LookupError), metrics.time_step("plan"):
        raise LookupError
    assert value(metrics, "setpoint_step_duration_seconds_count", step="plan") == 2


def test_target__all_that_is_known_of_it() -> None:
    metrics = full()
    series = exposed(metrics)
    target = set(TARGET.items())

    def read(name: str, /, **labels: str) -> float | None:
        return series.get((name, frozenset(target | set(labels.items()))))

    assert read("setpoint_target_info", stage="prod") == 1
    assert read("setpoint_condition", type="Ready", status="False") == 1
    assert read("setpoint_condition", type="Ready", status="True") is None
    assert read("setpoint_condition", type="Drifted", status="True") == 1
    drift = {kind: read("setpoint_drift_resources", **{"class": kind.value}) for kind in DriftClass}
    assert list(drift.values()) == [2, 1, 0, 0]
    assert read("setpoint_drift_since_timestamp_seconds") == 1000
    assert read("setpoint_last_success_timestamp_seconds") == 900
    assert read("setpoint_snapshot_timestamp_seconds") == 800
    assert read("setpoint_reset_ready") == 1


def test_target__what_is_not_known_has_no_series() -> None:
    metrics = Metrics()
    metrics.set_target(PROD, TargetSample(stage="prod"))
    names = {name for name, labels in exposed(metrics) if labels >= set(TARGET.items())}
    assert names == {"setpoint_target_info", "setpoint_drift_resources", "setpoint_drift_violations"}


def test_target__replaced_and_dropped() -> None:
    metrics = full()
    metrics.set_target(PROD, TargetSample(stage="staging"))
    assert value(metrics, "setpoint_target_info", stage="staging", **TARGET) == 1
    assert value(metrics, "setpoint_target_info", stage="prod", **TARGET) is None
    metrics.drop_target(PROD)
    metrics.drop_target(PROD)
    assert not [labels for _, labels in exposed(metrics) if labels >= set(TARGET.items())]


def test_label_values__are_escaped() -> None:
    metrics = Metrics()
    metrics.set_target(PROD, TargetSample(stage='a"b\\c\nd'))
    assert value(metrics, "setpoint_target_info", stage='a"b\\c\nd', **TARGET) == 1


def test_render__while_targets_come_and_go() -> None:
    metrics, stop = Metrics(), threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            ref = ObjectRef("Environment", "default", f"e{number % 20}")
            metrics.set_target(ref, SAMPLE)
            metrics.drop_target(ObjectRef("Environment", "default", f"e{(number + 10) % 20}"))
            number += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(3):
            exposed(metrics)
    finally:
        stop.set()
        thread.join()


def test_two_registries__do_not_meet() -> None:
    one, other = Metrics(), Metrics()
    one.count_audit_rows(5)
    assert value(other, "setpoint_audit_rows_total") == 0


def test_targets__are_counted_by_how_they_rest() -> None:
    metrics = Metrics()
    metrics.set_target(PROD, SAMPLE)
    for number in range(3):
        ref = ObjectRef("Environment", "default", f"dev-{number}")
        metrics.set_target(ref, TargetSample(reason="AtSetpoint", conditions=(("Ready", "True"),)))
    metrics.set_target(ObjectRef("Environment", "default", "new"), TargetSample())

    def count(ready: str, reason: str) -> float | None:
        return value(metrics, "setpoint_targets", kind="Environment", ready=ready, reason=reason)

    assert (count("False", "ApprovalRequired"), count("True", "AtSetpoint"), count("Unknown", "")) == (1, 3, 1)
    assert value(metrics, "setpoint_target_metrics_suppressed") == 0


def test_targets__are_not_shown_one_by_one_where_there_are_too_many() -> None:
    metrics = Metrics()
    for number in range(MAX_SHOWN + 1):
        ref = ObjectRef("Environment", "default", f"dev-{number}")
        metrics.set_target(ref, TargetSample(stage="dev", reason="AtSetpoint", conditions=(("Ready", "True"),)))
    assert value(metrics, "setpoint_target_metrics_suppressed") == 1
    assert value(metrics, "setpoint_targets", kind="Environment", ready="True", reason="AtSetpoint") == MAX_SHOWN + 1
    assert not [name for name, _ in exposed(metrics) if name == "setpoint_target_info"]
    metrics.drop_target(ObjectRef("Environment", "default", "dev-7"))
    assert value(metrics, "setpoint_target_metrics_suppressed") == 0
    assert len([name for name, _ in exposed(metrics) if name == "setpoint_target_info"]) == MAX_SHOWN


def test_the_cluster_home__says_who_leads_and_whether_it_sees() -> None:
    metrics = Metrics()
    metrics.set_leader("0/2", True)
    metrics.set_leader("1/2", False)
    metrics.count_watch_restart("blind")
    metrics.observe_watch(lambda: 12.5)
    assert value(metrics, "setpoint_leader", shard="0/2") == 1
    assert value(metrics, "setpoint_leader", shard="1/2") == 0
    assert value(metrics, "setpoint_watch_restarts_total", cause="blind") == 1
    assert value(metrics, "setpoint_watch_restarts_total", cause="died") == 0
    assert value(metrics, "setpoint_watch_dead_seconds") == 12.5
