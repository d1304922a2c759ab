"""Owns the kind Environment: what a cloud environment must be. Types only, no behaviour."""

import datetime as dt
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from setpoint.api.meta import Conditions, KindMeta, KubeObject, LocalReference, ObservedGeneration, PrinterColumn
from setpoint.api.model import ApiModel, Boolean, Digest, Duration, Integer, Name, ShortText, StatusModel, Time, cel

_MAX_FILES = 100
_MAX_FILE_BYTES = 262_144
_MAX_TYPE = 128
_TYPE_PATTERN = f"[a-z0-9_*-]{{1,{_MAX_TYPE}}}"

ResourceClass = Literal["Data", "Identity", "Settings"]
"""The loss where a resource of a type is destroyed or replaced."""


class Engine(ApiModel):
    """The Terraform that runs."""

    type: Literal["terraform", "opentofu"] = Field(default="terraform", description="The binary's family.")
    version: Annotated[str, Field(max_length=128)] = Field(
        default=">= 1.9", description="Constraint on the binary's version, in Terraform's syntax."
    )
    lock_file: Literal["Required", "Generate"] = Field(
        default="Required",
        description="Required: the source must carry .terraform.lock.hcl. Generate: made once, kept with the bundle.",
    )


class SecretReference(ApiModel):
    """A Secret in the same namespace; every key of it is used."""

    secret_ref: LocalReference = Field(description="The Secret.")


class HostCredentials(ApiModel):
    """The login of git at one host, for the modules that come from there."""

    host: Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?$")] = Field(
        description="As in the modules' URLs, with a port where they have one; for https and ssh."
    )
    secret_ref: LocalReference = Field(
        description="Secret with username and password, or with an SSH key as identity and known_hosts."
    )


class GitSource(ApiModel):
    """A folder of a git repository, at a commit that `ref` resolves to."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!has(self.credentials) || self.credentials.all(x, self.credentials.exists_one(y, y.host == x.host))",
                "each host may stand in credentials once",
            )
        )
    )

    url: Annotated[str, Field(min_length=1, max_length=2048)] = Field(description="Any transport that git has.")
    ref: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        default="HEAD", description="Branch, tag or commit."
    )
    path: Annotated[str, Field(max_length=1024)] = Field(default=".", description="Folder within the repository.")
    secret_ref: LocalReference | None = Field(
        default=None,
        description="Secret with username and password, or with an SSH key as identity and known_hosts; it serves the "
        "modules on the same host, too.",
    )
    credentials: Annotated[list[HostCredentials], Field(max_length=16)] = Field(
        default_factory=list, description="For modules on other hosts."
    )

    @model_validator(mode="after")
    def _each_host_once(self) -> "GitSource":
        if len({one.host for one in self.credentials}) < len(self.credentials):
            msg = "each host may stand in credentials once"
            raise ValueError(msg)
        return self


class Source(ApiModel):
    """The place of the Terraform code. Exactly one field; resolved to an immutable bundle named by its content."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "[has(self.path), has(self.git), has(self.inline)].filter(x, x).size() == 1",
                "exactly one of path, git and inline must be set",
            )
        )
    )

    path: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Local home only: a folder, relative to the manifest, never outside the home."
    )
    git: GitSource | None = Field(default=None, description="A folder of a git repository.")
    inline: (
        Annotated[dict[str, Annotated[str, Field(max_length=_MAX_FILE_BYTES)]], Field(max_length=_MAX_FILES)] | None
    ) = Field(default=None, description="File name to content; names may hold folders, never `..`.")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        if sum(part is not None for part in (self.path, self.git, self.inline)) != 1:
            msg = "exactly one of path, git and inline must be set"
            raise ValueError(msg)
        return self


class Credentials(ApiModel):
    """Secrets whose keys become environment variables of one kind of run, and of nothing else."""

    plan: Annotated[list[SecretReference], Field(max_length=16)] = Field(
        default_factory=list, description="For plans: read-only credentials belong here."
    )
    apply: Annotated[list[SecretReference], Field(max_length=16)] | None = Field(
        default=None, description="For applies; the plan's where unset."
    )


class Timeouts(ApiModel):
    """How long each Terraform command may take before it is stopped gracefully."""

    init: Duration = Field(default=dt.timedelta(minutes=5), description="terraform init and get.")
    plan: Duration = Field(default=dt.timedelta(minutes=15), description="terraform plan and show.")
    apply: Duration = Field(default=dt.timedelta(minutes=60), description="terraform apply.")


