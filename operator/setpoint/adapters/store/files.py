"""Owns files that last: written so that a crash leaves the old one or the new one, and known to be the same later."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from setpoint.domain.errors import StoreMovedError
from setpoint.runtime.process_lock import is_at


class HeldFiles:
    """Files that this process works on, and that nobody may take away or replace meanwhile.

    Each is kept open, so that no other gets its number; by a handle that reads nothing, and whose end frees no lock.
    """

    def __init__(self) -> None:
        self._known: dict[Path, int] = {}

    def hold(self, *paths: Path) -> None:
        """Begins with these. Raises OSError."""
        for path in paths:
            self._known[path] = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)

    def lost(self) -> str:
        """The path at which another file is by now, or none; empty where all are there."""
        return next((str(path) for path, handle in self._known.items() if not is_at(handle, path)), "")

    def require(self) -> None:
        """Raises StoreMovedError unless all of them are where they were."""
        if path := self.lost():
            msg = (
                f"{path} was removed, moved or replaced while this process worked on it: it applies nothing more. Put "
                "back what was there, or start again on what is there now"
            )
            raise StoreMovedError(msg)

    def close(self) -> None:
        """Lets go of them."""
        for handle in self._known.values():
            os.close(handle)
        self._known = {}


def write_atomically(path: Path, pieces: Iterable[bytes], *, replace: bool = True) -> bool:
    """Writes a file of mode 0600, durable on return. False: it existed and `replace` is not set. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write(draft, pieces)
        if replace:
            draft.replace(path)
        else:
            path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(handle)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
