"""Owns what policies are shown of a target, and what of their words people may be shown. Pure.

Policies get the real values: a rule that sees a mask in place of a value passes it. So what they say is scrubbed, and
not what they see.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from setpoint.domain.policies import PolicyResult
from setpoint.domain.scrubbing import Spare

MAX_SHOWN = 1024
"""The characters of a text that are shown, counted once it is without secrets."""

Redact = Callable[[str, Spare], str]
"""Takes out of a text what is secret for reasons that its kind does not know, but for what is spared."""


@dataclasses.dataclass(frozen=True, slots=True)
class JudgedChange:
    """One action of a Change as policies see it, in the same shape for every kind, with its real address.

    `paths` are what differs within it, all of them; empty where it is made, removed or moved as a whole. `cause` is the
    drift class of the difference that it removes. `deposed` is the key of an object that an interrupted replacement
    left, empty for the one in use.
    """

    address: str
    type: str
    action: str
    paths: tuple[str, ...] = ()
    cause: str = "pending"
    deposed: str = ""

    def as_input(self) -> dict[str, Any]:
        """The change as JSON values."""
        # Written out: of a thousand changes, `asdict` costs more than all else that is done to ask policies.
        return {
            "address": self.address,
            "type": self.type,
            "action": self.action,
            "paths": list(self.paths),
            "cause": self.cause,
            "deposed": self.deposed,
        }


class Judged(Protocol):
    """The view of policies on one observation, with secrets in clear: it is never stored, logged or shown."""

    @property
    def changes(self) -> Sequence[JudgedChange]:
        """The actions of the Change: `input.changes`."""
        ...

    @property
    def document(self) -> Mapping[str, Any]:
        """The content that gates judge, in the kind's own shape: `input.document`."""
        ...

    @property
    def alias(self) -> str:
        """The kind's own word for the document, by which the input has it, too; empty: none."""
        ...

    @property
    def drifted(self) -> bool:
        """True where the world changed something: then policies judge the three documents below, too."""
        ...

    def of_drift(self) -> Mapping[str, Any]:
        """The document of what the world changed."""
        ...

    def without_drift(self) -> Mapping[str, Any]:
        """The document of the same as it would be had the world changed nothing."""
        ...

    def of_nothing(self) -> Mapping[str, Any]:
        """The document in which nothing differs."""
        ...

    def show(self, result: PolicyResult, authored: Collection[str], redact: Redact) -> PolicyResult:
        """The result without secrets; `authored` are the policies, whose own words are none."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class PlainDocument:
    """A document without secrets of its own and without drift."""

    document: Mapping[str, Any] = dataclasses.field(repr=False)
    changes: Sequence[JudgedChange] = dataclasses.field(default=(), repr=False)
    alias: str = ""
    drifted: bool = False

    def of_drift(self) -> Mapping[str, Any]:
        """The document as it is: nothing drifted."""
        return self.document

    def without_drift(self) -> Mapping[str, Any]:
        """The document as it is."""
        return self.document

    def of_nothing(self) -> Mapping[str, Any]:
        """The document as it is."""
        return self.document

    def show(self, result: PolicyResult, authored: Collection[str], redact: Redact) -> PolicyResult:
        """The result as it is, but for what `redact` takes out."""
        del authored

        def text(said: str) -> str:
            return redact(said, lambda *_: False)[:MAX_SHOWN]

        violations = (
            dataclasses.replace(
                one,
                rule=text(one.rule),
                message=text(one.message),
                resource=text(one.resource),
                remediation=text(one.remediation),
            )
            for one in result.violations
        )
        return PolicyResult(tuple(violations), text(result.error))
