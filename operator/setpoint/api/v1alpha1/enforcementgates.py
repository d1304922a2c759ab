"""Owns the kind EnforcementGates: which policies guard which stage, at which level. Types only, no behaviour."""

import datetime as dt
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from setpoint.api.meta import Condition, KindMeta, KubeObject, PrinterColumn
from setpoint.api.model import ApiModel, Digest, Duration, Name, cel

Level = Literal["advisory", "soft-mandatory", "hard-mandatory", "invariant"]
GateStage = Literal["plan", "apply", "reset"]


class PolicySetReference(ApiModel):
    """A PolicySet, and the content it must have."""

    name: Name
    digest: Digest | None = Field(default=None, description="Where set, another content of the set is an Error.")


class SeverityLevels(ApiModel):
    """The level of a violation by its severity; the gate's level where unset."""

    critical: Level | None = None
    high: Level | None = None
    medium: Level | None = None
    low: Level | None = None


class BlastRadius(ApiModel):
    """How much one Change may do. Unset is without a limit."""

    max_create: Annotated[int, Field(ge=0)] | None = None
    max_update: Annotated[int, Field(ge=0)] | None = None
    max_delete: Annotated[int, Field(ge=0)] | None = None
    max_replace: Annotated[int, Field(ge=0)] | None = None


class TargetSelector(ApiModel):
    """Which targets a gate guards; all where empty."""

    stages: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=32)] = Field(
        default_factory=list, description="Values of spec.stage."
    )
    labels: Annotated[dict[str, str], Field(max_length=32)] = Field(
        default_factory=dict, description="Labels that the target must have."
    )


class EnforcementGate(ApiModel):
    """One gate: what it looks at, for whom, when, and how hard."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "has(self.policySets) && self.policySets.size() > 0 || has(self.blastRadius) || has(self.approvals)",
                "a gate needs policySets, blastRadius or approvals",
            )
        )
    )

    name: Name
    stages: Annotated[list[GateStage], Field(min_length=1, max_length=3)] = Field(
        description="plan: when a Change is made. apply: again just before it is executed. reset: Changes of cause Reset."
    )
    selector: TargetSelector = Field(default_factory=TargetSelector)
    policy_sets: Annotated[list[PolicySetReference], Field(max_length=16)] = Field(default_factory=list)
    level: Level = Field(default="hard-mandatory", description="What a violation means where levels says nothing.")
    levels: SeverityLevels = Field(default_factory=SeverityLevels)
    blast_radius: BlastRadius | None = None
    approvals: Annotated[int, Field(ge=0, le=10)] | None = Field(
        default=None, description="People who must approve; the most that any gate asks for counts."
    )
    timeout: Duration = Field(default=dt.timedelta(seconds=10), description="A policy that takes longer is an Error.")
    memory_mib: Annotated[int, Field(ge=64, le=4096)] = Field(
        default=512, description="A policy that needs more is an Error."
    )


class EnforcementGatesSpec(ApiModel):
    """All gates; several objects add up."""

    gates: Annotated[list[EnforcementGate], Field(min_length=1, max_length=64)]


class EnforcementGatesStatus(ApiModel):
    """Whether every gate can be evaluated."""

    observed_generation: int = 0
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)


class EnforcementGates(KubeObject):
    """Which policies guard which stage, at which level."""

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
