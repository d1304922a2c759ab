"""Owns walking the values of a Terraform plan: leaves by path, masks, what differs. Pure.

A path is a tuple of keys and indices; `write_path` shows it as `tags.owner` or `rule[0].port`.
Plans come from outside: what is nested too deeply is refused, never followed.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from setpoint.domain.errors import InvalidError

Path = tuple[str | int, ...]
Leaves = dict[Path, Any]

MAX_DEPTH = 200
SENSITIVE = "(sensitive)"
_MIN_SECRET = 6


def write_path(path: Path) -> str:
    """A path as people write it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def leaves(value: Any) -> Leaves:
    """Every scalar, empty list and empty map of a value, by path; nothing for None at the top."""
    return {} if value is None else dict(_walk(value, ()))


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if len(path) > MAX_DEPTH:
        msg = f"a value is nested more than {MAX_DEPTH} levels deep"
        raise InvalidError(msg, field=write_path(path[:3]))
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _walk(item, (*path, str(key)))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index))
    else:
        yield path, value


def true_paths(mask: Any) -> tuple[Path, ...]:
    """Where a mask says true: at a leaf, or for all that is below a path."""
    return tuple(path for path, value in leaves(mask).items() if value is True)


def is_covered(path: Path, covers: Collection[Path]) -> bool:
    """True where a path, or one that it lies under, is among the covers."""
    return any(path[:length] in covers for length in range(len(path) + 1))


def redact(value: Any, mask: Any, secrets: Collection[str] = ()) -> Any:
    """The value with every masked part replaced, and every known secret taken out of its strings."""
    if mask is True:
        return SENSITIVE
    if isinstance(value, Mapping):
        inner = mask if isinstance(mask, Mapping) else {}
        return {scrub(str(key), secrets): redact(item, inner.get(key), secrets) for key, item in value.items()}
    if isinstance(value, list):
        parts = mask if isinstance(mask, list) else []
        return [redact(item, parts[i] if i < len(parts) else None, secrets) for i, item in enumerate(value)]
    return scrub(value, secrets) if isinstance(value, str) else value


def scrub(text: str, secrets: Collection[str]) -> str:
    """The text without any of the secrets that are six characters or longer (rule 28)."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET and secret in text:
            text = text.replace(secret, SENSITIVE)
    return text
