"""Owns locks between processes of one machine, by files. What a lock guards, its owner knows."""

import contextlib
import datetime as dt
import fcntl
import json
import os
import sys
from pathlib import Path

_MAX_HOLDER_BYTES = 4096


class ProcessLock:
    """A file that one process holds at a time. The kernel frees it when its process dies, however it dies.

    The descriptor is not inherited by programs that are started. A process that is forked and runs on would share it.
    `name` is what others are told of who holds it.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._handle: int | None = None

    def acquire(self) -> str | None:
        """Takes the lock and returns None; or returns who holds it. Raises OSError where files can't be locked."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stands = is_at(handle, self._path)
            if stands:
                _write(handle, _this_process(self._name))
        except BlockingIOError:
            other = _describe(_read(handle))
            os.close(handle)
            return other
        except BaseException:
            os.close(handle)
            raise
        if not stands:
            # Replaced between the two calls: the next one to come would lock another file.
            os.close(handle)
            return self.acquire()
        self._handle = handle
        return None

    def release(self) -> None:
        """Gives the lock back."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


class FolderLock:
    """A folder that one process holds at a time, whatever becomes of what is in it. It says nothing of who that is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self) -> bool:
        """True where this process holds it now. Raises OSError where folders can't be locked."""
        handle = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True

    def release(self) -> None:
        """Gives the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def holder_of(path: Path) -> str | None:
    """Names who holds the lock now, as `pid 12 of alice since …: setpoint`; None where nobody does."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
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


def is_at(handle: int, path: Path) -> bool:
    """True where the file that is open is the one that the path leads to."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except OSError:
        return False


def _this_process(name: str) -> dict[str, object]:
    since = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"pid": os.getpid(), "user": name, "since": since, "command": Path(sys.argv[0]).name[:100]}


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
    known = {name: str(told.get(name, "?"))[:253] for name in ("pid", "user", "since", "command")}
    return "pid {pid} of {user} since {since}: {command}".format(**known)
