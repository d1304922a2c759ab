"""Owns reading a commit's files from a bare repository, by pygit2. Blocking; nothing is ever checked out."""

from functools import partial
from pathlib import Path

import pygit2

from setpoint.adapters.source.limits import Limits, Tally, check_name, left_out, refused, shown
from setpoint.adapters.source.tree import File, Folder, Link, source_tree
from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, TransientError
from setpoint.ports import SourceTree

_SUBMODULE = 0o160000
_LINK = 0o120000
_EXECUTABLE = 0o100
_MAX_TARGET = 4096


class AbsentBlobsError(TransientError):
    """Files of the commit are not here yet; `blobs` are their object ids."""

    def __init__(self, commit: str, blobs: tuple[str, ...]) -> None:
        super().__init__(Reason.SOURCE_UNAVAILABLE, f"{len(blobs)} files of commit {commit} were not to be had")
        self.blobs = blobs


def has_commit(repository: Path, commit: str) -> bool:
    """True where the repository exists and holds that commit."""
    try:
        return isinstance(_opened(repository).get(commit), pygit2.Commit)
    except pygit2.GitError:
        return False


def commit_tree(repository: Path, commit: str, path: str, limits: Limits) -> SourceTree:
    """The tree of a folder of a commit. Raises AbsentBlobsError, StalledError, TransientError."""
    try:
        opened = _opened(repository)
        found = opened[commit]
        if not isinstance(found, pygit2.Commit):
            raise StalledError(Reason.SOURCE_NOT_FOUND, f"{commit} is no commit")
        reader = _CommitReader(opened, repository, limits)
        root = reader.folder(_descend(found.tree, path), ())
        if reader.absent:
            raise AbsentBlobsError(commit, tuple(reader.absent))
        return source_tree(root, commit, limits)
    except (pygit2.GitError, KeyError, OSError):
        message = f"commit {commit} can't be read from the cache"
        raise TransientError(Reason.SOURCE_UNAVAILABLE, message) from None


def check_path(path: str) -> None:
    """Refuses a path that is no folder within a repository."""
    for part in _parts(path):
        check_name(part, path)
        if left_out(part):
            raise refused(f"spec.source.git.path: {shown(path)} is no place for a source")
    if path.startswith("/"):
        raise refused(f"spec.source.git.path: {shown(path)} is absolute")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _opened(repository: Path) -> pygit2.Repository:
    flags = pygit2.enums.RepositoryOpenFlag.BARE | pygit2.enums.RepositoryOpenFlag.NO_SEARCH
    return pygit2.Repository(str(repository), flags)


def _descend(tree: pygit2.Tree, path: str) -> pygit2.Tree:
    for part in _parts(path):
        below = tree[part] if part in tree else None  # noqa: SIM401 a Tree has no get
        if not isinstance(below, pygit2.Tree):
            raise StalledError(Reason.SOURCE_NOT_FOUND, f"spec.source.git.path: {shown(path)} is no folder here")
        tree = below
    return tree


class _CommitReader:
    """Turns git trees into Folders; sizes come from the objects' headers, before any content is read.

    `absent` are the blobs that are not in the repository, in order; what stands for them is empty.
    """

    def __init__(self, opened: pygit2.Repository, repository: Path, limits: Limits) -> None:
        self._opened = opened
        self._repository = repository
        self._tally = Tally(limits)
        self.absent: dict[str, None] = {}

    def folder(self, tree: pygit2.Tree, path: tuple[str, ...]) -> Folder:
        """One tree object and what is below it."""
        folder = Folder()
        for entry in tree:
            self._tally.entry(len(path))
            try:
                name = (entry.raw_name or b"").decode()
            except UnicodeDecodeError:
                raise refused(f"{shown('/'.join(path))} holds a name that is not UTF-8") from None
            where = "/".join((*path, name))
            if name in folder.entries:
                raise refused(f"{shown(where)} is there twice")
            if folder.admits(name, where):
                folder.entries[name] = self._entry(entry, (*path, name))
        return folder

    def _entry(self, entry: pygit2.Object, path: tuple[str, ...]) -> File | Link | Folder:
        mode, text = int(entry.filemode), "/".join(path)
        if mode == _SUBMODULE:
            raise refused(f"{shown(text)} is a submodule; name its repository as a module source instead")
        if isinstance(entry, pygit2.Tree):
            return self.folder(entry, path)
        if entry.id not in self._opened:
            self.absent[str(entry.id)] = None
            return File(0, executable=False, read=bytes)
        size = self._opened.odb.read_header(entry.id)[1]
        self._tally.file(text, size)
        if mode == _LINK:
            return self._link(str(entry.id), size, text)
        return File(size, bool(mode & _EXECUTABLE), partial(_read_blob, self._repository, str(entry.id)))

    def _link(self, blob: str, size: int, text: str) -> Link:
        if size > _MAX_TARGET:
            raise refused(f"the link {shown(text)} is longer than {_MAX_TARGET} bytes")
        return Link(_read_blob(self._repository, blob).decode(errors="surrogateescape"))


def _read_blob(repository: Path, blob: str) -> bytes:
    try:
        return bytes(_opened(repository).odb.read(blob)[1] or b"")
    except (pygit2.GitError, KeyError, OSError):
        message = f"object {blob} can't be read from the cache"
        raise TransientError(Reason.SOURCE_UNAVAILABLE, message) from None
