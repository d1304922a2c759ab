"""Owns where things are in a local home, and the lock that keeps a second manager out. Reads no manifest."""

import contextlib
import dataclasses
import datetime as dt
import errno
import fcntl
import json
import os
import pwd
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from setpoint.domain.errors import SetpointError

FOLDER = ".setpoint"
_MODE = 0o700
_MAX_HOLDER_BYTES = 4096


class HomeError(SetpointError):
    """The folder can't be a home; the message says why."""


class ManagerLockedError(SetpointError):
    """Another manager works on the home; the message names it."""


def find_home(start: Path) -> Path | None:
    """The nearest folder at or above `start` that holds a `.setpoint/`."""
    start = start.absolute()
    return next((folder for folder in (start, *start.parents) if (folder / FOLDER).is_dir()), None)


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
            for folder in (home.blobs, home.keys, home.runs, home.work):
                folder.mkdir(mode=_MODE, exist_ok=True)
            # State and keys in a repository would be a leak; the user's own .gitignore is not ours to write.
            (home.state / ".gitignore").write_text("*\n")
        return home

    @classmethod
    def open(cls, root: Path) -> Self:
        """Opens the home of a folder. Raises HomeError where it is none or can't be written."""
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
        """Raises HomeError, or OSError, unless `.setpoint/` is a folder of this user that can be written."""
        found = self.state.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise HomeError(f"{self.state} is not a folder")
        if found.st_uid != os.geteuid():
            raise HomeError(f"{self.state} belongs to another user (uid {found.st_uid}): work as that user")
        if found.st_mode & 0o077:
            self.state.chmod(_MODE)
        if not os.access(self.state, os.R_OK | os.W_OK | os.X_OK):
            raise HomeError(f"{self.state} can't be written")

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
        """What the blobs are sealed with."""
        return self.state / "keys"

    @property
    def runs(self) -> Path:
        """What runs of Terraform leave behind."""
        return self.state / "runs"

    @property
    def work(self) -> Path:
        """Terraform's work folders."""
        return self.state / "work"

    @property
    def manager_lock(self) -> Path:
        """Held by the manager that runs."""
        return self.state / "manager.lock"


class ManagerLock:
    """The right to be the one manager of a home. The kernel frees it when its process dies, however it dies.

    The descriptor is not inherited by programs that are started. A process that is forked and runs on would share it.
    """

    def __init__(self, home: LocalHome) -> None:
        self._path = home.manager_lock
        self._root = home.root
        self._handle: int | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Takes the lock. Raises ManagerLockedError naming the holder, HomeError where files can't be locked."""
        with _explained(self._path):
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                self._lock(handle)
                _write(handle, _this_process())
            except BaseException:
                os.close(handle)
                raise
        self._handle = handle

    def release(self) -> None:
        """Gives the lock back."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another manager works on {self._root}: {_describe(_read(handle))}"
            raise ManagerLockedError(message) from None


def holder(home: LocalHome) -> str | None:
    """Who manages the home now, as `pid 12 of alice since …: setpoint up`; None where nobody does."""
    try:
        handle = os.open(home.manager_lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe(_read(handle))
    else:
        return None
    finally:
        os.close(handle)


def _this_process() -> dict[str, object]:
    since = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"pid": os.getpid(), "user": current_user(), "since": since, "command": Path(sys.argv[0]).name[:100]}


def current_user() -> str:
    """The operating system's user: a name, or `uid:1000` for one that has none.

    By the kernel's word: LOGNAME and its like say whatever one wants, and approvals are counted by name.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid:{os.geteuid()}"


def _write(handle: int, told: dict[str, object]) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(told).encode(), 0)


def _read(handle: int) -> dict[str, object]:
    try:
        told = json.loads(os.pread(handle, _MAX_HOLDER_BYTES, 0))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _describe(told: dict[str, object]) -> str:
    known = {name: str(told.get(name, "?"))[:100] for name in ("pid", "user", "since", "command")}
    return "pid {pid} of {user} since {since}: {command}".format(**known)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}:
            raise HomeError(f"{path}: this file system has no locks; a home needs them") from None
        reason = error.strerror or type(error).__name__
        raise HomeError(f"{error.filename or path}: {reason[:1].lower()}{reason[1:]}") from None
