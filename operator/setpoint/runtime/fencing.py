"""Owns which term of leadership the running task works for. Whether that term still stands, the store decides."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager

from setpoint.ports import Fence

_FENCE: contextvars.ContextVar[Fence | None] = contextvars.ContextVar("fence", default=None)


def current_fence() -> Fence | None:
    """The term that this task works for; None where no leader is elected: in a local home, in a command."""
    return _FENCE.get()


@contextmanager
def fenced(fence: Fence | None) -> Iterator[None]:
    """Writes within, and by tasks that are started within, are made for this term or not at all."""
    token = _FENCE.set(fence)
    try:
        yield
    finally:
        _FENCE.reset(token)
