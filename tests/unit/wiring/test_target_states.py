"""The word of a run for a target, by how its last pass ended."""

from typing import Any

import pytest

from setpoint.api.meta import ObjectRef
from setpoint.pipeline.reconciler import PassReport
from setpoint.wiring.manager import _state_of

ENDED: dict[str, Any] = {
    "ready": "False",
    "message": "",
    "stalled": False,
    "failed": False,
    "change": None,
    "done": False,
}


@pytest.mark.parametrize(
    ("reason", "ended", "state"),
    [
        pytest.param("AtSetpoint", {"ready": "True"}, "at the setpoint", id="ready"),
        pytest.param("Held", {}, "held", id="held"),
        pytest.param("Held", {"done": True}, "held", id="held since the reset of this run"),
        pytest.param("Held", {"failed": True}, "failed", id="held, and what followed failed"),
        pytest.param("Unhealthy", {}, "needs attention", id="held since an apply, and says why"),
        pytest.param("Released", {"ready": "True"}, "released", id="released"),
        pytest.param("Destroyed", {"ready": "True"}, "at the setpoint", id="destroyed"),
        pytest.param("ApprovalRequired", {}, "needs attention", id="waits"),
        pytest.param("NameTaken", {"stalled": True}, "failed", id="stalled"),
        pytest.param("PlanFailed", {"ready": "Unknown", "failed": True}, "failed", id="failed"),
    ],
)
def test_how_a_target_ended(reason: str, ended: dict[str, Any], state: str) -> None:
    report = PassReport(ObjectRef("Environment", "default", "shop"), reason=reason, **{**ENDED, **ended})
    assert _state_of(report) == state
