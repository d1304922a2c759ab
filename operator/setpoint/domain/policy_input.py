"""Owns the document that policies get as `input`. Pure."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from setpoint.api.v1alpha1.change import ChangeSummary, ResetAction
from setpoint.domain.judged import JudgedChange


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The subject of what policies are asked at a stage, with the instant, so that a verdict can be replayed."""

    target: Mapping[str, Any]
    cause: str
    stage: str
    now: str
    changes: Sequence[JudgedChange] = dataclasses.field(default=(), repr=False)
    summary: ChangeSummary = dataclasses.field(default_factory=ChangeSummary)
    reset_actions: Sequence[ResetAction] = ()
    worst: str = "Reversible"


def policy_input(question: Question, *, gate: str, document: Mapping[str, Any], alias: str = "") -> dict[str, Any]:
    """A policy's input, with the document by its kind's own name, too. It holds secrets, as the document does."""
    counts = question.summary.as_json()
    return {
        "document": document,
        **({alias: document} if alias else {}),
        "target": dict(question.target),
        "change": {"cause": question.cause, "summary": {key: counts[key] for key in counts if key != "actions"}},
        "changes": [change.as_input() for change in question.changes],
        "gate": {"name": gate, "stage": question.stage},
        "reset": {"worst": question.worst, "actions": [action.as_json() for action in question.reset_actions]},
        "now": question.now,
    }


def own_words(inputs: Collection[str]) -> tuple[str, ...]:
    """The words, beside `document`, that a kind's own fields of the input begin with: such as its name for it."""
    return tuple(sorted({path.partition(".")[0] for path in inputs} - {"document"}))
