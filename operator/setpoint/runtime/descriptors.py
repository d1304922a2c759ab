"""Owns telling that file descriptors ran out from what comes of it: any call may fail then, each in its own words."""

import errno
import os
import resource
from collections.abc import Iterator

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StoreError, TransientError

_CODES = frozenset({errno.EMFILE, errno.ENFILE})


def as_exhaustion(error: Exception) -> TransientError | None:
    """The error to show in the place of one that came of it; None where there are descriptors left."""
    codes = {one.errno for one in _chain(error) if isinstance(one, OSError)}
    if codes.isdisjoint(_CODES):
        # A database does not say why it can't open its file.
        codes = {_probe()} if isinstance(error, StoreError) else set()
    if errno.ENFILE in codes:
        return _error("the machine has no file descriptor left; see /proc/sys/fs/file-nr, and raise fs.file-max")
    if errno.EMFILE in codes:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return _error(
            f"this process has no file descriptor left, of {limit}; see what holds them (lsof -p {os.getpid()}), or "
            "raise the limit (ulimit -n, LimitNOFILE=)"
        )
    return None


def _error(message: str) -> TransientError:
    return TransientError(Reason.OUT_OF_DESCRIPTORS, message)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _probe() -> int:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno or 0
    return 0
