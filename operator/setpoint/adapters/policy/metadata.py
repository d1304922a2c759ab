"""Owns METADATA comments (OPA's annotations): what a package or rule says about itself. No I/O.

A block is a run of `#` lines after `# METADATA`; it belongs to the line of code right below it. Its YAML is read
without aliases, tags or anything else that could make a small text large.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import yaml

from setpoint.domain.policies import Severity

_MAX_BYTES = 4096
_MAX_TEXT = 1024
_SEVERITIES = get_args(Severity)


@dataclasses.dataclass(frozen=True, slots=True)
class Metadata:
    """Holds what a block says. Empty where it does not say it."""

    title: str = ""
    description: str = ""
    severity: str = ""
    remediation: str = ""
    kinds: tuple[str, ...] = ()


class MetadataError(ValueError):
    """A block that can't be read. `line` is its first."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def read_metadata(text: str) -> dict[int, Metadata]:
    """The blocks of a module, by the line of the code that each belongs to. Raises MetadataError."""
    return {code: _parse(block, line) for line, code, block in _blocks(text.splitlines())}


def _blocks(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """(line of the block, line of the code below it, YAML) of each block."""
    number = 0
    while number < len(lines):
        number += 1
        if lines[number - 1].strip() != "# METADATA":
            continue
        start = number
        body = []
        while number < len(lines) and lines[number].startswith("#"):
            body.append(lines[number][1:])
            number += 1
        yield start, _next_code(lines, number), "\n".join(body)


def _next_code(lines: list[str], at: int) -> int:
    while at < len(lines) and (not lines[at].strip() or lines[at].lstrip().startswith("#")):
        at += 1
    return at + 1


def _parse(block: str, line: int) -> Metadata:
    if len(block.encode()) > _MAX_BYTES:
        raise MetadataError(line, f"the METADATA is larger than {_MAX_BYTES} bytes")
    try:
        if any(isinstance(token, yaml.AliasToken | yaml.AnchorToken | yaml.TagToken) for token in yaml.scan(block)):
            raise MetadataError(line, "the METADATA has an anchor, an alias or a tag")
        value = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, MetadataError):
            raise
        raise MetadataError(line, "the METADATA is no YAML") from error
    return _metadata(value, line)


def _metadata(value: Any, line: int) -> Metadata:
    fields = _mapping(value, line)
    custom = _mapping(fields.get("custom") or {}, line)
    severity = _text(custom, "severity", line)
    if severity and severity not in _SEVERITIES:
        raise MetadataError(line, f"custom.severity is one of {', '.join(_SEVERITIES)}")
    return Metadata(
        title=_text(fields, "title", line),
        description=_text(fields, "description", line),
        severity=severity,
        remediation=_text(custom, "remediation", line),
        kinds=_kinds(custom, line),
    )


def _kinds(custom: Mapping[str, Any], line: int) -> tuple[str, ...]:
    if "kinds" not in custom:
        return ()
    found = custom["kinds"]
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise MetadataError(line, "custom.kinds is a list of one or more kinds of target, such as [Environment]")
    return tuple(found)


def _mapping(value: Any, line: int) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MetadataError(line, "the METADATA is no mapping")
    return value


def _text(fields: Mapping[str, Any], name: str, line: int) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise MetadataError(line, f"{name} in the METADATA is no text of at most {_MAX_TEXT} characters")
    return " ".join(value.split())
