"""Owns the kind Approval: a person's word on one subject. Types only, no behaviour."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from setpoint.api.meta import KindMeta, KubeObject, LocalReference, PrinterColumn
from setpoint.api.model import ApiModel, Digest, Name, ShortText, cel


class ApprovalSpec(ApiModel):
    """Who says what about which subject. Immutable."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "self.verdict == 'Approved' || (has(self.reason) && self.reason != '')",
                "a rejection needs a reason",
            )
        )
    )

    change_ref: LocalReference
    subject: Digest = Field(description="Copied from the Change that was shown; any other subject is not approved.")
    verdict: Literal["Approved", "Rejected"]
    approver: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Who. On a cluster the API server proves it; in a local home it is the system's user, unproven."
    )
    proven: bool = Field(default=False, description="True where an API server proved who it was.")
    reason: ShortText = ""
    overrides: Annotated[list[Name], Field(max_length=16)] = Field(
        default_factory=list, description="Soft-mandatory gates that this approval passes knowingly."
    )


class Approval(KubeObject):
    """A person's word on one subject; immutable."""

    META: ClassVar[KindMeta] = KindMeta(
        plural="approvals",
        short_names=("appr",),
        summary="Approves or rejects one digest; immutable.",
        spec_immutable=True,
        columns=(
            PrinterColumn("CHANGE", ".spec.changeRef.name"),
            PrinterColumn("VERDICT", ".spec.verdict"),
            PrinterColumn("BY", ".spec.approver"),
            PrinterColumn("AGE", ".metadata.creationTimestamp", "date"),
            PrinterColumn("REASON", ".spec.reason", wide=True),
        ),
    )

    kind: Literal["Approval"] = "Approval"
    spec: ApprovalSpec
