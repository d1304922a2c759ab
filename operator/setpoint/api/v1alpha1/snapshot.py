"""Owns the kind Snapshot: the index entry of one captured state. Types only, no behaviour."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from setpoint.api.about_target import AboutTarget
from setpoint.api.meta import KindMeta, KubeObject, PrinterColumn
from setpoint.api.model import Digest, Name, ShortText
from setpoint.api.target import Member, Target, TargetReference


class SnapshotSpec(AboutTarget):
    """Everything that a reset needs, by digest; the bytes are sealed in the store. Immutable."""

    target_ref: TargetReference = Field(description="The target that was captured.")
    digest: Digest = Field(description="Of all that is said here.")
    configuration: ShortText | None = Field(
        default=None, description="The configuration, by its name; absent before the first apply."
    )
    revision: ShortText = Field(default="", description="Commit of the configuration, or the digest of its files.")
    generation: int = Field(default=0, description="The target's generation.")
    change: Name | None = Field(default=None, description="The Change that brought the configuration about.")

    @classmethod
    def member_type(cls, kind: type[Target]) -> type[Member]:
        """The part that a Snapshot of such a target alone has."""
        return kind.SNAPSHOT

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """One without its member would pass for one of before the first apply."""
        if self.member is None:
            msg = (
                "an earlier version of Setpoint took it, and the API server cut what it holds of its target: nothing "
                "can be reset to it. Delete it"
            )
            raise ValueError(msg)
        return self

    @property
    def is_empty(self) -> bool:
        """True where nothing had been applied: to go back there is to destroy everything."""
        return self.configuration is None


class Snapshot(KubeObject):
    """The index entry of one captured state; the bytes are in the store."""

    META: ClassVar[KindMeta] = KindMeta(
        plural="snapshots",
        short_names=("snap",),
        summary="The index entry of one captured state; the bytes are in the store.",
        spec_immutable=True,
        columns=(
            PrinterColumn("TARGET", ".spec.targetRef.name"),
            PrinterColumn("STATE", ".spec.environment.stateVersion", "integer"),
            PrinterColumn("RESOURCES", ".spec.environment.resources", "integer"),
            PrinterColumn("CHANGE", ".spec.change"),
            PrinterColumn("REVISION", ".spec.revision", wide=True),
            PrinterColumn("BUNDLE", ".spec.environment.bundle", wide=True),
            PrinterColumn("ENGINE", ".spec.environment.engine", wide=True),
            PrinterColumn("AGE", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Snapshot"] = "Snapshot"
    spec: SnapshotSpec
