"""Owns reading a folder of the home: a scan that never follows a link and never waits on a fifo. Blocking.

Every folder and file is opened beneath the one that was checked, with O_NOFOLLOW, so that a path that is swapped
while it is read leads nowhere else.
"""

import contextlib
import dataclasses
import errno
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from setpoint.adapters.source.limits import Limits, Tally, left_out, refused, shown
from setpoint.adapters.source.tree import File, Folder, Link, source_tree
from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, TransientError
from setpoint.ports import SourceTree

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SETTLED_NS = 1_000_000_000  # a file written within one tick of its time stamp can change without the stamp moving
_MOVED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_MAX_KEPT = 4096

Stamp = tuple[int, int, int, int, int]  # mode, size, mtime_ns, inode, ctime_ns


@dataclasses.dataclass(frozen=True, slots=True)
class _Scan:
    """What a folder holds, without having read it."""

    root: Folder
    signature: tuple[tuple[str, Stamp], ...]
    newest: int


class FolderReader:
    """Reads folders below one home; an unchanged folder is recognised by the stamps of its files."""

    def __init__(self, home: Path, limits: Limits, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._home = home.resolve()
        self._limits = limits
        self._now_ns = now_ns
        self._kept: OrderedDict[Path, tuple[tuple[tuple[str, Stamp], ...], SourceTree]] = OrderedDict()

    def tree(self, origin: Path, path: str) -> SourceTree:
        """The tree of a folder, `path` relative to `origin`. Raises StalledError, TransientError."""
        with _told(path):
            place = self._place(origin, path)
            started = self._now_ns()
            with _opened(self._home, place.parts, _FOLDER_FLAGS) as handle:
                scan = _Scanner(self._home / place, self._limits).scan(handle)
            return self._known(place, scan) or self._read(place, scan, started)

    def _place(self, origin: Path, path: str) -> Path:
        """Where the folder really is, relative to the home."""
        if path.startswith("/") or "\0" in path:
            raise refused(f"spec.source.path: {shown(path)} is not relative to the manifest")
        lexical = Path(os.path.normpath(origin.resolve() / path))
        place = lexical.resolve()
        if not lexical.is_relative_to(self._home) or not place.is_relative_to(self._home):
            raise refused(f"spec.source.path: {shown(path)} leads out of the home")
        below = place.relative_to(self._home)
        if any(left_out(part) for part in below.parts):
            raise refused(f"spec.source.path: {shown(path)} is no place for a source")
        if not place.is_dir():
            raise StalledError(Reason.SOURCE_NOT_FOUND, f"spec.source.path: {shown(path)} is no folder")
        return below

    def _known(self, place: Path, scan: _Scan) -> SourceTree | None:
        signature, tree = self._kept.get(place, (None, None))
        return tree if signature == scan.signature else None

    def _read(self, place: Path, scan: _Scan, started: int) -> SourceTree:
        tree = source_tree(scan.root, "", self._limits)
        if scan.newest + _SETTLED_NS < started:
            self._kept[place] = (scan.signature, tree)
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return tree


class _Scanner:
    """Lists one folder: regular files, links and folders; anything else is refused."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root
        self._limits = limits
        self._tally = Tally(limits)
        self._signature: list[tuple[str, Stamp]] = []
        self._newest = 0

    def scan(self, handle: int) -> _Scan:
        """The folder behind an open handle."""
        root = self._folder(handle, ())
        return _Scan(root, (*sorted(self._signature), *_state_mark(root)), self._newest)

    def _folder(self, handle: int, path: tuple[str, ...]) -> Folder:
        folder = Folder()
        with os.scandir(handle) as entries:
            for entry in entries:
                reached = (*path, entry.name)
                self._tally.entry(len(path))
                if folder.admits(entry.name, "/".join(reached)):
                    folder.entries[entry.name] = self._entry(handle, entry, reached)
        return folder

    def _entry(self, handle: int, entry: os.DirEntry[str], reached: tuple[str, ...]) -> File | Link | Folder:
        if entry.is_dir(follow_symlinks=False):
            with _opened_at(handle, entry.name, _FOLDER_FLAGS) as below:
                return self._folder(below, reached)
        status, path = entry.stat(follow_symlinks=False), "/".join(reached)
        stamp = _stamp(status)
        self._signature.append((path, stamp))
        self._newest = max(self._newest, status.st_ctime_ns, status.st_mtime_ns)
        if stat.S_ISLNK(status.st_mode):
            return Link(os.readlink(entry.name, dir_fd=handle))
        if not stat.S_ISREG(status.st_mode):
            raise refused(f"{shown(path)} is neither a file, a folder nor a link")
        self._tally.file(path, status.st_size)
        executable = bool(status.st_mode & stat.S_IXUSR)
        return File(status.st_size, executable, partial(_read_file, self._root, reached, stamp))


def _state_mark(root: Folder) -> tuple[tuple[str, Stamp], ...]:
    return (("", (0, 0, 0, 0, 0)),) if root.has_state else ()


def _stamp(status: os.stat_result) -> Stamp:
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
