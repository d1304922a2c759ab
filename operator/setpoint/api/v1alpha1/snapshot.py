"""Owns the kind Snapshot: the index entry of one captured state. Types only, no behaviour."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from setpoint.api.meta import KindMeta, KubeObject, PrinterColumn
from setpoint.api.model import ApiModel, Digest, Name, ShortText
from setpoint.api.target import TargetReference


class SnapshotSpec(ApiModel):
    """Everything that a reset needs, by digest; the bytes are sealed in the store. Immutable."""

    target_ref: TargetReference = Field(description="The target that was captured.")
    digest: Digest = Field(description="Of the manifest below.")
    state_version: int = Field(description="Our version of the state; 0 where there was none.")
    state_digest: Digest | None = Field(default=None, description="Of the state's bytes, keyed by this home.")
    bundle: Digest | None = Field(default=None, description="The configuration; absent before the first apply.")
    archive: Digest | None = Field(default=None, description="Where the sealed bundle is in the store.")
    revision: ShortText = Field(default="", description="Commit of the configuration, or the digest of its files.")
    variables: Digest | None = Field(default=None, description="Sealed spec.variables, by digest.")
    secret_variables: Annotated[dict[str, Digest], Field(max_length=512)] = Field(
        default_factory=dict, description="Keys of variablesFrom with keyed digests; read anew at a reset."
    )
    outputs: Digest | None = Field(default=None, description="Sealed outputs, by digest.")
    engine: ShortText = Field(default="", description="Binary and version, as in `terraform 1.11.4`.")
    resources: int = Field(default=0, description="Resource instances in the state.")
    generation: int = Field(default=0, description="The target's generation.")
    change: Name | None = Field(default=None, description="The Change that brought the configuration about.")

    @property
    def is_empty(self) -> bool:
        """True where nothing had been applied: to go back there is to destroy everything."""
        return self.bundle is None


class Snapshot(KubeObject):
    """The index entry of one captured state; the bytes are in the store."""

    META: ClassVar[KindMeta] = KindMeta(
        plural="snapshots",
        short_names=("snap",),
        summary="The index entry of one captured state; the bytes are in the store.",
        spec_immutable=True,
        columns=(
            PrinterColumn("TARGET", ".spec.targetRef.name"),
            PrinterColumn("STATE", ".spec.stateVersion", "integer"),
            PrinterColumn("RESOURCES", ".spec.resources", "integer"),
            PrinterColumn("CHANGE", ".spec.change"),
            PrinterColumn("REVISION", ".spec.revision", wide=True),
            PrinterColumn("BUNDLE", ".spec.bundle", wide=True),
            PrinterColumn("ENGINE", ".spec.engine", wide=True),
            PrinterColumn("AGE", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Snapshot"] = "Snapshot"
    spec: SnapshotSpec
