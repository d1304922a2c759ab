"""Owns the plan as policies judge it, and what of their words may be shown. Pure.

Policies get the real values: a rule that sees a mask in place of a value passes it. So what they say is scrubbed, and
not what they see: by the values of Secrets, and by every value that Terraform marks as sensitive in this plan. Left out
are `prior_state`, `planned_values`, `variables` and the configuration, for nobody decides on them.
"""

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from setpoint.domain.judged import MAX_SHOWN, JudgedChange, Redact
from setpoint.domain.policies import PolicyResult
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.domain.secret_values import known_texts
from setpoint.targets.environment.plan.references import bare, read_references
from setpoint.targets.environment.plan.structure import NO_STRUCTURE, Structure

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
_FIELDS = (*_FACTS, "resource_changes", "resource_drift", "output_changes", "providers")
INPUTS = frozenset(map(".".join, itertools.product(("document", "plan"), _FIELDS)))
"""The fields of a policy's input that Environments alone have: the plan, by either name."""


class Disclosure:
    """Decides what may be shown of a text that was written with a plan's values at hand.

    `hidden` and `more` know the secrets; `known` hides the keys of addresses as they are hidden everywhere else.
    """

    def __init__(
        self,
        hidden: Scrubber = NO_SECRETS,
        more: Scrubber = NO_SECRETS,
        known: Scrubber = NO_SECRETS,
        structure: Structure = NO_STRUCTURE,
    ) -> None:
        self._hidden = hidden
        self._more = more
        self._known = known
        self._structure = structure

    def show(
        self, result: PolicyResult, authored: Collection[str] = (), redact: Redact = lambda text, _: text
    ) -> PolicyResult:
        """The result without secrets, its texts cut only then.

        `authored` are the policies, whose own words are none; `redact` takes out what is secret for other reasons.
        """

        def text(said: str) -> str:
            scrubbed = self._hidden.scrub(said, self._structure.holds, self._more)
            return redact(scrubbed, self._structure.holds)[:MAX_SHOWN]

        def address(said: str) -> str:
            is_one = said in self._structure.addresses
            return redact(self._known.address(said), self._structure.holds) if is_one else text(said)

        violations = (
            dataclasses.replace(
                one,
                rule=one.rule if any(one.rule in policy for policy in authored) else text(one.rule),
                message=text(one.message),
                resource=address(one.resource),
                remediation=text(one.remediation),
            )
            for one in result.violations
        )
        return PolicyResult(tuple(violations), text(result.error))


@dataclasses.dataclass(frozen=True, slots=True)
class JudgedPlan:
    """A plan with secrets in clear: it goes to the policy worker, and is never stored, logged or shown.

    `document` is what gates judge, `drift` what the world changed.
    """

    document: Mapping[str, Any] = dataclasses.field(repr=False)
    drift: Sequence[Mapping[str, Any]] = dataclasses.field(default=(), repr=False)
    disclosure: Disclosure = dataclasses.field(default_factory=Disclosure, repr=False)
    changes: Sequence[JudgedChange] = dataclasses.field(default=(), repr=False)
    alias: ClassVar[str] = "plan"

    @property
    def drifted(self) -> bool:
        """True where the world changed something."""
        return bool(self.drift)

    def of_drift(self) -> dict[str, Any]:
        """The plan that holds the drift alone."""
        return {**self.document, **_NOTHING, "resource_drift": self.drift}

    def without_drift(self) -> dict[str, Any]:
        """The same as it would be had the world changed nothing."""
        recorded = [
            {**item, "change": {**item["change"], "after": item["change"]["before"]}}
            for item in self.drift
            if item["change"]["after"] is not None
        ]
        return {**self.document, **_NOTHING, "resource_drift": recorded}

    def of_nothing(self) -> dict[str, Any]:
        """A plan in which nothing differs."""
        return {**self.document, **_NOTHING}

    def show(self, result: PolicyResult, authored: Collection[str], redact: Redact) -> PolicyResult:
        """The result without the secrets of this plan."""
        return self.disclosure.show(result, authored, redact)


