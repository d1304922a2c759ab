"""Owns plan documents for tests: those recorded with a real Terraform, and large made-up ones."""

import copy
import functools
import json
from pathlib import Path
from typing import Any

_RECORDINGS = Path(__file__).parents[1] / "data" / "plans"

RECORDINGS = tuple(sorted(path.stem for path in _RECORDINGS.glob("*.json")))


@functools.cache
def _text(name: str) -> str:
    return (_RECORDINGS / f"{name}.json").read_text()


def recording(name: str) -> dict[str, Any]:
    """A document of tests/data/plans, to do with as one likes."""
    document: dict[str, Any] = json.loads(_text(name))
    return document


def change(actions: list[str], before: Any, after: Any, **fields: Any) -> dict[str, Any]:
    """The `change` of a resource or an output."""
    masks = {"after_unknown": {}, "before_sensitive": {}, "after_sensitive": {}}
    return {"actions": actions, "before": before, "after": after, **masks, **fields}


def resource(address: str, actions: list[str], before: Any, after: Any, **fields: Any) -> dict[str, Any]:
    """One of `resource_changes`; fields of the change itself come as `change_NAME`."""
    inner = {key.removeprefix("change_"): fields.pop(key) for key in list(fields) if key.startswith("change_")}
    type_ = address.split(".")[-2]
    return {
        "address": address,
        "mode": "managed",
        "type": type_,
        "change": change(actions, before, after, **inner),
    } | fields


def plan(*changes: dict[str, Any], drift: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    """A plan document."""
    return {"format_version": "1.2", "resource_changes": list(changes), "resource_drift": drift or [], **fields}


def large_plan(count: int, *, secrets: bool = False) -> dict[str, Any]:
    """A plan of so many changes of every kind, each with about twenty leaves a side."""
    kinds = (["update"], ["create"], ["delete"], ["delete", "create"], ["update"])
    masks = dict.fromkeys(("change_before_sensitive", "change_after_sensitive"), {"password": True} if secrets else {})
    changes = []
    for index in range(count):
        actions = kinds[index % len(kinds)]
        before = None if actions == ["create"] else _instance(index, "before")
        after = None if actions == ["delete"] else _instance(index, "after")
        changes.append(resource(f"module.stack[{index % 12}].aws_instance.r{index}", actions, before, after, **masks))
    return plan(*changes, drift=copy.deepcopy(changes[::5]))


def _instance(index: int, side: str) -> dict[str, Any]:
    rules = [{"from_port": port, "cidr_blocks": ["10.0.0.0/8"], "description": f"r{port}"} for port in range(4)]
    tags = {f"tag-{number}": f"value-{number}" for number in range(6)}
    return {"id": f"i-{index}", "size": side, "password": f"{side}-secret-{index}", "tags": tags, "ingress": rules}