class IgnoreRule(ApiModel):
    """Differences that are no drift. Changes what is reported and approved, never what Terraform applies."""

    address: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Resource address; `*` matches any run of characters."
    )
    paths: Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=64)] = Field(
        default_factory=list, description="Attribute paths such as tags or tags.owner; all attributes where empty."
    )


class DriftPolicy(ApiModel):
    """The handling of drift."""

    mode: Literal["Detect", "Propose", "Heal"] = Field(
        default="Propose", description="Detect: report. Propose: a Change that waits. Heal: apply if the gates pass."
    )
    ignore: Annotated[list[IgnoreRule], Field(max_length=128)] = Field(
        default_factory=list, description="Differences that are expected."
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


class HttpProbe(ApiModel):
    """A GET that must answer with one status."""

    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://[^\s]+$")] = Field(
        description="What to GET. Not a link-local address, nor one of a machine's metadata."
    )
    status: Annotated[Integer, Field(ge=100, le=599)] = Field(default=200, description="The status that means healthy.")


class HealthCheck(ApiModel):
    """One look at the environment from outside, after an apply."""

    http: HttpProbe = Field(description="What to ask.")
    timeout: Duration = Field(default=dt.timedelta(seconds=30), description="How long to keep asking before it failed.")


class EnvironmentSpec(ApiModel):
    """The environment as it must be, and how changes to it are made."""

    stage: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] = Field(
        description="Such as dev, staging or prod; gates select on it."
    )
    engine: Engine = Field(default_factory=Engine, description="Which Terraform runs.")
    source: Source = Field(description="Where the Terraform code is.")
    credentials: Credentials = Field(
        default_factory=Credentials,
        description="Environment variables of runs. What may be a secret is hidden; the "
        "annotation setpoint.dev/plain of a Secret names keys that are none.",
    )
    variables: Annotated[dict[str, Any], Field(max_length=256)] = Field(
        default_factory=dict,
        description="Input variables; each must be declared by the code. Where it declares a string, within a list or "
        "an object too, a boolean or a number is refused: put it in quotes (YAML reads NO as a boolean).",
    )
    variables_from: Annotated[list[SecretReference], Field(max_length=16)] = Field(
        default_factory=list,
        description="Secrets whose keys are input variables; later wins. Sensitive, but for keys that the annotation "
        "setpoint.dev/plain of their Secret names. A value is text; where the "
        "code declares the variable's type as a list, set, map, tuple, object or any, a value that is a JSON array or "
        "object is passed as that.",
    )
    interval: Duration = Field(default=dt.timedelta(minutes=10), description="Time between observations, ± 10 %.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Deadlines of the commands.")
    drift: DriftPolicy = Field(default_factory=DriftPolicy, description="What to do about drift.")
    apply: ApplyPolicy = Field(default_factory=ApplyPolicy, description="What to do about a new spec or source.")
    approvals: ApprovalPolicy = Field(default_factory=ApprovalPolicy, description="How many people must approve.")
    protection: Protection = Field(default_factory=Protection, description="What must not be destroyed.")
    snapshots: SnapshotPolicy = Field(default_factory=SnapshotPolicy, description="How many snapshots are kept.")
    reset: ResetPolicy = Field(default_factory=ResetPolicy, description="What follows a failed verification.")
    health: Annotated[list[HealthCheck], Field(max_length=16)] = Field(
        default_factory=list, description="Looks from outside that must succeed after an apply."
    )
    outputs_to: SecretReference | None = Field(default=None, description="Secret that receives the outputs.")
    suspend: Boolean = Field(default=False, description="True: nothing is observed and nothing applied.")


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


class BundleStatus(StatusModel):
    """The resolved source."""

    digest: Digest = Field(description="Content address of source, modules and lock file.")
    revision: ShortText = Field(default="", description="Commit, or the digest of the files.")


class StateStatus(StatusModel):
    """The Terraform state, by our own counting."""

    version: int = Field(description="Our version number; only rises.")
    serial: int = Field(description="Terraform's serial.")
    lineage: ShortText = Field(default="", description="Terraform's lineage.")
    resources: int = Field(default=0, description="Resource instances in the state.")