_NOTHING: Mapping[str, Any] = {"resource_changes": [], "resource_drift": [], "output_changes": {}, "providers": []}


def judged_plan(
    document: Mapping[str, Any],
    hidden: Scrubber,
    known: Scrubber = NO_SECRETS,
    *,
    changes: Sequence[JudgedChange] = (),
) -> JudgedPlan:
    """The plan as policies judge it, from a document that `analyse_plan` took; `changes` are that analysis's.

    `known` knows the Secrets' values, `hidden` those and every text that a mask covers.
    """
    outputs = document.get("output_changes") or {}
    items = [item for item in document.get("resource_changes") or () if _acts(item)]
    drift = [item for item in document.get("resource_drift") or () if _is_managed(item)]
    attributes = read_references(document).attributes
    plan: dict[str, Any] = {
        **{key: document[key] for key in _FACTS if isinstance(document.get(key), (str, bool))},
        "resource_changes": [{**_described(item), **_configured(item, attributes)} for item in items],
        "resource_drift": [],
        "output_changes": {name: _change(outputs[name]) for name in sorted(outputs)},
        "providers": _providers(document),
    }
    structure = Structure.of(document, [provider["full_name"] for provider in plan["providers"]])
    masked = set(_masked([*(item["change"] for item in (*items, *drift)), *outputs.values()]))
    more = Scrubber(hidden.lacks(masked), words=masked)
    disclosure = Disclosure(hidden, more, known, structure)
    return JudgedPlan(plan, [_described(item) for item in drift], disclosure, changes)


def _acts(item: Mapping[str, Any]) -> bool:
    change = item["change"]
    moves = item.get("previous_address") or change.get("importing")
    return _is_managed(item) and (change["actions"] not in _IDLE or bool(moves))


def _is_managed(item: Mapping[str, Any]) -> bool:
    return bool(item.get("mode", "managed") == "managed")


def _described(item: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: item[key] for key in _KEPT if isinstance(item.get(key), (str, int))}
    return {**kept, "change": _change(item["change"])}


def _configured(item: Mapping[str, Any], attributes: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The attributes that the code sets: what is unknown beside them is a default that the provider computes."""
    address = bare(item["address"])
    return {"configured": sorted(attributes[address])} if address in attributes else {}


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "actions": change["actions"],
        "before": change.get("before"),
        "after": change.get("after"),
        "after_unknown": change.get("after_unknown"),
        "replace_paths": change.get("replace_paths") or [],
        **({"importing": change["importing"]} if change.get("importing") else {}),
    }


def _masked(changes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Every text, number and key under a mask. A mask of either side counts for both."""
    for change in changes:
        for mask in (change.get("before_sensitive"), change.get("after_sensitive")):
            if mask:
                yield from _under(change.get("before"), mask)
                yield from _under(change.get("after"), mask)


def _under(value: Any, mask: Any) -> Iterator[str]:
    if isinstance(value, dict) and mask is True:
        for key, item in value.items():
            yield key
            yield from _under(item, mask)
    elif isinstance(value, dict) and isinstance(mask, dict):
        for key in mask.keys() & value.keys():
            yield from _under(value[key], mask[key])
    elif isinstance(value, list) and (mask is True or isinstance(mask, list)):
        for index, item in enumerate(value):
            yield from _under(item, mask if mask is True else mask[index] if index < len(mask) else None)
    elif mask is True and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        # Policies in JSON are texts of which a message quotes a part.
        yield from known_texts([str(value)])
        if isinstance(value, float) and value.is_integer():
            yield str(int(value))


def _providers(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """Name, source and version constraint of each provider that the configuration names."""
    found = _map(_map(document.get("configuration")).get("provider_config"))
    names = ("name", "full_name", "version_constraint")
    return [{name: _text(_map(provider).get(name)) for name in names} for provider in found.values()]


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
