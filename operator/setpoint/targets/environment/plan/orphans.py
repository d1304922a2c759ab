"""Owns what an apply that broke off may have lost: objects that were made, or may have been, and are in no state. Pure.

An address proves nothing: in a replacement, the old object stands at it. What proves that a new object is known is
its id, in a state that the apply itself wrote. What proves that there is none is an answer that says no.
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from setpoint.domain.model import ResourceProgress
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.domain.value_paths import leaves
from setpoint.targets.environment.plan.refusals import is_refusal
from setpoint.targets.environment.plan.state import ResourceInstance
from setpoint.targets.environment.plan.stream import Diagnostic, Message, diagnostics, hook_of

_MAKING = frozenset({"create", "replace"})
_MAX_ID = 256
_MAX_TEXT = 1024
"""As long as an entry of `status.orphans` may be."""


@dataclasses.dataclass(frozen=True, slots=True)
class Creation:
    """The making of one object that began. `id` is empty where Terraform did not tell it."""

    address: str
    id: str = ""


class ApplyAccount:
    """The account of what the stream of an apply has told so far."""

    def __init__(self) -> None:
        self.steps: list[ResourceProgress] = []
        self._planned: list[str] = []
        self._begun: dict[str, Creation] = {}
        self._failed: set[str] = set()
        self._errors: dict[str, list[Diagnostic]] = {}
        self._torn = False
        self._ended = False

    def add(self, message: Message | None) -> ResourceProgress | None:
        """Takes the next message in, None for a line that is none; the step that it tells of, if it does."""
        if message is None:
            self._torn = True
            return None
        hook = hook_of(message)
        if hook is not None:
            self.steps.append(hook)
            self._record(hook)
        elif message["type"] == "planned_change":
            self._planned.extend(_planned(message))
        errors = [one for one in diagnostics([message]) if one.severity == "error"]
        for error in errors:
            self._errors.setdefault(error.address, []).append(error)
        self._ended = self._ended or message["type"] == "change_summary" or bool(errors)
        return hook

    def _record(self, hook: ResourceProgress) -> None:
        if hook.action not in _MAKING:
            return
        known = self._begun.get(hook.address)
        self._begun[hook.address] = Creation(hook.address, hook.id or (known.id if known else ""))
        (self._failed.add if hook.state == "failed" else self._failed.discard)(hook.address)

    def creations(self, *, ended: bool, plan: Mapping[str, Any] | None = None) -> tuple[Creation, ...]:
        """The objects it began to make; `ended`: Terraform came to its own end, so that its last words must be there.

        A disk that is full swallows lines. Where some are missing, whatever was to be made may have been begun.
        What the API refused to make is left out, where the words are whole and `plan`, the document of the plan, tells
        what an error may quote.
        """
        lost = self._torn or (ended and not self._ended)
        if lost or not ended:
            unheard = (Creation(address) for address in self._planned if lost and address not in self._begun)
            return (*self._begun.values(), *unheard)
        return tuple(one for one in self._begun.values() if one.id or not self._is_refused(one.address, plan))

    def _is_refused(self, address: str, plan: Mapping[str, Any] | None) -> bool:
        """True where Terraform heard of the failure, and each of its errors is an answer that says no."""
        errors = self._errors.get(address, ())
        listed = (plan or {}).get("resource_changes") or ()
        item = next((one for one in listed if one.get("address") == address and not one.get("deposed")), None)
        if address not in self._failed or not errors or item is None:
            return False
        type_, quotable = str(item.get("type")), {address, *_texts(item["change"].get("after"))}
        return all(is_refusal(one.summary, one.detail, type_=type_, quotable=quotable) for one in errors)


def _planned(message: Message) -> tuple[str, ...]:
    change = message.get("change")
    if not isinstance(change, Mapping) or str(change.get("action")) not in _MAKING:
        return ()
    resource = change.get("resource")
    address = resource.get("addr") if isinstance(resource, Mapping) else None
    return (address,) if isinstance(address, str) else ()


def _texts(value: Any) -> Iterator[str]:
    for path, leaf in leaves(value).items():
        yield from (part for part in (*path, leaf) if isinstance(part, str))


def find_orphans(
    begun: Iterable[Creation],
    before: Collection[ResourceInstance],
    after: Collection[ResourceInstance],
    secrets: Scrubber = NO_SECRETS,
) -> tuple[str, ...]:
    """The creations whose object is in no state that their apply wrote: they may be out there.

    `before` is the state that the apply started from, `after` the newest that it wrote, empty where it wrote none.
    What stood before is never taken for what was made, wherever it was moved to.
    """
    old, stood = {_identity(one) for one in before}, {one.address for one in before}
    named = {(one.address, one.id) for one in after if one.id}
    new = {one.address for one in after if (_identity(one) not in old if one.id else one.address not in stood)}
    taken = stood | {one.address for one in after}
    lost = {one for one in begun if not ((one.address, one.id) in named if one.id else one.address in new)}
    return tuple(sorted(_describe(one, secrets, replaces=one.address in taken) for one in lost))


def _identity(one: ResourceInstance) -> tuple[str, str, bool]:
    """A creation that failed half-way leaves a tainted object: another one, even where a name serves as the id."""
    return one.type, one.id, one.tainted


def _describe(creation: Creation, secrets: Scrubber, *, replaces: bool) -> str:
    """The address, and what tells the object from another that stands there."""
    if text := _name(creation.address, creation.id, secrets):
        return text
    text = secrets.address(creation.address) + " (new object)" * (replaces or bool(creation.id))
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _name(address: str, id_: str, secrets: Scrubber) -> str:
    """The address with an id that may be shown, and shown whole; else empty."""
    text = f"{secrets.address(address)} (id={id_})"
    fits = id_ and len(id_) <= _MAX_ID and len(text) <= _MAX_TEXT
    return text if fits and not secrets.finds(id_) else ""


def still_suspected(
    orphans: Iterable[str], state: Iterable[ResourceInstance], secrets: Scrubber = NO_SECRETS
) -> tuple[str, ...]:
    """Those that a state does not name by now, by address and id where they have one."""
    known = set()
    for one in state:
        known.add(_name(one.address, one.id, secrets))
        if not one.deposed:
            known.add(secrets.address(one.address))
    return tuple(text for text in orphans if text not in known)
