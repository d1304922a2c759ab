"""Owns the kind EnforcementGates: which policies guard which stage, at which level. Types only, no behaviour."""

import datetime as dt
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from setpoint.api.meta import Conditions, KindMeta, KubeObject, ObservedGeneration, PrinterColumn
from setpoint.api.model import ApiModel, Boolean, Digest, Duration, Integer, Name, StatusModel, cel
from setpoint.api.target import TargetKind

Level = Literal["advisory", "soft-mandatory", "hard-mandatory", "invariant"]
GateStage = Literal["plan", "apply", "reset"]
Limit = Annotated[Integer, Field(ge=0)]

_GATE_IS_EMPTY = "a gate needs policySets, blastRadius, approvals or fourEyes"
_NAMES_REPEAT = "the names of the gates must differ"


class PolicySetReference(ApiModel):
    """A PolicySet, and the content it must have."""

    name: Name = Field(description="The PolicySet's name.")
    digest: Digest | None = Field(default=None, description="Where set, another content of the set is an Error.")


class SeverityLevels(ApiModel):
    """The level of a violation by its severity; the gate's level where unset."""

    critical: Level | None = Field(default=None, description="For violations of severity critical.")
    high: Level | None = Field(default=None, description="For violations of severity high.")
    medium: Level | None = Field(default=None, description="For violations of severity medium.")
    low: Level | None = Field(default=None, description="For violations of severity low.")


class BlastRadius(ApiModel):
    """How much one Change may do. Unset is without a limit."""

    max_create: Limit | None = Field(default=None, description="The most resources that it may create.")
    max_update: Limit | None = Field(default=None, description="The most resources that it may update in place.")
    max_delete: Limit | None = Field(default=None, description="The most resources that it may delete.")
    max_replace: Limit | None = Field(default=None, description="The most resources that it may replace.")


class TargetSelector(ApiModel):
    """The targets that a gate guards; all where empty."""

    kinds: Annotated[list[TargetKind], Field(min_length=1, max_length=8)] | None = Field(
        default=None, description="Kinds of target; all where unset."
    )
    stages: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=32)] = Field(
        default_factory=list, description="Values of spec.stage."
    )
    labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=32)] = Field(
        default_factory=dict, description="Labels that the target must have."
    )


class EnforcementGate(ApiModel):
    """One gate: what it looks at, for whom, when, and how hard."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                (
                    "has(self.policySets) && self.policySets.size() > 0 || has(self.blastRadius) || "
                    "has(self.approvals) || has(self.fourEyes) && self.fourEyes"
                ),
                _GATE_IS_EMPTY,
            )
        )
    )

    name: Name = Field(description="Names the gate in decisions, metrics and overrides; unique in the object.")
    stages: Annotated[list[GateStage], Field(min_length=1, max_length=3)] = Field(
        description="plan: when a Change is made. apply: again before it is executed. reset: Changes of cause Reset."
    )
    selector: TargetSelector = Field(default_factory=TargetSelector, description="Which targets it guards.")
    policy_sets: Annotated[list[PolicySetReference], Field(max_length=16)] = Field(
        default_factory=list, description="Policies that must not be violated."
    )
    level: Level = Field(default="hard-mandatory", description="What a violation means where levels says nothing.")
    levels: SeverityLevels = Field(default_factory=SeverityLevels, description="The level by severity.")
    blast_radius: BlastRadius | None = Field(default=None, description="How much one Change may do.")
    approvals: Annotated[Integer, Field(ge=0, le=10)] | None = Field(
        default=None, description="People who must approve; the most that any gate asks for counts."
    )
    four_eyes: Boolean = Field(
        default=False,
        description="True: who asked for the Change can't approve it, and at least one other person must. Blocks where "
        "it is not known who asked.",
    )
    timeout: Duration = Field(default=dt.timedelta(seconds=10), description="A policy that takes longer is an Error.")
    memory_mib: Annotated[Integer, Field(ge=64, le=4096)] = Field(
        default=512, description="Memory in MiB; a policy that needs more is an Error."
    )

    @model_validator(mode="after")
    def _looks_at_something(self) -> "EnforcementGate":
        if not self.policy_sets and self.blast_radius is None and self.approvals is None and not self.four_eyes:
            raise ValueError(_GATE_IS_EMPTY)
        return self


class EnforcementGatesSpec(ApiModel):
    """All gates; several objects add up."""

    gates: Annotated[
        list[EnforcementGate],
        Field(
            min_length=1,
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(description="The gates, one of each name.")

    @model_validator(mode="after")
    def _names_differ(self) -> "EnforcementGatesSpec":
        if len({gate.name for gate in self.gates}) != len(self.gates):
            raise ValueError(_NAMES_REPEAT)
        return self


class EnforcementGatesStatus(StatusModel):
    """Says whether every gate can be evaluated."""

    observed_generation: ObservedGeneration = 0
    conditions: Conditions = Field(default_factory=list)


class EnforcementGates(KubeObject):
    """The policies that guard each stage, and at which level."""

    META: ClassVar[KindMeta] = KindMeta(
        plural="enforcementgates",
        short_names=("gates",),
        namespaced=False,
        summary="Which policies guard which stage at which level.",
        columns=(
            PrinterColumn("READY", '.status.conditions[?(@.type=="Ready")].status'),
            PrinterColumn("AGE", ".metadata.creationTimestamp", "date"),
            PrinterColumn("STATUS", '.status.conditions[?(@.type=="Ready")].message', wide=True),
        ),
    )

    kind: Literal["EnforcementGates"] = "EnforcementGates"
    spec: EnforcementGatesSpec
    status: EnforcementGatesStatus = Field(default_factory=EnforcementGatesStatus)
