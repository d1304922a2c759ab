"""Owns what an approval names: the digest of all that a decision over a Change rests on. Pure.

If any of it moves, it is another Change, and what was said of the one before is void.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from setpoint.api.target import ApprovalPolicy, Protection
from setpoint.api.v1alpha1.change import Cause, ChangeSummary
from setpoint.domain.digests import digest

_VERSION = 2
"""Of the form below; another form makes other subjects, never the same one of another meaning."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """All that an approval of a Change covers.

    `policies` maps the name of a PolicySet to its digest, `gates` is `gates.gates_digest`, `rules` is `rules_digest`.
    `named` is what the kind names its base and configuration by, all that no attribute may show. `summary` is
    what people are shown. The target's key keeps apart two targets of equal content; `attempt` counts applies begun,
    since an approval is spent by one. `deletion` is when the target was deleted: what was said of one that was taken
    back says nothing of the next. `notes` are how the plan came about, where that is out of the ordinary.
    """

    target: str
    cause: Cause
    content: str
    summary: ChangeSummary
    orphans: Sequence[str]
    snapshot: str
    reset_plan: str
    policies: Mapping[str, str]
    gates: str
    rules: str
    named: Mapping[str, object]
    attempt: int = 0
    deletion: str | None = None
    notes: Sequence[str] = ()

    @property
    def digest(self) -> str:
        """The digest that an approval names."""
        return digest(
            {
                **self.named,
                "version": _VERSION,
                "target": self.target,
                "cause": self.cause,
                "content": self.content,
                "summary": self.summary.as_json(),
                "orphans": list(self.orphans),
                "snapshot": self.snapshot,
                "resetPlan": self.reset_plan,
                "policies": dict(self.policies),
                "gates": self.gates,
                "rules": self.rules,
                "attempt": self.attempt,
                **({"deletion": self.deletion} if self.deletion else {}),
                **({"notes": list(self.notes)} if self.notes else {}),
            }
        )


def rules_digest(protection: Protection, approvals: ApprovalPolicy, required: int) -> str:
    """Of what the built-in gates decide on: what is protected, how many must approve, and for how long that counts.

    `required` is how many that comes to with the modes of apply and drift, the gates and suspected orphans.
    """
    return digest(
        {
            "protection": {name: _unordered(value) for name, value in protection.as_json().items() if value != {}},
            "approvals": approvals.as_json(),
            "required": required,
        }
    )


def _unordered(value: str | list[str] | dict[str, str]) -> str | list[str] | dict[str, str]:
    return sorted(set(value)) if isinstance(value, list) else value
