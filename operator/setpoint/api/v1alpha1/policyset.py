"""Owns the kind PolicySet: a digest-pinned bundle of Rego policies. Types only, no behaviour."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from setpoint.api.meta import Conditions, KindMeta, KubeObject, ObservedGeneration, PrinterColumn
from setpoint.api.model import ApiModel, Digest, StatusModel, cel
from setpoint.api.v1alpha1.baseline import check_parameters


class PolicySource(ApiModel):
    """The place of the Rego modules. Exactly one field."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "[has(self.path), has(self.inline), has(self.builtin)].filter(x, x).size() == 1",
                "exactly one of path, inline and builtin must be set",
            )
        )
    )

    path: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        default=None, description="Local home only: a folder, relative to the manifest, never outside the home."
    )
    inline: Annotated[dict[str, Annotated[str, Field(max_length=262_144)]], Field(max_length=100)] | None = Field(
        default=None, description="File name to Rego text."
    )
    builtin: Literal["baseline"] | None = Field(default=None, description="A pack that Setpoint ships.")

    @model_validator(mode="after")
    def _exactly_one(self) -> "PolicySource":
        if sum(part is not None for part in (self.path, self.inline, self.builtin)) != 1:
            msg = "exactly one of path, inline and builtin must be set"
            raise ValueError(msg)
        return self


class PolicySetSpec(ApiModel):
    """A set of Rego v1 modules and the parameters that they read as `data.params`."""

    source: PolicySource = Field(description="Where the Rego modules are.")
    digest: Digest | None = Field(default=None, description="Pins the content; another content is refused.")
    params: Annotated[dict[str, Any], Field(max_length=128)] = Field(
        default_factory=dict,
        description="Read by the policies as data.params. Those of a built-in pack are checked by name and type.",
    )

    @model_validator(mode="after")
    def _parameters_exist(self) -> "PolicySetSpec":
        if self.source.builtin is not None:
            check_parameters(self.params)
        return self


class RuleIndexEntry(ApiModel):
    """One package of the set, from its METADATA comment."""

    package: Annotated[str, Field(max_length=253)] = Field(description="The Rego package.")
    title: Annotated[str, Field(max_length=253)] = Field(default="", description="What the package demands.")
    severity: Literal["critical", "high", "medium", "low"] = Field(
        default="medium", description="How grave a violation is; gates map it to a level."
    )


class PolicySetStatus(StatusModel):
    """Says whether the set can be used."""

    observed_generation: ObservedGeneration = 0
    conditions: Conditions = Field(default_factory=list)
    digest: Digest | None = Field(default=None, description="Of the content that is loaded.")
    rules: Annotated[list[RuleIndexEntry], Field(max_length=200)] = Field(
        default_factory=list, description="The packages of the set."
    )


class PolicySet(KubeObject):
    """A digest-pinned bundle of Rego policies."""

    META: ClassVar[KindMeta] = KindMeta(
        plural="policysets",
        short_names=("pset",),
        namespaced=False,
        summary="A digest-pinned bundle of Rego policies.",
        columns=(
            PrinterColumn("READY", '.status.conditions[?(@.type=="Ready")].status'),
            PrinterColumn("DIGEST", ".status.digest"),
            PrinterColumn("AGE", ".metadata.creationTimestamp", "date"),
            PrinterColumn("STATUS", '.status.conditions[?(@.type=="Ready")].message', wide=True),
        ),
    )

    kind: Literal["PolicySet"] = "PolicySet"
    spec: PolicySetSpec
    status: PolicySetStatus = Field(default_factory=PolicySetStatus)
