"""Owns what a target says of where its files are. Types only; any kind whose goal is files has the same."""

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from setpoint.api.meta import LocalReference
from setpoint.api.model import ApiModel, cel

_MAX_FILES = 100
_MAX_FILE_BYTES = 262_144


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

    @property
    def secret_names(self) -> frozenset[str]:
        """The Secrets with its logins."""
        own = [] if self.secret_ref is None else [self.secret_ref.name]
        return frozenset([*own, *(one.secret_ref.name for one in self.credentials)])


class Source(ApiModel):
    """The place of files. Exactly one field; resolved to an immutable tree named by its content."""

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

    @property
    def secret_names(self) -> frozenset[str]:
        """The Secrets that reading it takes."""
        return frozenset() if self.git is None else self.git.secret_names
