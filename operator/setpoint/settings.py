"""Owns the settings: one frozen value, read once, from the environment, at the composition root."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from setpoint.domain.errors import InvalidError
from setpoint.domain.sharding import MAX_SHARDS
from setpoint.domain.unreachable import parse_allowed
from setpoint.runtime.memory import memory_group

_PREFIX = "SETPOINT_"
_URL_FILE = "SETPOINT_STORE_URL_FILE"
_MAX_URL = 8192


_BYTES_OF_A_RUN = 256 << 20
"""As much as Terraform takes with a provider of a usual size."""


def _default_workers() -> int:
    by_cores = max(2, min(16, 2 * (os.cpu_count() or 1)))
    group = memory_group()
    return by_cores if group is None else max(1, min(by_cores, group.limit // _BYTES_OF_A_RUN))


class Settings(BaseModel):
    """The settings of the process. Each field is the environment variable SETPOINT_<NAME>."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path | None = Field(
        default=None, description="The local home; else the one that holds the working directory."
    )
    terraform: Path | None = Field(default=None, description="The terraform binary; else the one on PATH.")
    tofu: Path | None = Field(default=None, description="The OpenTofu binary, tofu; else the one on PATH.")
    terraform_mirror: Path | None = Field(
        default=None, description="A filesystem mirror of providers, for sites without a registry."
    )
    terraform_env: Annotated[str, Field(max_length=4096)] = Field(
        default="", description="Comma-separated names of environment variables that Terraform inherits."
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        default_factory=_default_workers,
        description="Targets that are worked on at once; default twice the cores, 2 to 16, and at most one for "
        "256 MiB of the container's limit. One that takes longer than "
        "30 s hands its place on; as many again may be slow beside them.",
    )
    listen: Annotated[str, Field(pattern=r"^$|^[^\s:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$")] = Field(
        default="", description="HOST:PORT of /healthz, /readyz and /metrics; nothing is served where empty."
    )
    log_format: Literal["console", "json"] = Field(default="console", description="How log lines look.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level shown."
    )
    health_allow: Annotated[str, Field(max_length=4096)] = Field(
        default="",
        description="Comma-separated addresses, networks and host names that health checks may ask, though they are "
        "link-local or serve a machine's metadata.",
    )
    drain_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=60.0, description="How long a graceful stop waits for running reconciles, in seconds."
    )
    collect_seconds: Annotated[float, Field(ge=60, le=30 * 86_400)] = Field(
        default=86_400.0,
        description="Seconds between removals of what is no longer needed: sealed blobs, copies of git repositories.",
    )
    state_dir: Path = Field(
        default=Path("/var/lib/setpoint"),
        description="The operator's own folder: work folders of runs, and the store where `store_url` names none.",
    )
    store_url: SecretStr | None = Field(
        default=None,
        description="postgresql://USER:PASSWORD@HOST:PORT/DATABASE: the store of the operator's replicas; else SQLite.",
    )
    store_url_file: Path | None = Field(
        default=None,
        description="The file that holds `store_url`, read once, at the start, so that the password stands in no "
        "environment.",
    )
    sealing_key_file: Path | None = Field(
        default=None,
        description="The file of 32 random bytes that seals Terraform states and other blobs; needed with `store_url`.",
    )
    namespaces: Annotated[str, Field(max_length=4096)] = Field(
        default="", description="Comma-separated namespaces that the operator serves; all where empty."
    )
    api_reads: Annotated[float, Field(gt=0, le=10_000)] = Field(
        default=200.0, description="Reads a second that the operator sends to the API server at most."
    )
    api_writes: Annotated[float, Field(gt=0, le=10_000)] = Field(
        default=20.0, description="Writes a second that the operator sends to the API server at most."
    )
    shards: Annotated[int, Field(ge=1, le=MAX_SHARDS)] = Field(
        default=1,
        description="Parts that the targets are divided into, each with a leader of its own; alike for all replicas.",
    )
    resync_seconds: Annotated[float, Field(ge=5, le=86_400)] = Field(
        default=300.0, description="Seconds between lists of all objects, for what the operator's watch has missed."
    )
    lease_namespace: Annotated[str, Field(max_length=63)] = Field(
        default="", description="Where the operator's Lease is; else the pod's own namespace, else setpoint-system."
    )
    identity: Annotated[str, Field(max_length=253)] = Field(
        default="", description="The operator's name in its Lease; else the host's name and a random part."
    )

    @property
    def binaries(self) -> Mapping[str, Path | None]:
        """The binaries that were named, by spec.engine.type."""
        return {"terraform": self.terraform, "opentofu": self.tofu}

    @property
    def served_namespaces(self) -> tuple[str, ...]:
        """The names of `namespaces`."""
        return tuple(sorted({name.strip() for name in self.namespaces.split(",") if name.strip()}))

    @field_validator("health_allow")
    @classmethod
    def _check_networks(cls, text: str) -> str:
        parse_allowed(text)
        return text

    @property
    def passthrough(self) -> tuple[str, ...]:
        """The names of `terraform_env`."""
        return tuple(name.strip() for name in self.terraform_env.split(",") if name.strip())


def read_settings(environ: Mapping[str, str] = os.environ, **overrides: object) -> Settings:
    """Settings from the environment; overrides that are not None win. Raises InvalidError naming the variable."""
    given: dict[str, object] = {
        name: environ[_PREFIX + name.upper()] for name in Settings.model_fields if environ.get(_PREFIX + name.upper())
    }
    given |= {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidError(str(first["msg"]), field=_PREFIX + str(first["loc"][0]).upper()) from None
    if settings.store_url_file is None:
        return settings
    if settings.store_url is not None:
        message = "SETPOINT_STORE_URL is set, too: only one of them may be"
        raise InvalidError(message, field=_URL_FILE)
    return settings.model_copy(update={"store_url": SecretStr(_read_url(settings.store_url_file))})


def _read_url(path: Path) -> str:
    """The URL in a file, without the line's end. Raises InvalidError, which says nothing of what is in it."""
    try:
        with path.open("rb") as file:
            url = file.read(_MAX_URL + 1).decode().strip()
    except OSError as error:
        message = f"{path} can't be read: {error.strerror}"
        raise InvalidError(message, field=_URL_FILE) from None
    except UnicodeDecodeError:
        message = f"{path} is no text in UTF-8"
        raise InvalidError(message, field=_URL_FILE) from None
    if not url or len(url) > _MAX_URL:
        message = f"{path} must hold a URL of 1 to {_MAX_URL} characters"
        raise InvalidError(message, field=_URL_FILE)
    return url
