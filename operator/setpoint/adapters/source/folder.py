"""Owns reading a folder of the home: a scan that never follows a link and never waits on a fifo. Blocking.

Every folder and file is opened beneath the one that was checked, with O_NOFOLLOW, so that a path that is swapped
while it is read leads nowhere else.
"""

import contextlib
import errno
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

from setpoint.adapters.source.entries import Entry, File, Link
from setpoint.adapters.source.limits import Bounds, Limits, refused, shown
from setpoint.adapters.source.reach import Reach
from setpoint.adapters.source.tree import source_tree
from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, TransientError
from setpoint.ports import Code, SourceTree

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SETTLED_NS = 1_000_000_000  # a file written within one tick of its time stamp can change without the stamp moving
_MOVED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_MAX_KEPT = 4096
_NOTHING = (0, 0, 0, 0, 0)

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
Parts = tuple[str, ...]
Stamp = tuple[int, int, int, int, int]  # mode, size, mtime_ns, inode, ctime_ns; of a folder its kind alone
Listing = tuple[tuple[str, Stamp], ...]


class FolderReader:
    """Reads folders of one home; an unchanged source is recognised by the stamps of all that was looked at for it."""

    def __init__(self, home: Path, limits: Limits, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._home = home.resolve()
        self._limits = limits
        self._now_ns = now_ns
        self._kept: OrderedDict[tuple[Path, Code], tuple[_Sight, SourceTree]] = OrderedDict()
        self._seen: OrderedDict[tuple[str, Code], _Sight] = OrderedDict()

    def tree(self, origin: Path, path: str, code: Code) -> SourceTree:
        """The tree of a folder, `path` relative to `origin`. Raises StalledError, TransientError."""
        bounds = Bounds(self._limits, code)
        with _told(path):
            place = self._place(origin, path, bounds)
            named = os.path.relpath(os.path.normpath(origin.resolve() / path), self._home)
            return self._known(place, code) or self._read(place, named, bounds)

    def readers_of(self, paths: Collection[str]) -> frozenset[str]:
        """The folders whose last reading looked at one of these paths; both are below the home."""
        moved = [tuple(path.split("/")) for path in paths]
        return frozenset(folder for (folder, _), sight in [*self._seen.items()] if any(map(sight.saw, moved)))

    def _place(self, origin: Path, path: str, bounds: Bounds) -> Path:
        """The real place of the folder, relative to the home."""
        if path.startswith("/") or "\0" in path:
            raise refused(f"spec.source.path: {shown(path)} is not relative to the manifest")
        lexical = Path(os.path.normpath(origin.resolve() / path))
        place = lexical.resolve()
        if not lexical.is_relative_to(self._home) or not place.is_relative_to(self._home):
            raise refused(f"spec.source.path: {shown(path)} leads out of the home")
        below = place.relative_to(self._home)
        if any(map(bounds.leaves_out, below.parts)):
            raise refused(f"spec.source.path: {shown(path)} is no place for a source")
        if not place.is_dir():
            raise StalledError(Reason.SOURCE_NOT_FOUND, f"spec.source.path: {shown(path)} is no folder")
        return below

    def _known(self, place: Path, code: Code) -> SourceTree | None:
        sight, tree = self._kept.get((place, code), (None, None))
        return tree if sight is not None and sight.is_unchanged() else None

    def _read(self, place: Path, named: str, bounds: Bounds) -> SourceTree:
        started = self._now_ns()
        sight = _Sight(self._home, bounds)
        _keep(self._seen, (named, bounds.code), sight)
        tree = source_tree(Reach(_Folder(sight, ()), "home", bounds), place.parts, "")
        if sight.newest + _SETTLED_NS < started:
            _keep(self._kept, (place, bounds.code), (sight, tree))
        return tree


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Keeps the latest, a bounded number of them."""
    kept[key] = value
    while len(kept) > _MAX_KEPT:
        kept.popitem(last=False)


class _Sight:
    """The record of what one reading saw of the home: the folders that it listed, and the names that it looked for."""

    def __init__(self, home: Path, bounds: Bounds) -> None:
        self.home = home
        self.bounds = bounds
        self._listed: dict[Parts, Listing] = {}
        self._looked: dict[Parts, Stamp | None] = {}
        self.newest = 0

    def list(self, folder: Parts) -> Listing:
        """Names and stamps in a folder, in order; of what is left out, only that a mark is there."""
        if folder not in self._listed:
            self._listed[folder] = self._dated(_list(self.home, folder, self.bounds))
        return self._listed[folder]

    def look(self, path: Parts) -> Stamp | None:
        """The stamp of one entry, None where there is none."""
        if path not in self._looked:
            self._looked[path] = stamp = _look(self.home, path)
            self._dated((("", stamp),) if stamp else ())
        return self._looked[path]

    def saw(self, path: Parts) -> bool:
        """True where the reading looked at this path, or listed the folder that it is in."""
        return path in self._looked or path in self._listed or path[:-1] in self._listed

    def is_unchanged(self) -> bool:
        """True where all that was seen is the same now."""
        try:
            listed = all(_list(self.home, path, self.bounds) == seen for path, seen in self._listed.items())
            return listed and all(_look(self.home, path) == seen for path, seen in self._looked.items())
        except (OSError, StalledError):
            return False  # reading it again tells what is wrong

    def _dated(self, listing: Listing) -> Listing:
        for _, (_, _, mtime, _, ctime) in listing:
            self.newest = max(self.newest, mtime, ctime)
        return listing


class _Folder:
    """Implements entries.Folder on the disk: regular files, links and folders; anything else is refused."""

    def __init__(self, sight: _Sight, path: Parts) -> None:
        self._sight = sight
        self._path = path
        self._entries: dict[str, Entry] | None = None

    def entries(self) -> Mapping[str, Entry]:
        """All that it holds."""
        if self._entries is None:
            self._entries = {}
            for name, stamp in self._sight.list(self._path):
                if self._sight.bounds.admits(name, "/".join((*self._path, name))):
                    self._entries[name] = self._entry(name, stamp)
        return self._entries

    def find(self, name: str) -> Entry | None:
        """One entry."""
        left_out = self._sight.bounds.leaves_out(name)
        stamp = None if left_out else self._sight.look((*self._path, name))
        return None if stamp is None else self._entry(name, stamp)

    def marks(self) -> frozenset[str]:
        """Those that stand in it."""
        return self._sight.bounds.code.marks & {name for name, _ in self._sight.list(self._path)}

    def _entry(self, name: str, stamp: Stamp) -> Entry:
        path, mode = (*self._path, name), stamp[0]
        if stat.S_ISDIR(mode):
            return _Folder(self._sight, path)
        if stat.S_ISLNK(mode):
            return Link(_read_link(self._sight.home, path))
        if not stat.S_ISREG(mode):
            raise refused(f"{shown('/'.join(path))} is neither a file, a folder nor a link")
        return File(stamp[1], bool(mode & stat.S_IXUSR), partial(_read_file, self._sight.home, path, stamp))


def _list(home: Path, folder: Parts, bounds: Bounds) -> Listing:
    found: list[tuple[str, Stamp]] = []
    with _opened(home, folder, _FOLDER_FLAGS) as handle, os.scandir(handle) as entries:
        for count, entry in enumerate(entries):
            if count > bounds.limits.files:
                raise refused(f"the source holds more than {bounds.limits.files} files")
            if entry.name in bounds.code.marks:
                found.append((entry.name, _NOTHING))
            elif not bounds.leaves_out(entry.name):
                found.append((entry.name, _stamp(entry.stat(follow_symlinks=False))))
    return tuple(sorted(found))


def _look(home: Path, path: Parts) -> Stamp | None:
    with _opened(home, path[:-1], _FOLDER_FLAGS) as handle:
        try:
            return _stamp(os.stat(path[-1], dir_fd=handle, follow_symlinks=False))
        except FileNotFoundError:
            return None


def _read_link(home: Path, path: Parts) -> str:
    with _opened(home, path[:-1], _FOLDER_FLAGS) as handle:
        return os.readlink(path[-1], dir_fd=handle)


def _stamp(status: os.stat_result) -> Stamp:
    if stat.S_ISDIR(status.st_mode):
        return stat.S_IFDIR, 0, 0, 0, 0
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def _read_file(root: Path, path: tuple[str, ...], stamp: Stamp) -> bytes:
    """The bytes of the file that was scanned. Raises TransientError where it is no longer that file."""
    text = str(PurePosixPath(*path))
    with _told(text), _opened(root, path, _FILE_FLAGS) as handle:
        if _stamp(os.fstat(handle)) != stamp:
            raise _moved(text)
        with open(handle, "rb", closefd=False) as file:
            content = file.read(stamp[1] + 1)
    if len(content) != stamp[1]:
        raise _moved(text)
    return content


def _moved(path: str) -> TransientError:
    return TransientError(Reason.SOURCE_UNAVAILABLE, f"{shown(path)} changed while it was read")


@contextlib.contextmanager
def _opened(root: Path, parts: tuple[str, ...], flags: int) -> Iterator[int]:
    """Opens root/parts, one component at a time, following no link below the root."""
    with contextlib.ExitStack() as stack:
        handle = stack.enter_context(_opened_at(None, str(root), _FOLDER_FLAGS))
        for index, part in enumerate(parts, start=1):
            handle = stack.enter_context(_opened_at(handle, part, flags if index == len(parts) else _FOLDER_FLAGS))
        yield handle


@contextlib.contextmanager
def _opened_at(folder: int | None, name: str, flags: int) -> Iterator[int]:
    handle = os.open(name, flags, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Says what the operating system refused."""
    try:
        yield
    except PermissionError:
        raise refused(f"{shown(path)} can't be read: permission denied") from None
    except OSError as error:
        if error.errno in _MOVED:
            raise _moved(path) from None
        why = os.strerror(error.errno) if error.errno else "unknown error"
        raise TransientError(Reason.SOURCE_UNAVAILABLE, f"{shown(path)} can't be read: {why}") from None
