"""Owns the step from entries to a SourceTree: links are followed inside the source, limits kept, contents digested.

Every kind of source is first read into nested Folders, and then goes through here; so the rules are the same for all.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from setpoint.adapters.source.limits import STATE_NAMES, Limits, Tally, check_name, left_out, refused, shown
from setpoint.api.conditions import Reason
from setpoint.domain.digests import digest, digest_bytes
from setpoint.domain.errors import StalledError, TransientError
from setpoint.ports import SourceTree

_MAX_HOPS = 40


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """A regular file; `read` gives its bytes, at most the limit's."""

    size: int
    executable: bool
    read: Callable[[], bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link with the text that it holds."""

    target: str


@dataclasses.dataclass(slots=True)
class Folder:
    """A folder by name, without what is left out of sources; `has_state` where that was Terraform's state."""

    entries: "dict[str, File | Link | Folder]" = dataclasses.field(default_factory=dict)
    has_state: bool = False

    def admits(self, name: str, where: str) -> bool:
        """False for what is left out. Raises StalledError for a name that is not allowed."""
        if left_out(name):
            self.has_state = self.has_state or name in STATE_NAMES
            return False
        check_name(name, where)
        return True


def source_tree(root: Folder, revision: str, limits: Limits) -> SourceTree:
    """Reads every file once for its digest; without a revision of its own, the digest is the tree's revision.

    Raises StalledError (SourceRefused, SourceNotFound).
    """
    files = dict(sorted(_Walk(root, limits).files()))
    if not files:
        raise StalledError(Reason.SOURCE_NOT_FOUND, "the source holds no files")
    known = {path: (digest_bytes(file.read()), file.executable) for path, file in files.items()}
    content_digest = digest([[path, executable, content] for path, (content, executable) in known.items()])
    return SourceTree(
        digest=content_digest,
        revision=revision or content_digest,
        files=known,
        read=_Reader(files, known),
        has_state_file=root.has_state,
    )


class _Reader:
    """Reads again what was digested, and nothing else."""

    def __init__(self, files: Mapping[str, File], known: Mapping[str, tuple[str, bool]]) -> None:
        self._files = files
        self._known = known

    def __call__(self, path: str) -> bytes:
        content = self._files[path].read()
        if digest_bytes(content) != self._known[path][0]:
            raise TransientError(Reason.SOURCE_UNAVAILABLE, f"{shown(path)} changed while it was in use")
        return content


class _Walk:
    """Lists the files under a root, with links followed.

    A place is where an entry really is, a path how it is reached; they differ behind a link to a folder. Loops of
    links end at the limits, as every step counts.
    """

    def __init__(self, root: Folder, limits: Limits) -> None:
        self._root = root
        self._tally = Tally(limits)

    def files(self) -> Iterator[tuple[str, File]]:
        """Path and file, in no order."""
        return self._below(self._root, (), ())

    def _below(self, folder: Folder, place: tuple[str, ...], path: tuple[str, ...]) -> Iterator[tuple[str, File]]:
        for name, entry in folder.entries.items():
            here, reached = (*place, name), (*path, name)
            self._tally.entry(len(path))
            if isinstance(entry, Link):
                here, entry = self._follow(here, entry)  # noqa: PLW2901 the link stands for what it names
            if isinstance(entry, Folder):
                yield from self._below(entry, here, reached)
            else:
                text = "/".join(reached)
                self._tally.file(text, entry.size)
                yield text, entry

    def _follow(self, link: tuple[str, ...], entry: Link) -> tuple[tuple[str, ...], File | Folder]:
        """The place and the entry that a link names, through further links."""
        name = shown("/".join(link))
        todo = [*reversed(_steps(name, entry))]
        trail: list[tuple[str, Folder]] = self._trail(link[:-1])
        hops = 1
        while todo:
            step = todo.pop()
            if step == "..":
                if not trail:
                    raise refused(f"the link {name} leaves the source")
                trail.pop()
                continue
            folder = trail[-1][1] if trail else self._root
            found = folder.entries.get(step)
            if isinstance(found, Folder):
                trail.append((step, found))
            elif isinstance(found, Link) and hops < _MAX_HOPS:
                hops += 1
                todo.extend(reversed(_steps(name, found)))
            elif isinstance(found, File) and not todo:
                return (*(part for part, _ in trail), step), found
            else:
                raise refused(f"the link {name} names nothing that the source holds")
        return tuple(part for part, _ in trail), trail[-1][1] if trail else self._root

    def _trail(self, place: tuple[str, ...]) -> list[tuple[str, Folder]]:
        trail: list[tuple[str, Folder]] = []
        folder = self._root
        for part in place:
            entry = folder.entries[part]
            assert isinstance(entry, Folder)  # noqa: S101 a place never holds a link
            folder = entry
            trail.append((part, folder))
        return trail


def _steps(name: str, link: Link) -> list[str]:
    if link.target.startswith("/"):
        raise refused(f"the link {name} is absolute")
    return [step for step in link.target.split("/") if step not in ("", ".")]
