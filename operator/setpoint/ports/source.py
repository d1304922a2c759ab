"""Owns the port for source trees. Declarations only."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from setpoint.api.source import Source

Files = Mapping[str, bytes]
"""Files of one folder, by their plain names."""


@dataclasses.dataclass(frozen=True, slots=True)
class NamedPath:
    """A path that code names, from the top of the source; `at` says where. `reads`: a function reads what is there."""

    path: str
    at: str
    reads: bool = False

    @property
    def leaves(self) -> bool:
        """True where the path leads out of the source."""
        return self.path == ".." or self.path.startswith("../")


class Code(Protocol):
    """The files of a kind of target: how far a source goes beyond its own folder. Pure; equal ones are alike."""

    @property
    def marks(self) -> frozenset[str]:
        """Names that are told of where they stand at the top of the source, though they are left out of it."""
        ...

    def leaves_out(self, name: str) -> bool:
        """True for a file or folder that is no source, wherever it is."""
        ...

    def is_code(self, name: str) -> bool:
        """True for a file that makes its folder a part of its own, which is taken where something calls it."""
        ...

    def names_paths(self, name: str) -> bool:
        """True for a file that may name others."""
        ...

    def called_folders(self, files: Files, folder: str) -> Iterable[NamedPath]:
        """The folders that the files of a folder call: they belong to the source, and may call others."""
        ...

    def named_paths(self, files: Files, folder: str, root: str) -> Iterable[NamedPath]:
        """The files and folders elsewhere that the files of a folder name; `root` is the source's own folder."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class SourceTree:
    """A resolved source: files by relative path, within all limits, nothing but regular files.

    `files` maps a POSIX path to (content digest, executable); `read` gives a file's bytes, or raises TransientError
    where they are no longer those of the digest. `marks` are those of the code's that stand at its top; they are left
    out of `files`. `root` is the source's own folder within the tree, empty for its top: what its code reaches
    elsewhere in its repository or home is in the tree, too.
    """

    digest: str
    revision: str
    files: Mapping[str, tuple[str, bool]]
    read: Callable[[str], bytes] = dataclasses.field(repr=False, compare=False)
    marks: frozenset[str] = frozenset()
    root: str = ""


class SourceResolver(Protocol):
    """Turns spec.source into a tree of files."""

    async def resolve(
        self, source: Source, *, origin: Path | None, credentials: Mapping[str, str], code: Code
    ) -> SourceTree:
        """Reads the source. `origin` is the folder of the manifest, None on a cluster.

        `credentials` are the keys of source.git.secretRef. An unchanged folder is recognised without reading it.
        Raises StalledError (SourceNotFound, SourceRefused), TransientError (SourceUnavailable).
        """
        ...
