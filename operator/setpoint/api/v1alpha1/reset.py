"""Owns the kind Reset: a wish to bring a target back to a Snapshot. Types only, no behaviour."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from setpoint.api.meta import (
    Conditions,
    KindMeta,
    KubeObject,
    ObservedGeneration,
    PrinterColumn,
)
from setpoint.api.model import ApiModel, Boolean, Digest, Name, StatusModel
from setpoint.api.target import TargetReference


class SnapshotReference(ApiModel):
    """A Snapshot in the same namespace."""

    name: Name = Field(description="Its name.")
    digest: Digest | None = Field(
        default=None, description="Its spec.digest. Where given, a Snapshot of another digest is refused."
    )


class ResetSpec(ApiModel):
    """The target, the snapshot to reset it to, and the reason. Immutable."""

    target_ref: TargetReference = Field(description="The target to reset.")
    snapshot_ref: SnapshotReference = Field(description="The Snapshot, of this target, to go back to.")
    reason: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="Why; kept in the audit trail.")
    requested_by: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Who, or `policy`.")
    automatic: Boolean = Field(
        default=False, description="True where reset.onVerifyFailure is Auto: gates alone decide."
    )


class ResetStatus(StatusModel):
    """How far the reset has come."""

    observed_generation: ObservedGeneration = 0
    conditions: Conditions = Field(default_factory=list)
    change: Name | None = Field(default=None, description="The Change that carries it out.")


class Reset(KubeObject):
    """Asks to bring a target back to a Snapshot; takes the same path as every change."""

    META: ClassVar[KindMeta] = KindMeta(
        plural="resets",
        short_names=("rst",),
        summary="Asks to bring a target back to a Snapshot.",
        spec_immutable=True,
        columns=(
            PrinterColumn("TARGET", ".spec.targetRef.name"),
            PrinterColumn("SNAPSHOT", ".spec.snapshotRef.name"),
            PrinterColumn("COMPLETE", '.status.conditions[?(@.type=="Complete")].status'),
            PrinterColumn("CHANGE", ".status.change"),
            PrinterColumn("AGE", ".metadata.creationTimestamp", "date"),
            PrinterColumn("BY", ".spec.requestedBy", wide=True),
            PrinterColumn("REASON", ".spec.reason", wide=True),
        ),
    )

    kind: Literal["Reset"] = "Reset"
    spec: ResetSpec
    status: ResetStatus = Field(default_factory=ResetStatus)
