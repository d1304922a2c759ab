"""Owns version constraints in Terraform's syntax, on top of the `packaging` library. Pure.

https://developer.hashicorp.com/terraform/language/expressions/version-constraints
"""

import re

from packaging.version import InvalidVersion, Version

from setpoint.domain.errors import InvalidError

_TERM = re.compile(r"\s*(=|!=|>=|<=|>|<|~>)?\s*v?(\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?)\s*")


def satisfies(version: str, constraint: str, *, field: str = "") -> bool:
    """Whether a version meets all terms of a constraint such as `>= 1.9, < 2`. Raises InvalidError naming the field."""
    return all(_meets(_version(version), term, field) for term in constraint.split(","))


def is_newer(one: str, other: str) -> bool:
    """Whether one version is newer than another; what is no version is older than all."""
    return _version(one) > _version(other)


def _meets(version: Version, term: str, field: str) -> bool:
    match = _TERM.fullmatch(term)
    if match is None:
        msg = f"not a version constraint: {term.strip()[:40]!r}; write it as >= 1.9 or ~> 1.11"
        raise InvalidError(msg, field=field)
    wanted = _version(match[2])
    checks = {
        "=": version == wanted,
        "!=": version != wanted,
        ">": version > wanted,
        "<": version < wanted,
        ">=": version >= wanted,
        "<=": version <= wanted,
        "~>": wanted <= version < _ceiling(match[2]),
    }
    return checks[match[1] or "="]


def _ceiling(text: str) -> Version:
    """`~> 1.11` ends before 2, `~> 1.11.4` before 1.12: only the last part that is written may rise."""
    parts = [int(part) for part in text.partition("-")[0].split(".")]
    kept = parts[:-1] or parts
    kept[-1] += 1
    return Version(".".join(map(str, kept)))


def _version(text: str) -> Version:
    base, _, suffix = text.removeprefix("v").partition("-")
    try:
        # Terraform's pre-releases are semantic versioning's (1.12.0-beta1), which PEP 440 spells otherwise.
        return Version(f"{base}{'.dev0+' + re.sub('[^0-9A-Za-z]', '.', suffix) if suffix else ''}")
    except InvalidVersion:
        return Version("0")
