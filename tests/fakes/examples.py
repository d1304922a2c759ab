"""Owns example objects with statuses, for tests."""

import copy
from typing import Any

from setpoint.api.target import member_name
from setpoint.api.v1alpha1.snapshot import SnapshotSpec
from setpoint.cli.examples import EXAMPLES
from setpoint.domain.shown_content import ShownContent, write_lines
from setpoint.pipeline.snapshots import content_digest


def example(kind: str, **changes: Any) -> dict[str, Any]:
    """The kind's example; `name`, `namespace`, `labels` and `status` are set where given, all else is of the spec.

    What is said of an Environment alone is `environment`, and makes way where the target is of another kind.
    """
    obj = copy.deepcopy(EXAMPLES[kind])
    if (other := changes.get("targetRef", {}).get("kind", "Environment")) != "Environment":
        if obj["spec"].pop("environment", None):
            obj["spec"][member_name(other)] = {"shown": obj["spec"]["digest"]} if kind == "Snapshot" else {}
    elif "environment" in changes:
        changes["environment"] = obj["spec"]["environment"] | changes["environment"]
    for key in ("name", "namespace", "labels"):
        if key in changes:
            obj["metadata"][key] = changes.pop(key)
    if "status" in changes:
        obj["status"] = changes.pop("status")
        if kind == "Change":
            obj["status"].setdefault("content", {"lines": list(CONTENT.lines)})
    obj["spec"] |= changes
    return obj


def taken(**changes: Any) -> dict[str, Any]:
    """The example Snapshot as if Setpoint had taken it: its digest is that of what it says."""
    obj = example("Snapshot", **changes)
    obj["spec"]["digest"] = content_digest(SnapshotSpec.model_validate(obj["spec"]))
    return obj


def condition(type_: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }


CONTENT = ShownContent(
    write_lines(
        [
            {"kind": "resource", "address": "aws_instance.web", "actions": ["update"]},
            {"path": "tags.owner", "before": "mallory", "after": "ada"},
        ]
    )
)

ENVIRONMENT_STATUS = {
    "observedGeneration": 1,
    "conditions": [
        condition(
            "Ready",
            "False",
            "ApprovalRequired",
            "Change shop-prod-a1b2c3d4e506060606060606060606060606 waits for 1 approval",
        ),
        condition("ResetReady", "True", "DrillPassed"),
    ],
    "drift": {"actionable": 1, "informational": 2, "pending": 0, "cascade": 0, "addresses": ["aws_instance.web"]},
    "change": "shop-prod-a1b2c3d4e506060606060606060606060606",
    "state": {"version": 7, "serial": 9, "lineage": "l", "resources": 12},
}
CHANGE_STATUS = {
    "observedGeneration": 1,
    "outcome": "Blocked",
    "conditions": [condition("Gated", "False", "GateBlocked", "four-eyes blocks")],
    "gates": [
        {"gate": "baseline", "stage": "plan", "verdict": "Pass"},
        {
            "gate": "four-eyes",
            "stage": "plan",
            "verdict": "Pending",
            "blocks": True,
            "messages": ["two people must agree"],
        },
    ],
}
