"""Owns the port for source trees. Declarations only."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from setpoint.api.source import Source


@dataclasses.dataclass(frozen=True, slots=True)
class SourceTree:
    """A resolved source: files by relative path, within all limits, nothing but regular files.

    `files` maps a POSIX path to (content digest, executable); `read` gives a file's bytes, or raises TransientError
    where they are no longer those of the digest. `has_state_file`: a local state is kept in the source; it is
    left out of `files`. `root` is the folder of the root module within the tree, empty for its top: what it reaches
    elsewhere in its repository or home is in the tree, too.
    """

    digest: str
    revision: str
    files: Mapping[str, tuple[str, bool]]
    read: Callable[[str], bytes] = dataclasses.field(repr=False, compare=False)
    has_state_file: bool = False
    root: str = ""


class SourceResolver(Protocol):
    """Turns spec.source into a tree of files."""

    async def resolve(self, source: Source, *, origin: Path | None, credentials: Mapping[str, str]) -> SourceTree:
        """Reads the source. `origin` is the folder of the manifest, None on a cluster.

        `credentials` are the keys of source.git.secretRef. An unchanged folder is recognised without reading it.
        Raises StalledError (SourceNotFound, SourceRefused), TransientError (SourceUnavailable).
        """
        ...
