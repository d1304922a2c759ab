"""Owns finding the files of a home that may hold manifests, and reading them within bounds. Parses nothing."""

import dataclasses
import errno
import itertools
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from setpoint.ports import Code

MAX_FILES = 10_000
MAX_ENTRIES = 1_000_000
SUFFIXES = (".yaml", ".yml", ".json")
HOME_FOLDER = ".setpoint"
_RESCUED = "lost+found"
"""At the top of a file system of its own, and closed to all but root."""

Signature = tuple[int, ...]
"""Device, inode, size and times of a file: while they stay, so does its content."""


class UnreadableError(Exception):
    """A file or folder that can't be read. Whatever it declares stays as it is."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclasses.dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may hold manifests. `among_code`: it is in or below a folder of a target's code."""

    path: str
    real: Path
    signature: Signature
    among_code: bool


@dataclasses.dataclass(slots=True)
class Tree:
    """The result of a walk. `unreadable` maps a path to what is wrong there; `.` is the home itself."""

    files: dict[str, FoundFile] = dataclasses.field(default_factory=dict)
    unreadable: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True where what is not in it was not there."""
        return "." not in self.unreadable


def walk(root: Path, codes: Sequence[Code]) -> Tree:
    """Finds the manifests' files below a resolved folder: not in hidden folders, other homes, or behind links.

    `codes` tell where files of targets' sources are, among which a manifest is rather none.
    """
    tree = Tree()
    pending = [("", False)]
    seen = 0
    while pending:
        folder, among_code = pending.pop()
        try:
            entries = _entries(root, folder)
        except OSError as error:
            tree.unreadable[folder or "."] = f"can't be read: {reason(error)}"
            continue
        seen += len(entries)
        if seen > MAX_ENTRIES or len(tree.files) > MAX_FILES:
            what = f"{MAX_FILES} manifests" if len(tree.files) > MAX_FILES else f"{MAX_ENTRIES} files"
            tree.unreadable["."] = f"more than {what}: this folder is too large for a home"
            return tree
        among_code = among_code or any(code.is_code(entry.name) for code, entry in itertools.product(codes, entries))
        pending += [(f"{folder}{entry.name}/", among_code) for entry in entries if _is_folder(entry)]
        for entry in entries:
            if entry.name.lower().endswith(SUFFIXES) and not _is_folder(entry):
                _add(tree, root, folder + entry.name, entry, among_code=among_code)
    return tree


def folders(root: Path, codes: Sequence[Code], *, limit: int) -> Iterator[str]:
    """The folders whose changes matter, `.` first: those of manifests and of sources. At most `limit`."""
    pending = [""]
    while pending and limit > 0:
        folder = pending.pop()
        limit -= 1
        yield folder.rstrip("/") or "."
        try:
            with os.scandir(root / folder) as entries:
                found = [entry.name for entry in entries if is_watched(entry.name, codes) and _is_folder(entry)]
                pending += [f"{folder}{name}/" for name in found]
        except OSError:
            continue


def is_watched(name: str, codes: Sequence[Code]) -> bool:
    """False for folders of ours and of git, and for what is in no source, such as those that tools work in."""
    left_out = any(code.leaves_out(name) and name not in code.marks for code in codes)
    return name not in {HOME_FOLDER, ".git"} and not left_out


def read(file: FoundFile, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a regular file; follows no link. Raises UnreadableError."""
    try:
        handle = os.open(file.real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as opened:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UnreadableError("not a regular file")
            return opened.read(limit + 1)
    except OSError as error:
        raise UnreadableError(f"can't be read: {reason(error)}") from None


def signature_of(path: Path) -> Signature | None:
    """The signature of a file now; None where it can't be had."""
    try:
        return _signature(path.lstat())
    except OSError:
        return None


def _entries(root: Path, folder: str) -> list["os.DirEntry[str]"]:
    """The entries of a folder, in order, without hidden names; nothing where it is another home."""
    with os.scandir(root / folder) as opened:
        found = list(opened)
    if folder and any(entry.name == HOME_FOLDER for entry in found):
        return []
    ours = (entry for entry in found if not entry.name.startswith(".") and entry.name != _RESCUED)
    return sorted(ours, key=lambda entry: entry.name)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False)


def _add(tree: Tree, root: Path, path: str, entry: "os.DirEntry[str]", *, among_code: bool) -> None:
    try:
        real = _follow(root, path) if entry.is_symlink() else root / path
        if real is not None:
            tree.files[path] = FoundFile(path, real, _signature(_regular(real)), among_code)
    except FileNotFoundError:
        return
    except UnreadableError as error:
        tree.unreadable[path] = error.message
    except OSError as error:
        tree.unreadable[path] = f"can't be read: {reason(error)}"


def _regular(path: Path) -> os.stat_result:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableError("not a regular file")
    return found


def _follow(root: Path, path: str) -> Path | None:
    """The path at which a link ends; None for a folder, and for a file that the walk finds by itself."""
    try:
        real = (root / path).resolve(strict=True)
    except FileNotFoundError:
        raise UnreadableError("a link that leads nowhere") from None
    except (RuntimeError, OSError):  # the latter from Python 3.13 on
        raise UnreadableError("a link that leads to itself") from None
    if not real.is_relative_to(root):
        raise UnreadableError("a link that leaves the home")
    found_anyway = real.suffix.lower() in SUFFIXES and not any(
        part.startswith(".") for part in real.relative_to(root).parts
    )
    return None if found_anyway or real.is_dir() else real


def _signature(found: os.stat_result) -> Signature:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def reason(error: OSError) -> str:
    """The system's words, without the path."""
    if error.errno == errno.ELOOP:
        return "a link that leads to itself"
    return (error.strerror or type(error).__name__).lower()
