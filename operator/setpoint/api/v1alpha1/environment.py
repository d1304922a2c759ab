"""Owns the kind Environment: what a cloud environment must be. Types only, no behaviour."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import KindMeta, LocalReference, PrinterColumn
from setpoint.api.model import ApiModel, Digest, Duration, Integer, ShortText, StatusModel
from setpoint.api.source import Source
from setpoint.api.target import AppliedStatus, DriftPolicy, Member, Target, TargetSpec, TargetStatus


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


class EnvironmentDrift(DriftPolicy):
    """The handling of drift."""

    ignore: Annotated[list[IgnoreRule], Field(max_length=128)] = Field(
        default_factory=list, description="Differences that are expected."
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


class EnvironmentSpec(TargetSpec):
    """The environment as it must be, and how changes to it are made."""

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
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Deadlines of the commands.")
    drift: EnvironmentDrift = Field(default_factory=EnvironmentDrift, description="What to do about drift.")
    health: Annotated[list[HealthCheck], Field(max_length=16)] = Field(
        default_factory=list, description="Looks from outside that must succeed after an apply."
    )
    outputs_to: SecretReference | None = Field(default=None, description="Secret that receives the outputs.")

    @property
    def secret_names(self) -> frozenset[str]:
        """Those of the source, of credentials and of variables; that of the outputs is written, not read."""
        named = (*self.variables_from, *self.credentials.plan, *(self.credentials.apply or ()))
        return self.source.secret_names | {one.secret_ref.name for one in named}


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


class EnvironmentApplied(AppliedStatus):
    """The last configuration that was applied: what a reset, a drill or a destroy builds on."""

    bundle: Digest = Field(description="Content address of the configuration.")
    archive: Digest = Field(description="Where the sealed bundle is in the store.")
    variables: Digest = Field(description="Where the sealed spec.variables are in the store.")
    secrets: Digest | None = Field(
        default=None, description="A keyed digest of the secret variables, by which it is seen that they moved."
    )

    @property
    def configuration_name(self) -> str:
        """The name of the configuration as a whole."""
        return self.configuration or name_configuration(self.bundle, self.variables)


def name_configuration(bundle: str, variables: str) -> str:
    """The name of a configuration, by all digests that it consists of."""
    return f"{bundle} {variables}"


class EnvironmentChange(Member):
    """The part of a Change that an Environment alone has."""

    bundle: Digest = Field(description="The code that is applied.")
    state_version: int = Field(description="The state that it starts from; 0 where there was none.")

    @property
    def implied(self) -> dict[str, Any]:
        """Its base is the state."""
        return {"base": str(self.state_version)}


class EnvironmentSnapshot(Member):
    """The part of a Snapshot that an Environment alone has."""

    state_version: int = Field(description="Our version of the state; 0 where there was none.")
    state_digest: Digest | None = Field(default=None, description="Of the state's bytes, keyed by this home.")
    bundle: Digest | None = Field(default=None, description="The code; absent before the first apply.")
    archive: Digest | None = Field(default=None, description="Where the sealed bundle is in the store.")
    variables: Digest | None = Field(default=None, description="Sealed spec.variables, by digest.")
    secret_variables: Annotated[dict[str, Digest], Field(max_length=512)] = Field(
        default_factory=dict, description="Keys of variablesFrom with keyed digests; read anew at a reset."
    )
    outputs: Digest | None = Field(default=None, description="Sealed outputs, by digest.")
    engine: ShortText = Field(default="", description="Binary and version, as in `terraform 1.11.4`.")
    resources: int = Field(default=0, description="Resource instances in the state.")

    @property
    def implied(self) -> dict[str, Any]:
        """Its configuration is what was applied: the bundle with the variables."""
        named = None if self.bundle is None else name_configuration(self.bundle, self.variables or "")
        return {"configuration": named}

    @property
    def order(self) -> int:
        """States are counted."""
        return self.state_version

    @property
    def told(self) -> dict[str, str]:
        """Its state."""
        return {"STATE": str(self.state_version), "RESOURCES": str(self.resources)}


class EnvironmentStatus(TargetStatus):
    """The environment as last seen, and what was last done."""

    bundle: BundleStatus | None = Field(default=None, description="The source as resolved.")
    state: StateStatus | None = Field(default=None, description="The state as last seen.")
    applied: EnvironmentApplied | None = Field(default=None, description="The last applied configuration.")
    applying: EnvironmentApplied | None = Field(
        default=None, description="What an apply is bringing about; becomes `applied` once it did."
    )
    warnings: Annotated[list[ShortText], Field(max_length=20)] = Field(
        default_factory=list, description="What Terraform warned of last: failed `check` blocks, what is deprecated."
    )

    @property
    def base(self) -> str | None:
        """The name of what was seen last; None where nothing was."""
        return None if self.state is None else str(self.state.version)

    @property
    def staying(self) -> tuple[str, ...]:
        """The resources of the state, and the state itself."""
        if self.state is None or not self.state.version:
            return ()
        count = self.state.resources
        return (f"{count} resource" + "s" * (count != 1), f"state version {self.state.version} in the operator's store")

    @property
    def told(self) -> dict[str, str]:
        """The state, and what was applied by the name that its Change has for it."""
        told = {}
        if self.state is not None:
            resources = f"{self.state.resources} resources"
            told["State"] = f"version {self.state.version}, serial {self.state.serial}, {resources}"
        if self.applied is not None:
            told["Applied"] = f"{self.applied.bundle} at {self.applied.at}"
        return told


_DECLARATION_REASONS = (
    Reason.VARIABLE_UNDECLARED,
    Reason.CONFIGURATION_INVALID,
    Reason.LOCK_FILE_MISSING,
    Reason.LOCK_FILE_MISMATCH,
    Reason.ENGINE_NOT_FOUND,
    Reason.ENGINE_VERSION_MISMATCH,
    Reason.STATE_NOT_ADOPTED,
    Reason.STATE_TOO_NEW,
    Reason.PROVIDER_UNAVAILABLE,
)
_FAILURE_REASONS = (
    Reason.INIT_FAILED,
    Reason.PLAN_FAILED,
    Reason.DATA_UNREADABLE,
    Reason.DESTROY_PREVENTED,
    Reason.STATE_LOCKED,
)


class Environment(Target):
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

    OWN_REASONS: ClassVar[Mapping[ConditionType, tuple[Reason, ...]]] = {
        ConditionType.READY: (*_DECLARATION_REASONS, *_FAILURE_REASONS),
        ConditionType.STALLED: _DECLARATION_REASONS,
    }
    CHANGE: ClassVar[type[Member]] = EnvironmentChange
    SNAPSHOT: ClassVar[type[Member]] = EnvironmentSnapshot

    kind: Literal["Environment"] = "Environment"
    spec: EnvironmentSpec
    status: EnvironmentStatus = Field(default_factory=EnvironmentStatus)
