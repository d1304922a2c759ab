"""Owns version constraints in Terraform's syntax, on top of the `packaging` library. Pure.

https://developer.hashicorp.com/terraform/language/expressions/version-constraints
"""

import re

from packaging.version import InvalidVersion, Version

from setpoint.domain.errors import InvalidError

_TERM = re.compile(r"\s*(=|!=|>=|<=|>|<|~>)?\s*v?(\d{1,9}(?:\.\d{1,9}){0,2}(?:-[0-9A-Za-z.-]{1,64})?)\s*", re.ASCII)
_PARTS = re.compile(r"\d+|[A-Za-z]+", re.ASCII)
_MAX_LENGTH = 128


def satisfies(version: str, constraint: str, *, field: str = "") -> bool:
    """True where a version meets all terms of a constraint such as `>= 1.9, < 2`. Raises InvalidError naming the field.

    A pre-release meets only a term that names a pre-release, as in Terraform; what is no version meets nothing.
    """
    read = _read(version)
    met = [_meets(read or _NONE, term, field) for term in constraint.split(",")]
    return read is not None and all(met)


def is_newer(one: str, other: str) -> bool:
    """True where one version is newer than another; what is no version is older than all."""
    return (_read(one) or _NONE) > (_read(other) or _NONE)


def _meets(version: Version, term: str, field: str) -> bool:
    match = _TERM.fullmatch(term)
    wanted = _read(match[2]) if match else None
    if match is None or wanted is None:
        msg = f"not a version constraint: {term.strip()[:40]!r}; write it as >= 1.9 or ~> 1.11"
        raise InvalidError(msg, field=field)
    operator = match[1] or "="
    if version.is_prerelease and not wanted.is_prerelease and operator not in {"=", "!="}:
        return False
    checks = {
        "=": version == wanted,
        "!=": version != wanted,
        ">": version > wanted,
        "<": version < wanted,
        ">=": version >= wanted,
        "<=": version <= wanted,
        "~>": wanted <= version < _ceiling(match[2]),
    }
    return checks[operator]


def _ceiling(text: str) -> Version:
    """`~> 1.11` ends before 2, `~> 1.11.4` before 1.12: only the last part that is written may rise."""
    parts = [int(part) for part in text.partition("-")[0].split(".")]
    kept = parts[:-1] or parts
    kept[-1] += 1
    return Version(".".join(map(str, kept)))


def _read(text: str) -> Version | None:
    """A version; None for what is none.

    Terraform's pre-releases are semantic versioning's (1.12.0-beta2), which PEP 440 spells otherwise: here they are
    a `.dev0` with a local part, which sorts below the release and by name and number among themselves.
    """
    base, _, suffix = text.removeprefix("v").partition("-")
    if len(text) > _MAX_LENGTH:
        return None
    try:
        return Version(f"{base}.dev0+{'.'.join(_PARTS.findall(suffix))}" if suffix else base)
    except InvalidVersion:
        return None


_NONE = Version("0.dev0")
