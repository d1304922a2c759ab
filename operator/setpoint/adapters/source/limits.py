"""Owns what a source may be: its limits, the names that it may hold and what is left out of it. No I/O."""

import dataclasses

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError
from setpoint.domain.visible import visible
from setpoint.ports import Code

_LEFT_OUT = frozenset({".git", ".setpoint"})
_MAX_NAME_BYTES = 255
_MAX_SHOWN = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The most that a source may hold; sizes in bytes, depth in folders below its root."""

    files: int = 10_000
    total_bytes: int = 64 * 1024 * 1024
    file_bytes: int = 8 * 1024 * 1024
    depth: int = 32


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of one source: the limits of all, and what its kind of target makes of names and text."""

    limits: Limits
    code: Code

    def leaves_out(self, name: str) -> bool:
        """True for what is no source: git's and our own, and what the kind of target says."""
        return name in _LEFT_OUT or name in self.code.marks or self.code.leaves_out(name)

    def admits(self, name: str, where: str) -> bool:
        """False for what is left out. Raises StalledError for a name that is not allowed."""
        if self.leaves_out(name):
            return False
        check_name(name, where)
        return True


class Tally:
    """Counts a source while it is walked, and refuses it at the first limit that it breaks."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries = 0
        self._bytes = 0

    def entry(self, depth: int) -> None:
        """One more file, folder or link at that depth. Folders count, so that empty ones can't go on for ever."""
        self._entries += 1
        if self._entries > self._limits.files:
            raise refused(f"the source holds more than {self._limits.files} files")
        if depth > self._limits.depth:
            raise refused(f"the source is deeper than {self._limits.depth} folders")

    def file(self, path: str, size: int) -> None:
        """One more file of that size."""
        if size > self._limits.file_bytes:
            raise refused(f"{shown(path)} is larger than {self._limits.file_bytes} bytes")
        self._bytes += size
        if self._bytes > self._limits.total_bytes:
            raise refused(f"the source is larger than {self._limits.total_bytes} bytes")


def refused(message: str) -> StalledError:
    """The source breaks a limit or leaves its folder."""
    return StalledError(Reason.SOURCE_REFUSED, message)


def shown(path: str) -> str:
    """A path from outside, fit for a message: bounded, and escaped where it isn't plain text."""
    text = visible(path)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def check_name(name: str, where: str) -> None:
    """Refuses a file or folder name that is no plain UTF-8 name. `where` is the path for the message."""
    if name in ("", ".", ".."):
        raise refused(f"{shown(where)} is no plain path within the source")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise refused(f"{shown(where)} has a name that is not UTF-8") from None
    if size > _MAX_NAME_BYTES:
        raise refused(f"{shown(where)} has a name longer than {_MAX_NAME_BYTES} bytes")
    if "/" in name or "\\" in name or not name.isprintable():
        raise refused(f"{shown(where)} has a name with characters that are not allowed")
