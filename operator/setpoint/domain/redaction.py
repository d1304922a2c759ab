"""Owns the plan as policies and people may see it: without secrets, without what nobody decides on. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from setpoint.api.v1alpha1.change import ResetAction
from setpoint.domain.model import Change
from setpoint.domain.plan_values import redact, scrub

_IDLE = (["no-op"], ["read"])
_KEPT = (
    "address",
    "previous_address",
    "module_address",
    "mode",
    "type",
    "name",
    "index",
    "deposed",
    "provider_name",
    "action_reason",
)


def redact_plan(document: Mapping[str, Any], secrets: Collection[str] = ()) -> dict[str, Any]:
    """Changes and outputs with their sensitive parts replaced, and the providers' constraints; nothing else.

    `secrets` are values that are known to be secret and are taken out of every string.
    """
    resources = [_resource(item, secrets) for item in document.get("resource_changes") or () if _acts(item)]
    outputs = {name: _change(change, secrets) for name, change in (document.get("output_changes") or {}).items()}
    return {
        "format_version": document.get("format_version", ""),
        "terraform_version": document.get("terraform_version", ""),
        "resource_changes": resources,
        "output_changes": outputs,
        "providers": _providers(document.get("configuration") or {}),
    }


def _acts(item: Mapping[str, Any]) -> bool:
    change = item.get("change") or {}
    return change.get("actions") not in _IDLE or bool(item.get("previous_address") or change.get("importing"))


def _resource(item: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    kept = {key: scrub(item[key], secrets) if isinstance(item[key], str) else item[key] for key in _KEPT if key in item}
    return {**kept, "change": _change(item.get("change") or {}, secrets)}


def _change(change: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    return {
        "actions": change.get("actions", []),
        "before": redact(change.get("before"), change.get("before_sensitive"), secrets),
        "after": redact(change.get("after"), change.get("after_sensitive"), secrets),
        "after_unknown": change.get("after_unknown", {}),
        "replace_paths": change.get("replace_paths", []),
    }


def _providers(configuration: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name, source and version constraint of each provider that the configuration names."""
    found = (configuration.get("provider_config") or {}).values()
    return [
        {
            "name": str(provider.get("name", "")),
            "full_name": str(provider.get("full_name", "")),
            "version_constraint": str(provider.get("version_constraint", "")),
        }
        for provider in found
    ]


def policy_input(
    redacted: Mapping[str, Any],
    *,
    target: Mapping[str, Any],
    change: Change,
    gate: str,
    stage: str,
    reset_actions: Sequence[ResetAction],
    worst: str,
    now: str,
) -> dict[str, Any]:
    """What a policy sees as `input` (docs/reference/policies.md); with the instant, so that a verdict can be replayed."""
    summary = change.summary.as_json()
    return {
        "plan": dict(redacted),
        "target": dict(target),
        "change": {"cause": change.cause, "summary": {key: summary[key] for key in summary if key != "actions"}},
        "gate": {"name": gate, "stage": stage},
        "reset": {"worst": worst, "actions": [action.as_json() for action in reset_actions]},
        "now": now,
    }
