"""Owns the part of a change's content that may be shown, and computing the content's digest anew from it. Pure.

It is lines of JSON: one for each resource or output, then one for each attribute of it that differs. The digest is a
chain over the lines from the last to the first, which begins with the commitment to what is sensitive. So the first
lines and the digest of the rest are enough to check what is at hand, and a line that is too long may be left out
in the same way. docs/decisions/0012 says why.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from setpoint.domain.digests import canonical
from setpoint.domain.errors import InvalidError

VERSION = 2
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_NAME = 1024
_LINE, _NODE, _END = b"\0", b"\1", b"\2"
_HIDDEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that a terminal obeys or does not draw: controls, marks of direction, joiners, tags."""


@dataclasses.dataclass(frozen=True, slots=True)
class ShownContent:
    """The lines at hand, the commitment to what is sensitive, and what stands for the lines that are not at hand.

    `more` counts these and `rest` is their digest; both are empty where all lines are here.
    """

    lines: tuple[str, ...]
    sealed: str | None = None
    more: int = 0
    rest: str | None = None

    @property
    def digest(self) -> str:
        """The content's digest, computed anew. Raises InvalidError for a line that is none."""
        tail = _bytes(self.rest) if self.rest else _hash(_END, canonical({"version": VERSION, "sealed": self.sealed}))
        for count, line in enumerate(reversed(self.lines), self.more + 1):
            tail = _hash(_NODE, count.to_bytes(8, "big"), _line_hash(line), tail)
        return f"sha256:{tail.hex()}"

    @property
    def whole(self) -> bool:
        """True where nothing that may be shown is missing."""
        return not self.more and not any(_omitted(line) for line in self.lines)

    def first(self, size: int, longest: int) -> "ShownContent":
        """The first lines, up to so many bytes; one that is longer than `longest` is replaced by its digest."""
        kept: list[str] = []
        for line in self.lines:
            short = line if len(line.encode()) <= longest else _omit(line)
            size -= len(short.encode())
            if size < 0:
                break
            kept.append(short)
        left = dataclasses.replace(self, lines=self.lines[len(kept) :])
        if not left.lines and not left.more:
            return dataclasses.replace(self, lines=tuple(kept))
        return ShownContent(tuple(kept), self.sealed, len(left.lines) + self.more, left.digest)

    def as_bytes(self) -> bytes:
        """For the store. Only a whole content is kept there."""
        return json.dumps({"version": VERSION, "sealed": self.sealed, "lines": self.lines}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "ShownContent":
        """The content that `as_bytes` wrote. Raises InvalidError."""
        try:
            found = json.loads(data)
            lines, sealed = found["lines"], found["sealed"]
        except (ValueError, RecursionError, LookupError, TypeError):
            raise InvalidError("not the content of a Change") from None
        return cls(tuple(map(str, lines)), sealed)


def write_lines(records: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The records as lines; what a terminal would obey is escaped, so that a line can be printed as it is."""
    return tuple(_escape_hidden(canonical(record).decode()) for record in records)


def _escape_hidden(text: str) -> str:
    """JSON escapes other controls by itself. The list is fixed, as Python's idea of what is printable is not."""
    return text if text.isascii() and "\x7f" not in text else _HIDDEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def read_line(line: str) -> dict[str, Any]:
    """The record of a line. Raises InvalidError."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise InvalidError("a line of the content is no JSON object")
    return record


def _omit(line: str) -> str:
    record = read_line(line)
    name = {key: record[key][:_MAX_NAME] for key in ("path", "address") if key in record}
    digest = f"sha256:{_line_hash(line).hex()}"
    return canonical({**name, "omitted": digest, "bytes": len(line.encode())}).decode()


def _omitted(line: str) -> str | None:
    """The digest that stands for a line, if one does. Raises InvalidError where it says more than that."""
    if '"omitted":' not in line:
        return None
    record = read_line(line)
    kinds = {"path": str, "address": str, "omitted": str, "bytes": int}
    if "omitted" in record and not all(isinstance(value, kinds.get(key, ())) for key, value in record.items()):
        raise InvalidError("a line that is left out says more than it may")
    return record.get("omitted")


def _line_hash(line: str) -> bytes:
    digest = _omitted(line)
    return _hash(_LINE, line.encode()) if digest is None else _bytes(digest)


def _bytes(digest: str) -> bytes:
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise InvalidError("a line of the content is left out without a digest")
    return bytes.fromhex(digest.removeprefix("sha256:"))


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
