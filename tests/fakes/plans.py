"""Makes plan documents: those that a real Terraform wrote (tests/data/plans), ones by hand, and any at all."""

import copy
import functools
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from setpoint.domain.digests import keyed_digest
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.targets.environment.plan import analysis as planned

RECORDED = Path(__file__).parents[1] / "data" / "plans"
NAMES = tuple(sorted(path.stem for path in RECORDED.glob("*.json")))
ACTIONS = (["no-op"], ["create"], ["update"], ["delete"], ["delete", "create"], ["create", "delete"], ["forget"])
_ENTRY_FIELDS = frozenset({"mode", "previous_address", "deposed", "action_reason"})


@functools.cache
def _text(name: str) -> str:
    return (RECORDED / f"{name}.json").read_text()


def recorded(name: str) -> dict[str, Any]:
    """A recorded document, to do with as one likes."""
    document: dict[str, Any] = json.loads(_text(name))
    return document


def commit(sensitive: bytes) -> str:
    """The commitment of a home whose key everybody knows."""
    return keyed_digest(b"k" * 32, sensitive)


def analyse_plan(document: Any, ignore: Any = (), secrets: Scrubber = NO_SECRETS) -> planned.PlanAnalysis:
    """The analysis in that home."""
    return planned.analyse_plan(document, ignore, secrets, commit=commit)


# --- By hand ------------------------------------------------------------------------------------------------------


def change(address: str, actions: list[str], before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    """One entry of `resource_changes`; what belongs into its `change` may be given in `more`."""
    inner = {key: more.pop(key) for key in list(more) if key not in _ENTRY_FIELDS}
    return {
        "address": address,
        "mode": "managed",
        "type": address.split(".")[-2],
        **more,
        "change": {"actions": actions, "before": before, "after": after, "after_unknown": {}, **inner},
    }


def update(address: str, before: Any, after: Any, **more: Any) -> dict[str, Any]:
    return change(address, ["update"], before, after, **more)


def plan(*changes: dict[str, Any], drift: Any = (), outputs: Any = None, configuration: Any = None) -> dict[str, Any]:
    return {
        "format_version": "1.2",
        "resource_changes": list(changes),
        "resource_drift": list(drift),
        "output_changes": outputs or {},
        "configuration": {"root_module": configuration or {}},
        "timestamp": "2026-01-01T00:00:00Z",
        "complete": True,
        "errored": False,
    }


def large_plan(count: int, *, secrets: bool = False) -> dict[str, Any]:
    """A plan of so many changes of every kind, each with about twenty leaves a side."""
    kinds = (["update"], ["create"], ["delete"], ["delete", "create"], ["update"])
    mask = {"password": True} if secrets else {}
    changes = []
    for index in range(count):
        actions = kinds[index % len(kinds)]
        before = None if actions == ["create"] else _instance(index, "before")
        after = None if actions == ["delete"] else _instance(index, "after")
        address = f"module.stack[{index % 12}].aws_instance.r{index}"
        changes.append(change(address, actions, before, after, before_sensitive=mask, after_sensitive=mask))
    return plan(*changes, drift=copy.deepcopy(changes[::5]))


def _instance(index: int, side: str) -> dict[str, Any]:
    rules = [{"from_port": port, "cidr_blocks": ["10.0.0.0/8"], "description": f"r{port}"} for port in range(4)]
    tags = {f"tag-{number}": f"value-{number}" for number in range(6)}
    return {"id": f"i-{index}", "size": side, "password": f"{side}-secret-{index}", "tags": tags, "ingress": rules}


# --- Any plan at all ----------------------------------------------------------------------------------------------

_keys = st.text(alphabet='ab.[]"0', min_size=1, max_size=3)
_scalars = st.none() | st.booleans() | st.integers(0, 3) | st.floats(0, 2, allow_nan=False) | _keys
values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3))
attributes = st.dictionaries(st.sampled_from(["id", "name", "tags", "rules"]), values, max_size=4)


@st.composite
def masks_of(draw: st.DrawFn, value: Any) -> Any:
    """A mask that fits a value: true at any level, or false, or nested."""
    if draw(st.booleans()):
        return draw(st.booleans())
    if isinstance(value, dict):
        return {key: draw(masks_of(item)) for key, item in value.items()}
    if isinstance(value, list):
        return [draw(masks_of(item)) for item in value]
    return draw(st.booleans())


@st.composite
def changes(draw: st.DrawFn, address: str, actions: list[str]) -> dict[str, Any]:
    before = None if actions == ["create"] else draw(attributes)
    after = None if actions in (["delete"], ["forget"]) else draw(attributes)
    if actions == ["no-op"]:
        after = before
    unknown = {} if after is None or actions == ["no-op"] else draw(masks_of(draw(attributes)))
    return change(
        address,
        actions,
        before,
        after,
        after_unknown=unknown if isinstance(unknown, dict) else {},
        before_sensitive=draw(masks_of(before)),
        after_sensitive=draw(masks_of(after)),
    )


@st.composite
def outputs(draw: st.DrawFn) -> dict[str, Any]:
    before, after = draw(values), draw(values)
    masks = draw(st.booleans())
    actions = draw(st.sampled_from([["no-op"], ["update"]]))
    return {
        "actions": actions,
        "before": before,
        "after": before if actions == ["no-op"] else after,
        "before_sensitive": masks,
        "after_sensitive": masks,
    }


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    addresses = draw(st.lists(st.sampled_from("abcde"), unique=True, max_size=5))
    found = [draw(changes(f"t.{address}", draw(st.sampled_from(ACTIONS)))) for address in addresses]
    drifted = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=4))
    drift = [draw(changes(f"t.{address}", draw(st.sampled_from([["update"], ["delete"]])))) for address in drifted]
    named = draw(st.dictionaries(st.sampled_from(["one", "two"]), outputs(), max_size=2))
    names = st.lists(st.sampled_from(["t.a", "t.b.id", "t.b", "data.d.x.id", "local.x", "var.v"]), max_size=2)
    resources = [
        {"address": f"t.{address}", "mode": "managed", "expressions": {"name": {"references": draw(names)}, "tags": {}}}
        for address in addresses
    ]
    if draw(st.booleans()):
        deferred = {"mode": "data", "action_reason": "read_because_dependency_pending"}
        found.append(change("data.d.x", ["read"], after={}, after_unknown={"id": True}, **deferred))
        resources.append({"address": "data.d.x", "mode": "data", "depends_on": draw(names)})
    return plan(*found, drift=drift, outputs=named, configuration={"resources": resources})
