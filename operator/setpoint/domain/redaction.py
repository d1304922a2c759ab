"""Owns the plan as policies and people may see it: without secrets, without what nobody decides on. Pure.

Left out are `prior_state`, `planned_values`, `variables` and the configuration: each repeats values without masks.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from setpoint.api.v1alpha1.change import ResetAction
from setpoint.domain.model import Change
from setpoint.domain.plan_changes import read_outputs, read_resources
from setpoint.domain.plan_masks import hidden_texts
from setpoint.domain.plan_values import SENSITIVE, hide, leaves, occurring, scrub, scrub_values

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
_FACTS = ("format_version", "terraform_version", "complete", "errored")


def redact_plan(document: Mapping[str, Any], secrets: Collection[str] = ()) -> dict[str, Any]:
    """Changes and outputs with their sensitive parts replaced, and the providers' constraints; nothing else.

    A mask of either side counts for both: where a value has only now become sensitive, it was no less secret before.
    `secrets` are values known to be secret, of six characters or more; these are taken out of every text, and every
    text that a mask covers is taken out of all values. Raises InvalidError for what is no plan.
    """
    read = (*read_resources(document, "resource_changes"), *read_outputs(document))
    outputs = document.get("output_changes") or {}
    items = [item for item in document.get("resource_changes") or () if _acts(item)]
    redacted = {
        "resource_changes": [{**_kept(item), "change": _change(item["change"])} for item in items],
        "resource_drift": [],
        "output_changes": {name: _change(outputs[name]) for name in sorted(outputs)},
    }
    masked = occurring(hidden_texts(document, read), _texts(redacted))
    facts = {**_facts(document), **scrub_values(redacted, masked), "providers": _providers(document)}
    known = occurring(secrets, _texts(facts))
    cleaned: dict[str, Any] = _scrub_all(facts, known)
    return cleaned


def _acts(item: Mapping[str, Any]) -> bool:
    if item.get("mode", "managed") != "managed":
        return False
    change = item["change"]
    return change["actions"] not in _IDLE or bool(item.get("previous_address") or change.get("importing"))


def _kept(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item[key] for key in _KEPT if isinstance(item.get(key), (str, int))}


def _facts(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: document[key] for key in _FACTS if isinstance(document.get(key), (str, bool))}


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    masks = (change.get("before_sensitive"), change.get("after_sensitive"))
    return {
        "actions": change["actions"],
        "before": _hide(change.get("before"), *masks),
        "after": _hide(change.get("after"), *masks),
        "after_unknown": _hide_unknown(change.get("after_unknown"), *masks),
        "replace_paths": change.get("replace_paths") or [],
        **({"importing": change["importing"]} if change.get("importing") else {}),
    }


def _hide(value: Any, *masks: Any) -> Any:
    leaves(value)  # Refuses what is too deep to follow.
    for mask in masks:
        value = hide(value, mask)
    return value


def _hide_unknown(unknown: Any, *masks: Any) -> Any:
    """Below a mask, only whether something is unknown: the keys may be secret."""
    return _summarise(_hide(unknown, *masks), unknown)


def _summarise(hidden: Any, unknown: Any) -> Any:
    if hidden == SENSITIVE:
        return any(value is True for value in leaves(unknown).values())
    if isinstance(hidden, Mapping):
        return {key: _summarise(item, unknown[key]) for key, item in hidden.items()}
    if isinstance(hidden, list):
        return [_summarise(item, unknown[index]) for index, item in enumerate(hidden)]
    return hidden


def _texts(value: Any) -> Iterator[str]:
    for path, leaf in leaves(value).items():
        yield from (part for part in (*path, leaf) if isinstance(part, str))


def _scrub_all(value: Any, secrets: Collection[str]) -> Any:
    if not secrets:
        return value
    if isinstance(value, Mapping):
        return {scrub(key, secrets): _scrub_all(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_scrub_all(item, secrets) for item in value]
    return scrub(value, secrets) if isinstance(value, str) else value


def _providers(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name, source and version constraint of each provider that the configuration names."""
    found = _map(_map(document.get("configuration")).get("provider_config"))
    names = ("name", "full_name", "version_constraint")
    return [{name: _text(_map(provider).get(name)) for name in names} for provider in found.values()]


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


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
    """What a policy sees as `input`; with the instant, so that a verdict can be replayed."""
    summary = change.summary.as_json()
    return {
        "plan": dict(redacted),
        "target": dict(target),
        "change": {"cause": change.cause, "summary": {key: summary[key] for key in summary if key != "actions"}},
        "gate": {"name": gate, "stage": stage},
        "reset": {"worst": worst, "actions": [action.as_json() for action in reset_actions]},
        "now": now,
    }
