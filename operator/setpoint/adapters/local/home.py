"""Owns where things are in a local home, and the lock that keeps a second manager out. Reads no manifest."""

import contextlib
import dataclasses
import errno
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from setpoint.domain.errors import SetpointError
from setpoint.runtime.process_lock import FolderLock, ProcessLock, holder_of

FOLDER = ".setpoint"
_MODE = 0o700


class HomeError(SetpointError):
    """The folder can't be a home; the message says why."""


class ManagerLockedError(SetpointError):
    """Another manager works on the home; the message names it."""


@dataclasses.dataclass(frozen=True, slots=True)
class LocalHome:
    """The layout of a home. `root` holds the manifests and is never written; all else is below `.setpoint/`."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> Self:
        """Makes a folder a home, or opens the home that it is. Raises HomeError where it can't be written."""
        home = cls.at(root)
        with _explained(home.root):
            home.state.mkdir(mode=_MODE, exist_ok=True)
            home.check()
            if not home.writable:
                raise HomeError(f"{home.state} can't be written")
            for folder in (home.blobs, home.keys, home.runs, home.work):
                folder.mkdir(mode=_MODE, exist_ok=True)
            # State and keys in a repository would be a leak; the user's own .gitignore is not ours to write.
            (home.state / ".gitignore").write_text("*\n")
        return home

    @classmethod
    def open(cls, root: Path) -> Self:
        """Opens the home of a folder. Raises HomeError where it is none or can't be read."""
        home = cls.at(root)
        with _explained(home.root):
            home.check()
        return home

    @classmethod
    def at(cls, root: Path) -> Self:
        """The layout below a folder, whether or not it is a home. Raises HomeError where there is no such folder."""
        with _explained(root):
            resolved = root.resolve(strict=True)
        if not resolved.is_dir():
            raise HomeError(f"{root} is not a folder")
        return cls(resolved)

    def check(self) -> None:
        """Raises HomeError, or OSError, unless `.setpoint/` is a folder of this user that can be read."""
        found = self.state.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise HomeError(f"{self.state} is not a folder")
        if found.st_uid != os.geteuid():
            raise HomeError(f"{self.state} belongs to another user (uid {found.st_uid}): work as that user")
        if found.st_mode & 0o077 and self.writable:
            self.state.chmod(_MODE)
        if not os.access(self.state, os.R_OK | os.X_OK):
            raise HomeError(f"{self.state} can't be read")

    @property
    def writable(self) -> bool:
        """False where the folder or its database may only be read, as on a file system that is mounted so."""
        return all(os.access(path, os.W_OK) for path in (self.state, self.database) if path.exists())

    @property
    def state(self) -> Path:
        """Everything that is not the user's."""
        return self.root / FOLDER

    @property
    def database(self) -> Path:
        """Objects, state versions, locks and the audit trail."""
        return self.state / "STATE_AUDIT.db"

    @property
    def blobs(self) -> Path:
        """Sealed bytes by digest."""
        return self.state / "blobs"

    @property
    def keys(self) -> Path:
        """The keys that the blobs are sealed with."""
        return self.state / "keys"

    @property
    def runs(self) -> Path:
        """The files that runs leave behind."""
        return self.state / "runs"

    @property
    def work(self) -> Path:
        """The folders that runs work in."""
        return self.state / "work"

    @property
    def filled_by_runs(self) -> tuple[Path, ...]:
        """The paths that are there, or filled, only where there was a database."""
        return self.blobs, self.key, self.runs, self.work, self.state / "errored"

    @property
    def key(self) -> Path:
        """The key that everything is sealed with."""
        return self.keys / "blobs.key"

    @property
    def manager_lock(self) -> Path:
        """Held by the manager that runs."""
        return self.state / "manager.lock"


class ManagerLock:
    """The right to be the one manager of a home. The kernel frees it when its process dies, however it dies.

    The manifests' folder is locked, too: who removes `.setpoint/` under a manager lets no second one in by that.
    """

    def __init__(self, home: LocalHome) -> None:
        self._path = home.manager_lock
        self._root = home.root
        self._lock = ProcessLock(self._path, current_user())
        self._folder = FolderLock(home.root)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Takes the lock. Raises ManagerLockedError naming the holder, HomeError where files can't be locked."""
        with _explained(self._path):
            other = self._lock.acquire()
            if other is None and not self._folder.acquire():
                self._lock.release()
                other = f"its {FOLDER} was removed under it; it ends within seconds of that, or with what it applies"
        if other is not None:
            message = f"another manager works on {self._root}: {other}"
            raise ManagerLockedError(message)

    def release(self) -> None:
        """Gives the lock back."""
        self._folder.release()
        self._lock.release()


def holder(home: LocalHome) -> str | None:
    """The manager of the home now, as `pid 12 of alice since …: setpoint up`; None where there is none."""
    return holder_of(home.manager_lock)


def current_user() -> str:
    """The operating system's user: a name, or `uid:1000` for one that has none.

    By the kernel's word: LOGNAME and its like say whatever one wants, and approvals are counted by name.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid:{os.geteuid()}"


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}:
            raise HomeError(f"{path}: this file system has no locks; a home needs them") from None
        reason = error.strerror or type(error).__name__
        raise HomeError(f"{error.filename or path}: {reason[:1].lower()}{reason[1:]}") from None
