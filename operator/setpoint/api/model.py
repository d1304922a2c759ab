"""Owns the base of every API type and the shared scalar types. Must not know any kind."""

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, Strict, WithJsonSchema
from pydantic.alias_generators import to_camel

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+")
_TERM = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_GO_DURATION = r"^([0-9]+([.][0-9]+)?(ms|h|m|s))+$"
MAX_DURATION = dt.timedelta(days=365)


class ApiModel(BaseModel):
    """A part of a custom resource: camelCase outside, unknown fields refused, immutable."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def as_json(self) -> dict[str, Any]:
        """The object as JSON values, without the fields that are unset (None)."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(ApiModel):
    """A status, or a part of one. A field that a newer version wrote is kept, and hides nothing that is known.

    While an upgrade rolls out, or is rolled back, an older one may read and write last.
    """

    model_config = ConfigDict(extra="allow")


def cel(*rules: tuple[str, str]) -> dict[str, Any]:
    """The schema extension that carries CEL rules as (rule, message) pairs (KEP-2876)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


def parse_duration(value: Any) -> Any:
    """Reads a Go duration such as `1h30m` (https://pkg.go.dev/time#ParseDuration); a timedelta passes unchanged."""
    if isinstance(value, dt.timedelta):
        return value
    if not isinstance(value, str):
        msg = "not a duration; write it as text: 30s, 10m or 1h30m"
        raise ValueError(msg)  # noqa: TRY004 pydantic turns a ValueError, not a TypeError, into a validation error
    if not _DURATION.fullmatch(value) or len(value) > 32:
        msg = f"not a duration: {value[:40]!r}; write it as 30s, 10m or 1h30m"
        raise ValueError(msg)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _TERM.findall(value))
    if not 0 < seconds <= MAX_DURATION.total_seconds():
        msg = f"{value!r} is out of bounds; a duration is longer than 0s and at most {format_duration(MAX_DURATION)}"
        raise ValueError(msg)
    return dt.timedelta(seconds=seconds)


def format_duration(value: dt.timedelta) -> str:
    """Writes a duration in Go's form, largest unit first, without zero terms: `1h30m`."""
    total = round(value.total_seconds() * 1000)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, total = divmod(total, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_time(value: dt.datetime) -> str:
    """Writes an instant as RFC 3339 in UTC, to the second, as the Kubernetes API does."""
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(value: str) -> dt.datetime:
    """Reads an RFC 3339 instant; raises ValueError for anything without a zone."""
    instant = dt.datetime.fromisoformat(value)
    if instant.tzinfo is None:
        msg = f"no time zone in {value!r}"
        raise ValueError(msg)
    return instant


Duration = Annotated[
    dt.timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema(
        {"type": "string", "maxLength": 32, "pattern": _GO_DURATION}
        | cel(
            (
                # The pattern refuses what is no duration: an error here would refuse each write of a status too,
                # where an older schema let it through.
                (
                    f"!self.matches('{_GO_DURATION}') || "
                    "duration(self) > duration('0s') && duration(self) <= duration('8760h')"
                ),
                "must be longer than 0s and at most 8760h",
            )
        )
    ),
]
Integer = Annotated[int, Strict()]
"""A whole number and nothing that could be taken for one, as the CRD's schema asks: no text, no boolean."""
Boolean = Annotated[bool, Strict()]
"""True or false, and no text that says so."""
Time = Annotated[
    str,
    Field(max_length=40, description="RFC 3339, UTC"),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Digest = Annotated[str, Field(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
ShortText = Annotated[str, Field(max_length=1024)]
Text = Annotated[str, Field(max_length=32768)]
