"""Owns what every kind of target has, and the list of these kinds. Types only; it knows no kind but by name."""

import datetime as dt
import pkgutil
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, field_validator

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import Conditions, KubeObject, ObjectRef, ObservedGeneration
from setpoint.api.model import ApiModel, Boolean, Digest, Duration, Integer, Name, ShortText, StatusModel, Time, cel

TARGET_KINDS: dict[str, str] = {"Environment": "setpoint.api.v1alpha1.environment:Environment"}
"""The kinds of target, and the module and name of each one's type: the one list. `target_type` gives the type."""

_MAX_TYPE = 128
_TYPE_PATTERN = f"[a-z0-9_*-]{{1,{_MAX_TYPE}}}"

ResourceClass = Literal["Data", "Identity", "Settings"]
"""The loss where a resource of a type is destroyed or replaced."""


# --- How a target is named --------------------------------------------------------------------------------------------


def _known_kind(kind: str) -> str:
    """The kind, where it is a target's. Raises ValueError."""
    if kind not in TARGET_KINDS:
        msg = f"must be {' or '.join(map(repr, TARGET_KINDS))}"
        raise ValueError(msg)
    return kind


TargetKind = Annotated[str, AfterValidator(_known_kind), WithJsonSchema({"type": "string", "enum": [*TARGET_KINDS]})]


class TargetReference(ApiModel):
    """The target that an object is about, in the same namespace."""

    kind: TargetKind = Field(description="The target's kind.")
    name: Name = Field(description="The target's name.")

    @classmethod
    def to(cls, target: ObjectRef) -> "TargetReference":
        """The reference of an object in the target's namespace."""
        return cls(kind=target.kind, name=target.name)

    def within(self, namespace: str) -> ObjectRef:
        """The target, as an object of that namespace names it."""
        return ObjectRef(self.kind, namespace, self.name)


class Member(ApiModel):
    """The part of a Change or a Snapshot that its target's kind alone has. A kind extends it."""

    @property
    def implied(self) -> dict[str, Any]:
        """Fields of the common part that follow from this, by their names in JSON: they are taken from here alone."""
        return {}

    @property
    def order(self) -> int:
        """Rises with each that is made of one target, where the kind counts: a creation time has whole seconds."""
        return 0

    @property
    def told(self) -> dict[str, str]:
        """The columns on it that `setpoint describe` has for people, by title."""
        return {}


def member_name(kind: str) -> str:
    """The name of a kind's member, as `environment`."""
    return kind[:1].lower() + kind[1:]


# --- What is declared of it -------------------------------------------------------------------------------------------


class DriftPolicy(ApiModel):
    """The handling of drift."""

    mode: Literal["Detect", "Propose", "Heal"] = Field(
        default="Propose", description="Detect: report. Propose: a Change that waits. Heal: apply if the gates pass."
    )


class ApplyPolicy(ApiModel):
    """The handling of changes that come from a new spec or source."""

    mode: Literal["Manual", "Auto"] = Field(
        default="Manual", description="Manual: wait for an approval. Auto: apply if the gates pass."
    )


class ApprovalPolicy(ApiModel):
    """How many people must approve. Adds to what gates ask, never loosens it."""

    required: Annotated[Integer, Field(ge=0, le=10)] | None = Field(
        default=None,
        description="At least 1 for Manual and Propose, whatever is written; none for Auto and Heal where unset.",
    )
    ttl: Duration = Field(default=dt.timedelta(hours=8), description="How long an approval can be used.")


