"""Owns the exceptions that cross module borders. An exception says how the work goes on.

SetpointError
├── WaitingError      nothing is wrong; observe again later
├── StalledError      a person must change something; no back-off, at most another pass at the interval
├── TransientError    failed for now; retried with back-off
├── ConflictError     someone else wrote first; retried in silence
├── NotFoundError     there is no such object
├── AlreadyExistsError
├── InvalidError      an object was refused; names the field
├── NothingDeclaredError  a folder was named as a home and holds no manifest: the command was wrong
├── ForbiddenError    we, or the person, may not do that
│   └── NamespaceTerminatingError  nothing can be made any more where it would be
├── GoneError         a watch can't resume from there; list again
└── StoreError        the store refused or lost something
    ├── LostBlobError  bytes that something refers to are gone, or don't open
    ├── StoreMovedError  its files were taken away under this process
    └── FencedError   another leads by now: what was asked for in an earlier term is refused
"""

import datetime as dt
from typing import Self

from setpoint.api.conditions import Reason

_PUT_BACK = "put it back from a backup of the store"


class SetpointError(Exception):
    """The root. `message` is one plain sentence for people and never holds a secret."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ReasonedError(SetpointError):
    """An error that a condition can show: it has a reason."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WaitingError(ReasonedError):
    """Nothing is wrong: an approval, a lock or a dependency is awaited."""

    def __init__(self, reason: Reason, message: str, *, requeue_after: dt.timedelta | None = None) -> None:
        super().__init__(reason, message)
        self.requeue_after = requeue_after


class StalledError(ReasonedError):
    """Nothing will help until a person changes something; tried again after `requeue_after`, if set."""

    def __init__(self, reason: Reason, message: str, *, requeue_after: dt.timedelta | None = None) -> None:
        super().__init__(reason, message)
        self.requeue_after = requeue_after


class TransientError(ReasonedError):
    """Failed for now."""


class StoreSetBackError(StalledError):
    """The store is not the one that stood here, so nothing may be applied on it."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.STORE_SET_BACK, message)


class ConflictError(SetpointError):
    """The object changed since it was read; never shown to users."""


class NotFoundError(SetpointError):
    """There is no such object."""


class AlreadyExistsError(SetpointError):
    """An object of that name exists."""


class InvalidError(SetpointError):
    """An object was refused. `field` is a dotted path such as `spec.source.path`, or empty."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class NothingDeclaredError(SetpointError):
    """A folder was named as a home and declares nothing."""


class ForbiddenError(SetpointError):
    """The API server's rules do not let this user do that."""


class NamespaceTerminatingError(ForbiddenError):
    """The namespace is being deleted: the API server takes nothing new in it."""


class GoneError(SetpointError):
    """A watch asked for changes that are no longer kept."""


class StoreError(SetpointError):
    """The store refused a write, or what it holds is damaged."""


class LostBlobError(StoreError):
    """Bytes that something refers to are gone, or can't be opened: only a person can bring them back."""

    @classmethod
    def gone(cls, what: str, digest: str) -> Self:
        """An error on something that is in a blob that is not there."""
        return cls(f"{what} is in the blob {digest}, which is gone: {_PUT_BACK}")

    @classmethod
    def sealed(cls, digest: str, key: str) -> Self:
        """A blob that does not open with the key at hand."""
        why = f"is damaged, or was sealed with another key than {key}"
        return cls(f"the blob {digest} {why}: {_PUT_BACK}, or the key that belongs to it")


class StoreMovedError(StoreError):
    """The files of the store were removed, moved or replaced while this process used them."""


class FencedError(StoreError):
    """The writer's term of leadership is over: nothing of it was written, and nothing of it ever will be."""
