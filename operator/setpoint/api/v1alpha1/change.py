"""Owns the kind Change: one gated transition of one target. Types only, no behaviour."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from setpoint.api.about_target import AboutTarget
from setpoint.api.meta import Conditions, KindMeta, KubeObject, ObservedGeneration, PrinterColumn
from setpoint.api.model import ApiModel, Boolean, Digest, Name, ShortText, StatusModel, Text, Time
from setpoint.api.target import Member, Target, TargetReference

Cause = Literal["SpecChanged", "Drift", "Promotion", "Reset", "Destroy"]
Reversibility = Literal["Reversible", "ReversibleNewId", "DataLoss", "NotRestorable"]


class ActionSummary(ApiModel):
    """The action on one resource. No value appears here."""

    address: Annotated[str, Field(max_length=1024)] = Field(description="The resource's address.")
    action: Literal["create", "update", "delete", "replace", "forget", "import", "move"] = Field(
        description="What is done to it."
    )
    paths: Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=20)] = Field(
        default_factory=list, description="The first attribute paths that differ."
    )
    cause: Literal["actionable", "pending", "cascade", "informational"] = Field(
        default="pending", description="The drift class of the difference that it removes."
    )
    deposed: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Set for an object that an interrupted replacement left; the one in use is another."
    )


class ChangeSummary(ApiModel):
    """Counts and the first actions of a Change."""

    create: int = Field(default=0, description="Resources that are created.")
    update: int = Field(default=0, description="Resources that are updated in place.")
    delete: int = Field(default=0, description="Resources that are deleted.")
    replace: int = Field(default=0, description="Resources that are deleted and created again.")
    other: int = Field(default=0, description="Moves, forgets, imports and changed outputs.")
    actions: Annotated[list[ActionSummary], Field(max_length=50)] = Field(
        default_factory=list, description="The first actions; the counts cover all."
    )
    text: Annotated[str, Field(max_length=64)] = Field(default="", description="As in `+1 ~1 -0`.")


class ResetAction(ApiModel):
    """One step of the reset plan."""

    address: Annotated[str, Field(max_length=1024)] = Field(description="The resource's address.")
    action: Literal["create", "update", "delete", "replace", "none"] = Field(description="What going back does to it.")
    reversibility: Reversibility = Field(description="What is lost by going there and back.")
    note: ShortText = Field(default="", description="What to know about it.")
    classed_by: Annotated[str, Field(max_length=160)] | None = Field(
        default=None,
        description="The entry of `spec.protection.reversibility` that says what is lost; absent where none does.",
    )
    deposed: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Set for an object that an interrupted replacement left; the one in use is another."
    )


class ResetPlanSummary(ApiModel):
    """The reset plan that the Change carries."""

    digest: Digest = Field(description="Of all actions back.")
    drill: Literal["Passed", "Failed", "NotDrillable", "NotDrilled"] = Field(
        description="Whether the reset plan was shown to plan."
    )
    acceptable: Boolean = Field(
        default=False,
        description="True where the drill failed and people may pass that, with acceptUndrilled: of a repair, or of "
        "a last applied configuration that can't be planned any more.",
    )
    drilled_at: Time | None = Field(default=None, description="When it was shown.")
    worst: Reversibility = Field(default="Reversible", description="The worst class of all its actions.")
    actions: Annotated[list[ResetAction], Field(max_length=50)] = Field(
        default_factory=list, description="The first actions back."
    )
    message: ShortText = Field(default="", description="What the drill found.")


ChangeOutcome = Literal[
    "Waiting",
    "Blocked",
    "Approved",
    "Applying",
    "Applied",
    "Failed",
    "Interrupted",
    "NotVerified",
    "Rejected",
    "Superseded",
]


class ChangeSpec(AboutTarget):
    """The change to be made, named by digest. Immutable."""

    target_ref: TargetReference = Field(description="The target that is changed.")
    cause: Cause = Field(description="Why the Change was made.")
    digest: Digest = Field(description="Of the content: the same for the same change of the same target.")
    content: Digest | None = Field(
        default=None, description="The sealed blob with the content that may be shown, kept as long as the Change."
    )
    subject: Digest = Field(description="Of all that an approval covers; the object's name ends in its first digits.")
    summary: ChangeSummary = Field(description="What it does.")
    snapshot_ref: Name = Field(description="The state before.")
    reset_plan: ResetPlanSummary = Field(description="The reset plan.")
    base: ShortText = Field(default="", description="What it starts from, by its name.")
    configuration: ShortText | None = Field(
        default=None,
        description="The configuration that it brings about, by its name; absent in Changes of earlier versions, whose "
        "subject names it.",
    )
    generation: int = Field(default=0, description="The target's generation that was planned.")
    approvals_required: int = Field(default=0, description="How many the target's spec and the gates ask for.")
    requested_by: ShortText | None = Field(
        default=None, description="Who asked for it, where that is known. Where a gate asks for fourEyes, not them."
    )
    orphans: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=50)] = Field(
        default_factory=list,
        description="What an interrupted apply may have made and lost: by address, and id where it is known.",
    )
    notes: Annotated[list[ShortText], Field(max_length=8)] = Field(
        default_factory=list, description="What is out of the ordinary: how the plan came about, what is lost already."
    )

    @classmethod
    def member_type(cls, kind: type[Target]) -> type[Member]:
        """The part that a Change of such a target alone has."""
        return kind.CHANGE


class GateResult(ApiModel):
    """The result of one gate."""

    gate: Annotated[str, Field(max_length=253)] = Field(description="The gate's name.")
    stage: Literal["plan", "apply", "reset"] = Field(description="The stage that it guards.")
    verdict: Literal["Pass", "Warn", "Fail", "Error", "Indeterminate", "Overridden", "Pending"] = Field(
        description="What it says."
    )
    blocks: bool = Field(default=False, description="True: the Change can't be applied as things stand.")
    overridable: bool = Field(
        default=False, description="True: it blocks, and an approval that names it in overrides passes it."
    )
    messages: Annotated[list[ShortText], Field(max_length=20)] = Field(
        default_factory=list, description="The first violations, each with its remedy."
    )


class ContentStatus(StatusModel):
    """The beginning of the content that `spec.digest` names, without anything sensitive, for all who read the Change.

    A line is a JSON object: one for a resource or output, and below it one for each attribute that differs. What is
    here can be checked against `spec.digest`, as `setpoint describe` does; a line with `omitted` was too long.
    """

    lines: Annotated[list[Annotated[str, Field(max_length=16384)]], Field(max_length=2000)] = Field(
        default_factory=list, description="The first lines, up to 16 KB."
    )
    more: int = Field(default=0, ge=0, description="How many lines are not here.")
    rest: Digest | None = Field(default=None, description="Of the lines that are not here.")
    sealed: Digest | None = Field(
        default=None, description="The commitment to what is sensitive, keyed by the operator's store."
    )


class ReviewStatus(StatusModel):
    """The place outside of Setpoint where people look at the Change, and what they said there."""

    url: ShortText = Field(default="", description="Where they look; empty until it was shown.")
    shown: Boolean = Field(default=False, description="True while it may be shown there.")
    declined_by: ShortText | None = Field(default=None, description="Who turned it down there.")
    why: ShortText = Field(default="", description="Their words.")


class ChangeStatus(StatusModel):
    """How far the Change has come."""

    observed_generation: ObservedGeneration = 0
    conditions: Conditions = Field(default_factory=list)
    gates: Annotated[list[GateResult], Field(max_length=32)] = Field(
        default_factory=list, description="What each gate said last."
    )
    content: ContentStatus | None = Field(default=None, description="What will change, as far as it has room here.")
    approved_by: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=10)] = Field(
        default_factory=list, description="Whose approvals count."
    )
    barred: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=10)] = Field(
        default_factory=list, description="Who asked for it and can't approve it, where a gate asks for fourEyes."
    )
    undrilled_accepted_by: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=10)] = Field(
        default_factory=list, description="Who accepted that its way back is not drilled, where that passes `way-back`."
    )
    warnings: Annotated[list[ShortText], Field(max_length=20)] = Field(
        default_factory=list, description="What Terraform warned of when it was planned last."
    )
    review: ReviewStatus | None = Field(
        default=None, description="Set for a kind of target whose Changes people look at elsewhere, too."
    )
    run: ShortText | None = Field(default=None, description="The run that applied it.")
    orphans: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=50)] = Field(
        default_factory=list,
        description="What it began to make and is in no state of its run: by address, and id where it is known.",
    )
    message: Text = Field(default="", description="How it ended, in a sentence.")
    outcome: ChangeOutcome = Field(default="Waiting", description="What became of it, in a word; of the conditions.")


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
            PrinterColumn("OUTCOME", ".status.outcome"),
            PrinterColumn("AGE", ".metadata.creationTimestamp", "date"),
            PrinterColumn("BY", ".spec.requestedBy", wide=True),
            PrinterColumn("SUBJECT", ".spec.subject", wide=True),
            PrinterColumn("REVIEW", ".status.review.url", wide=True),
        ),
    )

    kind: Literal["Change"] = "Change"
    spec: ChangeSpec
    status: ChangeStatus = Field(default_factory=ChangeStatus)