class Protection(ApiModel):
    """The resources that must not be destroyed, and what is lost where one is."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                f"!has(self.reversibility) || self.reversibility.all(x, x.matches('^{_TYPE_PATTERN}$'))",
                "a key of reversibility is a type of resources, or a pattern: lower-case letters, digits, -, _ and *",
            )
        )
    )

    deletion_policy: Literal["Retain", "Destroy"] = Field(
        default="Retain", description="When the object is deleted. Retain: release. Destroy: a gated destroy Change."
    )
    addresses: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=256)] = Field(
        default_factory=list,
        description="Resource addresses that no Change may delete or replace; `*` matches any run.",
    )
    types: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=256)] = Field(
        default_factory=list, description="Resource types that no Change may delete or replace."
    )
    reversibility: Annotated[dict[str, ResourceClass], Field(max_length=64)] = Field(
        default_factory=dict,
        description="Type, or pattern of types (`*` matches any run), to what is lost where such a resource is "
        "destroyed; for types that Setpoint does not know or that are used otherwise. Data: what it held. Identity: an "
        "id or secret that others know. Settings: nothing, since the former configuration brings it back. The closest "
        "pattern counts.",
    )

    @field_validator("reversibility", mode="before")
    @classmethod
    def _types(cls, given: Any) -> Any:
        """Before the classes are looked at: what is said of a wrong one names its key."""
        for pattern in given if isinstance(given, dict) else ():
            if not re.fullmatch(_TYPE_PATTERN, str(pattern)):
                msg = (
                    f"{str(pattern)[:40]!r} is no type of a resource, or pattern of types: at most {_MAX_TYPE} "
                    "lower-case letters, digits, - and _, and * for any run of them"
                )
                raise ValueError(msg)
        return given


class SnapshotPolicy(ApiModel):
    """How many snapshots are kept."""

    keep: Annotated[Integer, Field(ge=1, le=1000)] = Field(
        default=20, description="The newest so many; those in use stay too."
    )


class ResetPolicy(ApiModel):
    """The reaction to an applied change that does not verify."""

    on_verify_failure: Literal["Propose", "Auto", "Never"] = Field(
        default="Propose",
        description="Propose: a Reset that waits for an approval. Auto: one that the gates alone decide. Never: hold.",
    )


class TargetSpec(ApiModel):
    """The target as it must be, and how changes to it are made."""

    stage: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] = Field(
        description="Such as dev, staging or prod; gates select on it."
    )
    interval: Duration = Field(default=dt.timedelta(minutes=10), description="Time between observations, ± 10 %.")
    drift: DriftPolicy = Field(default_factory=DriftPolicy, description="What to do about drift.")
    apply: ApplyPolicy = Field(default_factory=ApplyPolicy, description="What to do about a new spec or source.")
    approvals: ApprovalPolicy = Field(default_factory=ApprovalPolicy, description="How many people must approve.")
    protection: Protection = Field(default_factory=Protection, description="What must not be destroyed.")
    snapshots: SnapshotPolicy = Field(default_factory=SnapshotPolicy, description="How many snapshots are kept.")
    reset: ResetPolicy = Field(default_factory=ResetPolicy, description="What follows a failed verification.")
    suspend: Boolean = Field(default=False, description="True: nothing is observed and nothing applied.")

    @property
    def secret_names(self) -> frozenset[str]:
        """The Secrets that a pass reads: where one moves, the target is observed. Each kind says its own."""
        return frozenset()


# --- What is seen of it, and was done ---------------------------------------------------------------------------------


class DriftStatus(StatusModel):
    """Differences by class, less those that are ignored."""

    actionable: int = Field(default=0, description="Resources that differ and that a Change would restore.")
    informational: int = Field(default=0, description="Resources that differ without consequence.")
    pending: int = Field(default=0, description="Changes that come from the spec or the source.")
    cascade: int = Field(default=0, description="Changes that only follow from another difference.")
    addresses: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=20)] = Field(
        default_factory=list, description="The first actionable addresses."
    )
    since: Time | None = Field(default=None, description="When actionable drift was first seen.")
    violations: int = Field(default=0, description="Violations of policies by what changed outside, of any class.")


class AppliedStatus(StatusModel):
    """The last configuration that was applied: what a reset builds on."""

    configuration: ShortText | None = Field(
        default=None, description="The name of the configuration as a whole, by all digests that it consists of."
    )
    revision: ShortText = Field(default="", description="Commit, or the digest of the files.")
    generation: int = Field(default=0, description="The metadata.generation that was applied.")
    change: Name | None = Field(default=None, description="The Change that brought it about.")
    at: Time = Field(description="When it was applied or first seen to be in force.")
    stage: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="How far an apply has come whose effect comes in stages."
    )
    seal: Digest | None = Field(
        default=None, description="Shows that Setpoint wrote this; without its seal it is taken for absent."
    )

    @property
    def configuration_name(self) -> str:
        """The name of the configuration, as an observation has it; a kind says that of records without the field."""
        return self.configuration or ""


class HoldStatus(StatusModel):
    """Why nothing is applied until the spec changes or a person resumes."""

    reason: Annotated[str, Field(max_length=63)] = Field(description="As in the condition Held.")
    since: Time = Field(description="When the hold began.")
    generation: int = Field(description="A spec of another generation releases the hold.")
    snapshot: Name | None = Field(default=None, description="The snapshot that the environment was reset to.")


class TargetStatus(StatusModel):
    """The target as last seen, and what was last done."""

    observed_generation: ObservedGeneration = 0
    conditions: Conditions = Field(default_factory=list)
    drift: DriftStatus = Field(default_factory=DriftStatus, description="Differences by class.")
    change: Name | None = Field(default=None, description="The Change that is open.")
    applied: AppliedStatus | None = Field(default=None, description="The last applied configuration.")
    applying: AppliedStatus | None = Field(
        default=None, description="What an apply is bringing about; becomes `applied` once it did."
    )
    warnings: Annotated[list[ShortText], Field(max_length=20)] = Field(
        default_factory=list, description="What the last observation warned of."
    )
    snapshot: Name | None = Field(default=None, description="The newest snapshot.")
    hold: HoldStatus | None = Field(default=None, description="Set while Held.")
    failures: int = Field(default=0, description="Failed applies in a row.")
    attempts: int = Field(default=0, description="Applies that were ever begun; an approval holds for one of them.")
    orphans: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=50)] = Field(
        default_factory=list,
        description="What an interrupted apply began to make and is in no state: by address, and id where known.",
    )
    not_converging: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=50)] = Field(
        default_factory=list, description="Addresses that still differed right after they were applied."
    )
    handled_reconcile: ShortText | None = Field(
        default=None, description="The last request for a run that was handled."
    )

    @classmethod
    def applied_type(cls) -> type[AppliedStatus]:
        """The type of `applied`, to which a kind may add what it alone records."""
        found: type[AppliedStatus] = get_args(cls.model_fields["applied"].annotation)[0]
        return found

    @property
    def base(self) -> str | None:
        """The name of what was seen last, as an observation has it; None where nothing was. Each kind says it."""
        return None

    @property
    def staying(self) -> tuple[str, ...]:
        """The things that nobody looks after where the target is released, as phrases; empty: nothing was applied."""
        return ("what was applied",) if self.applied is not None else ()

    @property
    def told(self) -> dict[str, str]:
        """The lines on it that `setpoint describe` has for people, by title; each kind says its own."""
        return {} if self.applied is None else {"Applied": f"{self.applied.configuration_name} at {self.applied.at}"}


class Target(KubeObject):
    """Something that Setpoint keeps at its declared state. A kind adds what it alone has to spec and status."""

    OWN_REASONS: ClassVar[Mapping[ConditionType, tuple[Reason, ...]]] = {}
    """The reasons that conditions of this kind alone can have, beside those of every target."""
    CHANGE: ClassVar[type[Member]] = Member
    """The part of a Change that this kind alone has: its member of the union."""
    SNAPSHOT: ClassVar[type[Member]] = Member
    """The part of a Snapshot that it alone has."""

    spec: TargetSpec
    status: TargetStatus = Field(default_factory=TargetStatus)


def target_type(kind: str) -> type[Target]:
    """The type of a kind of TARGET_KINDS."""
    # By name: each type extends what stands here, so that importing them would go in a circle.
    found: type[Target] = pkgutil.resolve_name(TARGET_KINDS[kind])
    return found
