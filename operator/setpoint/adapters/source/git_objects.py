"""Owns reading a commit's files from a bare repository, by pygit2. Blocking; nothing is ever checked out."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pygit2

from setpoint.adapters.source.entries import Entry, File, Link
from setpoint.adapters.source.limits import Bounds, check_name, refused, shown
from setpoint.adapters.source.reach import Reach
from setpoint.adapters.source.tree import source_tree
from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, TransientError
from setpoint.ports import SourceTree

_SUBMODULE = 0o160000
_LINK = 0o120000
_EXECUTABLE = 0o100
_MAX_TARGET = 4096


def has_commit(repository: Path, commit: str) -> bool:
    """True where the repository exists and holds that commit."""
    try:
        return isinstance(_opened(repository).get(commit), pygit2.Commit)
    except pygit2.GitError:
        return False


def commit_tree(repository: Path, commit: str, path: str, bounds: Bounds) -> SourceTree:
    """The tree of a folder of a commit. Raises AbsentBlobsError, StalledError, TransientError."""
    try:
        opened = _opened(repository)
        found = opened[commit]
        if not isinstance(found, pygit2.Commit):
            raise StalledError(Reason.SOURCE_NOT_FOUND, f"{commit} is no commit")
        _require_folder(found.tree, path)
        top = _TreeFolder(opened, repository, found.tree, (), bounds)
        return source_tree(Reach(top, "repository", bounds), tuple(_parts(path)), commit)
    except (pygit2.GitError, KeyError, OSError):
        message = f"commit {commit} can't be read from the cache"
        raise TransientError(Reason.SOURCE_UNAVAILABLE, message) from None


def check_path(path: str, bounds: Bounds) -> None:
    """Refuses a path that is no folder within a repository."""
    for part in _parts(path):
        check_name(part, f"spec.source.git.path: {path}")
        if bounds.leaves_out(part):
            raise refused(f"spec.source.git.path: {shown(path)} is no place for a source")
    if path.startswith("/"):
        raise refused(f"spec.source.git.path: {shown(path)} is absolute")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _opened(repository: Path) -> pygit2.Repository:
    flags = pygit2.enums.RepositoryOpenFlag.BARE | pygit2.enums.RepositoryOpenFlag.NO_SEARCH
    return pygit2.Repository(str(repository), flags)


def _require_folder(tree: pygit2.Tree, path: str) -> None:
    for part in _parts(path):
        below = tree[part] if part in tree else None  # noqa: SIM401 a Tree has no get
        if not isinstance(below, pygit2.Tree):
            raise StalledError(Reason.SOURCE_NOT_FOUND, f"spec.source.git.path: {shown(path)} is no folder here")
        tree = below


class _TreeFolder:
    """Implements entries.Folder on a git tree; sizes come from the objects' headers, before any content is read."""

    def __init__(
        self,
        opened: pygit2.Repository,
        repository: Path,
        tree: pygit2.Tree,
        path: tuple[str, ...],
        bounds: Bounds,
    ) -> None:
        self._opened = opened
        self._repository = repository
        self._tree = tree
        self._path = path
        self._bounds = bounds
        self._entries: dict[str, Entry] | None = None

    def entries(self) -> Mapping[str, Entry]:
        """The tree object's entries."""
        if self._entries is None:
            self._entries = {}
            for entry in self._tree:
                self._put(entry, self._entries)
        return self._entries

    def find(self, name: str) -> Entry | None:
        """One entry of the tree object."""
        if self._bounds.leaves_out(name) or name not in self._tree:
            return None
        return self._entry(self._tree[name], name)

    def marks(self) -> frozenset[str]:
        """Those that were committed."""
        return frozenset(name for name in self._bounds.code.marks if name in self._tree)

    def _put(self, entry: pygit2.Object, found: dict[str, Entry]) -> None:
        try:
            name = (entry.raw_name or b"").decode()
        except UnicodeDecodeError:
            raise refused(f"{shown('/'.join(self._path))} holds a name that is not UTF-8") from None
        if name in found:
            raise refused(f"{shown(self._where(name))} is there twice")
        if self._bounds.admits(name, self._where(name)):
            found[name] = self._entry(entry, name)

    def _where(self, name: str) -> str:
        return "/".join((*self._path, name))

    def _entry(self, entry: pygit2.Object, name: str) -> Entry:
        mode, blob = int(entry.filemode), str(entry.id)
        if mode == _SUBMODULE:
            text = shown(self._where(name))
            raise refused(f"{text} is a submodule; name its repository as a module source instead")
        if isinstance(entry, pygit2.Tree):
            return _TreeFolder(self._opened, self._repository, entry, (*self._path, name), self._bounds)
        here = entry.id in self._opened
        size = self._opened.odb.read_header(entry.id)[1] if here else 0
        if mode == _LINK:
            return self._link(blob, size, name) if here else Link("", absent=blob)
        read = partial(_read_blob, self._repository, blob)
        return File(size, bool(mode & _EXECUTABLE), read, absent="" if here else blob)

    def _link(self, blob: str, size: int, name: str) -> Link:
        if size > _MAX_TARGET:
            raise refused(f"the link {shown(self._where(name))} is longer than {_MAX_TARGET} bytes")
        return Link(_read_blob(self._repository, blob).decode(errors="surrogateescape"))


def _read_blob(repository: Path, blob: str) -> bytes:
    try:
        return bytes(_opened(repository).odb.read(blob)[1] or b"")
    except (pygit2.GitError, KeyError, OSError):
        message = f"object {blob} can't be read from the cache"
        raise TransientError(Reason.SOURCE_UNAVAILABLE, message) from None
