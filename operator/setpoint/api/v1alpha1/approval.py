"""Owns the kind Approval: a person's word on one subject. Types only, no behaviour."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from setpoint.api.meta import KindMeta, KubeObject, LocalReference, PrinterColumn
from setpoint.api.model import ApiModel, Boolean, Digest, Name, ShortText, cel

_REJECTION_NEEDS_REASON = "a rejection needs a reason"
_OVERRIDE_NEEDS_REASON = "an override needs a reason"
_ACCEPTANCE_NEEDS_REASON = "acceptUndrilled needs a reason"
_ONLY_APPROVED_ACCEPTS = "acceptUndrilled goes with the verdict Approved"


class ApprovalSpec(ApiModel):
    """The approver, the verdict and its subject. Immutable."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "self.verdict == 'Approved' || (has(self.reason) && self.reason != '')",
                _REJECTION_NEEDS_REASON,
            ),
            (
                "!has(self.overrides) || self.overrides.size() == 0 || (has(self.reason) && self.reason != '')",
                _OVERRIDE_NEEDS_REASON,
            ),
            (
                "!has(self.acceptUndrilled) || !self.acceptUndrilled || (has(self.reason) && self.reason != '')",
                _ACCEPTANCE_NEEDS_REASON,
            ),
            (
                "!has(self.acceptUndrilled) || !self.acceptUndrilled || self.verdict == 'Approved'",
                _ONLY_APPROVED_ACCEPTS,
            ),
        )
    )

    change_ref: LocalReference = Field(description="The Change that was shown.")
    subject: Digest = Field(description="Copied from the Change that was shown; any other subject is not approved.")
    verdict: Literal["Approved", "Rejected"] = Field(description="What the person says.")
    approver: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Who. On a cluster the API server proves it; in a local home it is the system's user, unproven."
    )
    proven: Boolean = Field(default=False, description="True where an API server proved who it was.")
    reason: ShortText = Field(default="", description="Why; a rejection, an override and acceptUndrilled must say it.")
    overrides: Annotated[list[Name], Field(max_length=16)] = Field(
        default_factory=list, description="Soft-mandatory gates that this approval passes knowingly."
    )
    accept_undrilled: Boolean = Field(
        default=False,
        description="True: passes the gate `way-back` knowingly, where the Change says spec.resetPlan.acceptable.",
    )

    @model_validator(mode="after")
    def _says_why(self) -> "ApprovalSpec":
        if self.verdict == "Rejected" and not self.reason:
            raise ValueError(_REJECTION_NEEDS_REASON)
        if self.overrides and not self.reason:
            raise ValueError(_OVERRIDE_NEEDS_REASON)
        if self.accept_undrilled and not self.reason:
            raise ValueError(_ACCEPTANCE_NEEDS_REASON)
        if self.accept_undrilled and self.verdict != "Approved":
            raise ValueError(_ONLY_APPROVED_ACCEPTS)
        return self


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
