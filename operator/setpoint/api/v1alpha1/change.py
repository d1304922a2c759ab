"""Owns the kind Change: one gated transition of one target. Types only, no behaviour."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from setpoint.api.meta import Condition, KindMeta, KubeObject, PrinterColumn, TargetReference
from setpoint.api.model import ApiModel, Digest, Name, ShortText, Text, Time

Cause = Literal["SpecChanged", "Drift", "Promotion", "Reset", "Destroy"]
Reversibility = Literal["Reversible", "ReversibleNewId", "DataLoss", "NotRestorable"]


class ActionSummary(ApiModel):
    """What happens to one resource. No value appears here."""

    address: Annotated[str, Field(max_length=1024)]
    action: Literal["create", "update", "delete", "replace", "forget", "import", "move"]
    paths: Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=20)] = Field(
        default_factory=list, description="The first attribute paths that differ."
    )
    cause: Literal["actionable", "pending", "cascade", "informational"] = "pending"


class ChangeSummary(ApiModel):
    """Counts and the first actions of a Change."""

    create: int = 0
    update: int = 0
    delete: int = 0
    replace: int = 0
    other: int = Field(default=0, description="Moves, forgets, imports and changed outputs.")
    actions: Annotated[list[ActionSummary], Field(max_length=50)] = Field(default_factory=list)
    text: Annotated[str, Field(max_length=64)] = Field(default="", description="As in `+1 ~1 -0`.")


class ResetAction(ApiModel):
    """One step of the way back."""

    address: Annotated[str, Field(max_length=1024)]
    action: Literal["create", "update", "delete", "replace", "none"]
    reversibility: Reversibility
    note: ShortText = ""


class ResetPlanSummary(ApiModel):
    """The way back that the Change carries."""

    digest: Digest
    drill: Literal["Passed", "Failed", "NotDrillable"] = Field(description="Whether the way back was shown to plan.")
    drilled_at: Time | None = None
    worst: Reversibility = Field(default="Reversible", description="The worst class of all its actions.")
    actions: Annotated[list[ResetAction], Field(max_length=50)] = Field(default_factory=list)
    message: ShortText = ""


class ChangeSpec(ApiModel):
    """What will happen, named by digest. Immutable."""

    target_ref: TargetReference
    cause: Cause
    digest: Digest = Field(description="Of the content: the same for the same change on every machine.")
    subject: Digest = Field(description="Of all that an approval covers; the object's name ends in its first digits.")
    summary: ChangeSummary
    snapshot_ref: Name = Field(description="The state before.")
    reset_plan: ResetPlanSummary
    bundle: Digest | None = None
    state_version: int = 0
    generation: int = Field(default=0, description="The target's generation that was planned.")
    approvals_required: int = Field(default=0, description="How many the target's spec and the gates ask for.")
    orphans: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=50)] = Field(
        default_factory=list, description="Resources that an interrupted apply may have made and lost."
    )


class GateResult(ApiModel):
    """What one gate said."""

    gate: Annotated[str, Field(max_length=253)]
    stage: Literal["plan", "apply", "reset"]
    verdict: Literal["Pass", "Warn", "Fail", "Error", "Indeterminate", "Overridden", "Pending"]
    blocks: bool = False
    messages: Annotated[list[ShortText], Field(max_length=20)] = Field(default_factory=list)


class ChangeStatus(ApiModel):
    """How far the Change has come."""

    observed_generation: int = 0
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)
    gates: Annotated[list[GateResult], Field(max_length=32)] = Field(default_factory=list)
    approved_by: Annotated[list[str], Field(max_length=10)] = Field(default_factory=list)
    run: ShortText | None = Field(default=None, description="The run that applied it.")
    orphans: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=50)] = Field(
        default_factory=list, description="Creations that started and are in no state."
    )
    message: Text = ""


class Change(KubeObject):
    """One gated transition of one target: plan, way back, decision, outcome."""

    META: ClassVar[KindMeta] = KindMeta(
        plural="changes",
        short_names=("chg",),
        summary="One gated transition of one target: plan, reset plan, decision, outcome.",
        spec_immutable=True,
        columns=(
            PrinterColumn("TARGET", ".spec.targetRef.name"),
            PrinterColumn("CAUSE", ".spec.cause"),
            PrinterColumn("ACTIONS", ".spec.summary.text"),
            PrinterColumn("WAY BACK", ".spec.resetPlan.worst"),
            PrinterColumn("GATE", '.status.conditions[?(@.type=="Gated")].reason'),
            PrinterColumn("AGE", ".metadata.creationTimestamp", "date"),
            PrinterColumn("SUBJECT", ".spec.subject", wide=True),
            PrinterColumn("APPLIED", '.status.conditions[?(@.type=="Applied")].reason', wide=True),
        ),
    )

    kind: Literal["Change"] = "Change"
    spec: ChangeSpec
    status: ChangeStatus = Field(default_factory=ChangeStatus)