class AppliedStatus(StatusModel):
    """The last configuration that was applied: what a reset, a drill or a destroy builds on."""

    bundle: Digest = Field(description="Content address of the configuration.")
    archive: Digest = Field(description="Where the sealed bundle is in the store.")
    revision: ShortText = Field(default="", description="Commit, or the digest of the files.")
    variables: Digest = Field(description="Where the sealed spec.variables are in the store.")
    secrets: Digest | None = Field(
        default=None, description="A keyed digest of the secret variables, by which it is seen that they moved."
    )
    generation: int = Field(default=0, description="The metadata.generation that was applied.")
    change: Name | None = Field(default=None, description="The Change that brought it about.")
    at: Time = Field(description="When it was applied or first seen to be in force.")
    seal: Digest | None = Field(
        default=None, description="Shows that Setpoint wrote this; without its seal it is taken for absent."
    )

    @property
    def configuration(self) -> str:
        """The name of the configuration as a whole."""
        return name_configuration(self.bundle, self.variables)


def name_configuration(bundle: str, variables: str) -> str:
    """The name of a configuration, by all digests that it consists of."""
    return f"{bundle} {variables}"


class HoldStatus(StatusModel):
    """Why nothing is applied until the spec changes or a person resumes."""

    reason: Annotated[str, Field(max_length=63)] = Field(description="As in the condition Held.")
    since: Time = Field(description="When the hold began.")
    generation: int = Field(description="A spec of another generation releases the hold.")
    snapshot: Name | None = Field(default=None, description="The snapshot that the environment was reset to.")


class EnvironmentStatus(StatusModel):
    """The environment as last seen, and what was last done."""

    observed_generation: ObservedGeneration = 0
    conditions: Conditions = Field(default_factory=list)
    bundle: BundleStatus | None = Field(default=None, description="The source as resolved.")
    state: StateStatus | None = Field(default=None, description="The state as last seen.")
    drift: DriftStatus = Field(default_factory=DriftStatus, description="Differences by class.")
    change: Name | None = Field(default=None, description="The Change that is open.")
    applied: AppliedStatus | None = Field(default=None, description="The last applied configuration.")
    applying: AppliedStatus | None = Field(
        default=None, description="What an apply is bringing about; becomes `applied` once it did."
    )
    snapshot: Name | None = Field(default=None, description="The newest snapshot.")
    hold: HoldStatus | None = Field(default=None, description="Set while Held.")
    failures: int = Field(default=0, description="Failed applies in a row.")
    attempts: int = Field(default=0, description="Applies that were ever begun; an approval holds for one of them.")
    orphans: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=50)] = Field(
        default_factory=list,
        description="What an interrupted apply began to make and is in no state: by address, and id where known.",
    )
    warnings: Annotated[list[ShortText], Field(max_length=20)] = Field(
        default_factory=list, description="What Terraform warned of last: failed `check` blocks, what is deprecated."
    )
    not_converging: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=50)] = Field(
        default_factory=list, description="Addresses that still differed right after they were applied."
    )
    handled_reconcile: ShortText | None = Field(
        default=None, description="The last request for a run that was handled."
    )

    @property
    def base(self) -> str | None:
        """The name of what was seen last; None where nothing was."""
        return None if self.state is None else str(self.state.version)


class Environment(KubeObject):
    """A cloud environment that Setpoint keeps at its declared state."""

    META: ClassVar[KindMeta] = KindMeta(
        plural="environments",
        short_names=("env", "envs"),
        summary="What a cloud environment must be: Terraform source, variables, stage and protection.",
        columns=(
            PrinterColumn("READY", '.status.conditions[?(@.type=="Ready")].status'),
            PrinterColumn("STAGE", ".spec.stage"),
            PrinterColumn("DRIFT", ".status.drift.actionable", "integer"),
            PrinterColumn("CHANGE", ".status.change"),
            PrinterColumn("WAY BACK", '.status.conditions[?(@.type=="ResetReady")].status'),
            PrinterColumn("AGE", ".metadata.creationTimestamp", "date"),
            PrinterColumn("REASON", '.status.conditions[?(@.type=="Ready")].reason', wide=True),
            PrinterColumn("STATUS", '.status.conditions[?(@.type=="Ready")].message', wide=True),
        ),
    )

    kind: Literal["Environment"] = "Environment"
    spec: EnvironmentSpec
    status: EnvironmentStatus = Field(default_factory=EnvironmentStatus)
