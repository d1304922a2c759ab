"""Owns what a source is made of before it is one: files, links, and folders that are read as they are asked for."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

from setpoint.api.conditions import Reason
from setpoint.domain.errors import TransientError


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """A regular file; `read` gives its bytes, at most the limit's. `absent` names content that is yet to be fetched."""

    size: int
    executable: bool
    read: Callable[[], bytes]
    absent: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link with the text that it holds. `absent` names a text that is yet to be fetched."""

    target: str
    absent: str = ""


class Folder(Protocol):
    """A folder, without what is left out of sources."""

    def entries(self) -> "Mapping[str, Entry]":
        """All that it holds, by name. Raises StalledError for what can be in no source."""
        ...

    def find(self, name: str) -> "Entry | None":
        """One entry; the others are not looked at."""
        ...

    def marks(self) -> frozenset[str]:
        """Those of the code's marks that it holds."""
        ...


Entry: TypeAlias = File | Link | Folder


class AbsentBlobsError(TransientError):
    """Contents of the source are not here yet; `blobs` are their object ids."""

    def __init__(self, blobs: Iterable[str]) -> None:
        self.blobs = tuple(dict.fromkeys(blobs))
        super().__init__(Reason.SOURCE_UNAVAILABLE, f"{len(self.blobs)} files of the source were not to be had")
