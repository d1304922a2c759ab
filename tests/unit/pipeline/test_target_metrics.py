"""Targets in a scrape: as the last pass left them, and nothing of one that is gone."""

import datetime as dt
import re
from typing import Any

import pytest
from tests.fakes.examples import condition, example
from tests.fakes.reconciling import START

from setpoint.api.v1alpha1.environment import Environment
from setpoint.pipeline.target_metrics import TargetMetrics
from setpoint.runtime.metrics import Metrics

READY = condition("Ready", "True", "AtSetpoint")
NOT_READY = condition("Ready", "False", "GateBlocked")
DRILLED = condition("ResetReady", "True", "DrillPassed")
NOT_DRILLED = condition("ResetReady", "False", "DrillFailed")
DIGEST = "sha256:" + "7e" * 32


class Board:
    """A process's metrics, and what a scrape of them shows."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.targets = TargetMetrics(self.metrics)

    def observe(self, name: str = "shop-prod", *, hours: int = 0, **status: Any) -> Environment:
        environment = Environment.model_validate(example("Environment", name=name, status=status))
        self.targets.observe(environment, environment.status, now=START + dt.timedelta(hours=hours))
        return environment

    def shown(self, metric: str) -> dict[str, float]:
        """The series of a metric: the labels that are no target's, to the value."""
        lines = re.findall(rf"^setpoint_{metric}(?:\{{(.*)\}})? (\S+)$", self.metrics.render().decode(), re.MULTILINE)
        return {
            re.sub(r'(kind|namespace|name)="[^"]*",?', "", labels).strip(","): float(value) for labels, value in lines
        }


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.mark.parametrize(
    ("status", "metric", "series"),
    [
        pytest.param({}, "target_info", {'stage="prod"': 1}, id="stage"),
        pytest.param({"conditions": [NOT_READY]}, "condition", {'status="False",type="Ready"': 1}, id="condition"),
        pytest.param(
            {"drift": {"actionable": 1, "informational": 2, "pending": 3, "cascade": 4}},
            "drift_resources",
            {'class="actionable"': 1, 'class="informational"': 2, 'class="pending"': 3, 'class="cascade"': 4},
            id="drift",
        ),
        pytest.param({"drift": {"violations": 5}}, "drift_violations", {"": 5}, id="drift that violates a policy"),
        pytest.param({}, "drift_since_timestamp_seconds", {}, id="no drift"),
        pytest.param(
            {"drift": {"actionable": 1, "since": "1970-01-01T00:01:00Z"}},
            "drift_since_timestamp_seconds",
            {"": 60},
            id="drift since",
        ),
        pytest.param({"conditions": [NOT_READY]}, "last_success_timestamp_seconds", {}, id="never at the setpoint"),
        pytest.param({}, "reset_ready", {}, id="way back not known"),
        pytest.param({"conditions": [DRILLED]}, "reset_ready", {"": 1}, id="a way back"),
        pytest.param({"conditions": [NOT_DRILLED]}, "reset_ready", {"": 0}, id="none"),
        pytest.param({}, "snapshot_timestamp_seconds", {}, id="no snapshot"),
        pytest.param(
            {"applied": {"bundle": DIGEST, "archive": DIGEST, "variables": DIGEST, "at": "1970-01-01T00:01:00Z"}},
            "snapshot_timestamp_seconds",
            {"": 60},
            id="snapshot",
        ),
    ],
)
def test_a_target_is_shown(board: Board, status: dict, metric: str, series: dict[str, float]) -> None:
    board.observe(**status)
    assert board.shown(metric) == series


def test_the_last_success_outlasts_a_failure(board: Board) -> None:
    board.observe(conditions=[READY])
    board.observe(hours=1, conditions=[NOT_READY])
    assert board.shown("last_success_timestamp_seconds") == {"": START.timestamp()}
    board.observe(hours=2, conditions=[READY])
    assert board.shown("last_success_timestamp_seconds") == {"": START.timestamp() + 7200}


def test_changes_that_wait_are_counted_once_each(board: Board) -> None:
    waiting = board.observe("one", change="c-1")
    board.observe("one", change="c-1")
    board.observe("two", change="c-2")
    board.observe("three")
    assert board.shown("approvals_pending") == {"": 2}
    board.observe("two")
    assert board.shown("approvals_pending") == {"": 1}
    board.targets.drop(waiting.ref)
    assert board.shown("approvals_pending") == {"": 0}


def test_one_that_is_gone_leaves_no_series(board: Board) -> None:
    gone = board.observe(conditions=[READY], change="c-1")
    board.targets.drop(gone.ref)
    board.targets.drop(gone.ref)
    assert 'name="shop-prod"' not in board.metrics.render().decode()
    board.observe(conditions=[NOT_READY])
    assert board.shown("last_success_timestamp_seconds") == {}, "another of the name starts anew"
