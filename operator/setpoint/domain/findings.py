"""Owns what differs between declared and actual state, and how it is counted. Pure."""

import dataclasses
from collections.abc import Iterable
from enum import StrEnum
from typing import get_args

from setpoint.domain.policies import Severity

_SEVERITIES = get_args(Severity)


class DriftClass(StrEnum):
    """Why a resource differs (see docs/explanation/drift.md)."""

    ACTIONABLE = "actionable"
    INFORMATIONAL = "informational"
    PENDING = "pending"
    CASCADE = "cascade"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One difference between declared and actual state. Holds no value: addresses and paths alone.

    `deposed` is the key of an object that an interrupted replacement left, empty for the one in use. `follows`: it is
    no resource, and differs because one does, as an output. What is not `mendable` no Change can put right. `rule` is
    what it breaks and `severity` how bad that is, where a kind of target has rules of its own.
    """

    address: str
    drift_class: DriftClass
    action: str
    paths: tuple[str, ...] = ()
    ignored: bool = False
    type: str = ""
    deposed: str = ""
    follows: bool = False
    mendable: bool = True
    rule: str = ""
    severity: Severity | None = None

    @property
    def name(self) -> str:
        """The object that it is about, in a text: never the one in use where it is about one that was left."""
        return f"{self.address} (deposed {self.deposed})" if self.deposed else self.address


def beyond_mending(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that count, and that no Change can put right, the worst first: nothing is at its setpoint beside them."""
    left = (
        one
        for one in findings
        if not one.mendable and not one.ignored and one.drift_class is not DriftClass.INFORMATIONAL
    )
    return tuple(sorted(left, key=_rank))


def _rank(finding: Finding) -> int:
    return len(_SEVERITIES) if finding.severity is None else _SEVERITIES.index(finding.severity)


def not_conforming(left: Iterable[Finding]) -> str:
    """The message on findings that no Change can mend."""
    names = list(dict.fromkeys(f"{one.name} ({one.rule})" if one.rule else one.name for one in left))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"no Change can mend {', '.join(names[:5])}{more}: mend it where it is, or declare what it is"


@dataclasses.dataclass(frozen=True, slots=True)
class DriftCounts:
    """Resources and pending outputs by class, each once: as actionable before pending, cascade and informational."""

    actionable: int = 0
    informational: int = 0
    pending: int = 0
    cascade: int = 0


PRECEDENCE = (DriftClass.ACTIONABLE, DriftClass.PENDING, DriftClass.CASCADE, DriftClass.INFORMATIONAL)
"""Of several classes of one thing, the first is told."""


def count_classes(findings: Iterable[Finding]) -> DriftCounts:
    """Counts what is not ignored. What only follows drift is not counted beside what drifted."""
    classes: dict[str, set[DriftClass]] = {}
    for finding in findings:
        follows = finding.follows and finding.drift_class is not DriftClass.PENDING
        if not finding.ignored and not follows:
            classes.setdefault(finding.address, set()).add(finding.drift_class)
    first = [next(kind for kind in PRECEDENCE if kind in found) for found in classes.values()]
    return DriftCounts(**{kind.value: first.count(kind) for kind in DriftClass})


def drifted_names(findings: Iterable[Finding]) -> list[str]:
    """The names of what has actionable drift, less what only follows."""
    actionable = (f for f in findings if not f.ignored and f.drift_class is DriftClass.ACTIONABLE)
    return sorted({finding.name for finding in actionable if not finding.follows})
