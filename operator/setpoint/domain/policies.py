"""Owns what goes into a policy evaluation and what comes out of it. Values only; pure."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from setpoint.domain.digests import digest

Severity = Literal["critical", "high", "medium", "low"]


@dataclasses.dataclass(frozen=True, slots=True)
class Violation:
    """One message of a policy. `kind` is warn for what never blocks, whatever the severity.

    `unknown`: what it demands can't be judged, since a value is known only after the apply.
    """

    rule: str
    message: str
    resource: str = ""
    severity: Severity = "medium"
    remediation: str = ""
    kind: Literal["deny", "warn"] = "deny"
    unknown: bool = False

    @property
    def text(self) -> str:
        """All of it in a line."""
        where = f"{self.resource}: " if self.resource else ""
        remedy = f" ({self.remediation})" if self.remediation else ""
        unknown = "can't be judged before the apply: " if self.unknown else ""
        return f"[{self.severity}] {self.rule}: {where}{unknown}{self.message}{remedy}"


@dataclasses.dataclass(frozen=True, slots=True)
class PolicyModules:
    """The Rego modules of one set, by file name, with their parameters; `digest` covers both."""

    digest: str
    modules: Mapping[str, str]
    params: Mapping[str, Any]

    @classmethod
    def of(cls, modules: Mapping[str, str], params: Mapping[str, Any] | None = None) -> "PolicyModules":
        """Modules under the digest of their content. Raises TypeError where params are no JSON value."""
        given = dict(params or {})
        return cls(digest({"modules": dict(modules), "params": given}), dict(modules), given)


GOVERNING_KINDS = frozenset({"EnforcementGates", "PolicySet"})


@dataclasses.dataclass(frozen=True, slots=True)
class Unread:
    """The record of what can't be read and may be governance: `text` says where and why, `kinds` what it may have been.

    `name` is None where it may be any. Until it can be read, what it would say is not known.
    """

    text: str
    kinds: frozenset[str] = GOVERNING_KINDS
    name: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PolicyResult:
    """The answer of a set. `error` is set, and `violations` worthless, when it could not be asked."""

    violations: tuple[Violation, ...] = ()
    error: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class PackageIndex:
    """One package that demands something, by its METADATA comment.

    `unfit` maps a kind of target that it is asked for and can't judge to why: an Error for the Changes of that kind.
    """

    package: str
    title: str = ""
    description: str = ""
    severity: Severity = "medium"
    remediation: str = ""
    unfit: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class PolicyCheck:
    """Findings of loading and linting a set: problems as `file:line: text`, and its packages where there are none."""

    problems: tuple[str, ...] = ()
    packages: tuple[PackageIndex, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class PolicyTest:
    """One `test_` rule that was run. `message` says why it did not pass."""

    package: str
    name: str
    passed: bool
    message: str = ""
