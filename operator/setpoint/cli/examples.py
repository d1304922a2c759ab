"""Owns one example object per kind, for the reference pages. Tests hold them against types and schemas."""

from setpoint.api.meta import API_VERSION, JsonObject
from setpoint.api.v1alpha1 import Environment

_CONTENT = "sha256:4df8f0dec4560646d2cb66be089354b90dbb17f2f1f36d88545a610b489e1576"
_SUBJECT = "sha256:" + "a1b2c3d4e5" + "06" * 27
_BUNDLE = "sha256:" + "7e" * 32
_VARIABLES = "sha256:" + "3b" * 32


def _example(kind: str, name: str, spec: JsonObject, *, namespace: str | None = "default") -> JsonObject:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


EXAMPLES: dict[str, JsonObject] = {
    Environment.__name__: _example(
        Environment.__name__,
        "shop-prod",
        {
            "stage": "prod",
            "engine": {"type": "terraform", "version": ">= 1.9"},
            "source": {"path": "./infra"},
            "credentials": {"plan": [{"secretRef": {"name": "cloud-read"}}]},
            "variables": {"region": "eu-1"},
            "interval": "10m",
            "drift": {"mode": "Propose", "ignore": [{"address": "aws_instance.*", "paths": ["tags.seen"]}]},
            "approvals": {"required": 1, "ttl": "8h"},
            "protection": {"types": ["aws_db_instance"]},
            "health": [{"http": {"url": "https://shop.example.com/healthz"}, "timeout": "30s"}],
        },
    ),
    "Change": _example(
        "Change",
        "shop-prod-a1b2c3d4e506060606060606060606060606",
        {
            "targetRef": {"kind": Environment.__name__, "name": "shop-prod"},
            "cause": "Drift",
            "digest": _CONTENT,
            "subject": _SUBJECT,
            "summary": {
                "update": 1,
                "actions": [
                    {"address": "aws_instance.web", "action": "update", "paths": ["tags"], "cause": "actionable"}
                ],
                "text": "+0 ~1 -0",
            },
            "snapshotRef": "shop-prod-7",
            "resetPlan": {
                "digest": "sha256:" + "9c" * 32,
                "drill": "Passed",
                "worst": "Reversible",
                "actions": [{"address": "aws_instance.web", "action": "update", "reversibility": "Reversible"}],
            },
            "base": "7",
            "configuration": f"{_BUNDLE} {_VARIABLES}",
            "generation": 3,
            "approvalsRequired": 1,
            "environment": {"bundle": _BUNDLE, "stateVersion": 7},
        },
    ),
    "Snapshot": _example(
        "Snapshot",
        "shop-prod-7",
        {
            "targetRef": {"kind": Environment.__name__, "name": "shop-prod"},
            "digest": "sha256:" + "5d" * 32,
            "configuration": f"{_BUNDLE} {_VARIABLES}",
            "generation": 3,
            "environment": {
                "stateVersion": 7,
                "bundle": _BUNDLE,
                "variables": _VARIABLES,
                "engine": "terraform 1.11.4",
                "resources": 12,
            },
        },
    ),
    "Approval": _example(
        "Approval",
        "shop-prod-a1b2c3d4e506060606060606060606060606-ada-k3x9q",
        {
            "changeRef": {"name": "shop-prod-a1b2c3d4e506060606060606060606060606"},
            "subject": _SUBJECT,
            "verdict": "Approved",
            "approver": "ada",
        },
    ),
    "Reset": _example(
        "Reset",
        "shop-prod-reset-k3x9q",
        {
            "targetRef": {"kind": Environment.__name__, "name": "shop-prod"},
            "snapshotRef": {"name": "shop-prod-7"},
            "reason": "the new load balancer drops connections",
            "requestedBy": "ada",
        },
    ),
    "PolicySet": _example(
        "PolicySet", "baseline", {"source": {"builtin": "baseline"}, "params": {"max_destroyed": 0}}, namespace=None
    ),
    "EnforcementGates": _example(
        "EnforcementGates",
        "production",
        {
            "gates": [
                {
                    "name": "baseline",
                    "stages": ["plan", "apply"],
                    "selector": {"stages": ["prod"]},
                    "policySets": [{"name": "baseline"}],
                    "level": "hard-mandatory",
                    "levels": {"low": "advisory"},
                },
                {"name": "four-eyes", "stages": ["plan"], "blastRadius": {"maxDelete": 0}, "approvals": 2},
            ]
        },
        namespace=None,
    ),
}
