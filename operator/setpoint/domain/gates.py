"""Owns which gates guard a Change, and what they ask of people. Pure."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import get_args

from setpoint.api.v1alpha1.change import Cause
from setpoint.api.v1alpha1.enforcementgates import EnforcementGate, EnforcementGates, GateStage, PolicySetReference
from setpoint.domain.digests import digest

GATES = "gates"
PROTECTION = "protection"
WAY_BACK = "way-back"
APPROVALS = "approvals"
BUILT_IN = frozenset({GATES, PROTECTION, WAY_BACK, APPROVALS})
"""The gates that guard every Change, whatever EnforcementGates say."""


@dataclasses.dataclass(frozen=True, slots=True)
class SelectedGate:
    """A gate that guards a target at a stage, under the name that decisions and overrides use."""

    name: str
    gate: EnforcementGate


def gates_digest(gates: Iterable[SelectedGate]) -> str:
    """Of the gates as they are written; their order does not matter."""
    return digest(sorted((selected.name, digest(selected.gate.as_json())) for selected in gates))


STAGES: tuple[GateStage, ...] = get_args(GateStage)


def stages_of(cause: Cause) -> tuple[GateStage, ...]:
    """The stages that a Change passes, in order; the last one permits the apply."""
    return ("reset",) if cause == "Reset" else ("plan", "apply")


def select_gates(
    objects: Iterable[EnforcementGates], *, stage: GateStage, kind: str, target_stage: str, labels: Mapping[str, str]
) -> tuple[SelectedGate, ...]:
    """The gates that guard a target at a stage, by name.

    A name that two objects use, or that a built-in gate has, is written `object.gate`, so that an override names one.
    """
    named: list[tuple[str, EnforcementGate]] = []
    for obj in objects:
        named += [(obj.metadata.name, gate) for gate in obj.spec.gates]
    uses = Counter(gate.name for _, gate in named)
    selected = (
        SelectedGate(f"{owner}.{gate.name}" if uses[gate.name] > 1 or gate.name in BUILT_IN else gate.name, gate)
        for owner, gate in named
        if stage in gate.stages and _guards(gate, kind, target_stage, labels)
    )
    return tuple(sorted(selected, key=lambda one: one.name))


def _guards(gate: EnforcementGate, kind: str, target_stage: str, labels: Mapping[str, str]) -> bool:
    selector = gate.selector
    of_kind = selector.kinds is None or kind in selector.kinds
    in_stage = not selector.stages or target_stage in selector.stages
    return of_kind and in_stage and all(labels.get(key) == value for key, value in selector.labels.items())


def approvals_asked(gates: Iterable[SelectedGate], cause: Cause) -> tuple[int, ...]:
    """How many approvals each gate asks for, as far as it does."""
    return tuple(asked for selected in gates if (asked := asked_of(selected.gate, cause)) is not None)


def asked_of(gate: EnforcementGate, cause: Cause) -> int | None:
    """Four eyes take one other person. Who deleted a target is not known, so it takes one more: one of them did not."""
    if not gate.four_eyes:
        return gate.approvals
    return max(1, gate.approvals or 0) + (cause == "Destroy")


def needs_four_eyes(gates: Iterable[SelectedGate]) -> bool:
    """True where who asked for a Change can't approve it."""
    return any(selected.gate.four_eyes for selected in gates)


def pin_problem(reference: PolicySetReference, found: str | None) -> str:
    """Why a PolicySet can't be asked: it is missing (None), or its content is not the pinned one. Else empty."""
    if found is None:
        return f"PolicySet {reference.name} does not exist or is not ready"
    if reference.digest is not None and reference.digest != found:
        return f"PolicySet {reference.name} has the content {found}, and the gate pins {reference.digest}"
    return ""
