"""Owns the shapes of the states that are kept of a target, and which state may follow which. Pure.

Whoever writes them says what is in their bytes: nothing of that is read here.
"""

import dataclasses
import hashlib
from collections.abc import Sized
from typing import Protocol

from setpoint.domain.errors import ConflictError


class StateFacts(Protocol):
    """The facts that a state tells about itself."""

    @property
    def lineage(self) -> str:
        """The history that it belongs to."""
        ...

    @property
    def serial(self) -> int:
        """Its place in that history."""
        ...

    @property
    def terraform_version(self) -> str:
        """The version that wrote it."""
        ...

    @property
    def instances(self) -> Sized:
        """The resources in it."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class StateVersion:
    """One Terraform state. `version` is our own count per target, from 1, and only rises; `run` wrote it."""

    version: int
    serial: int
    lineage: str
    terraform_version: str
    sha256: str
    size: int
    resources: int
    run: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class StateLock:
    """One lock on a target's state. `id` and `holder` (JSON text) are Terraform's, `run` is ours."""

    target: str
    id: str
    run: str
    holder: str


@dataclasses.dataclass(frozen=True, slots=True)
class StateIdentity:
    """One state of one history: what decides whether another may follow."""

    lineage: str
    serial: int
    sha256: str


def identity(facts: StateFacts, data: bytes) -> StateIdentity:
    """The identity of a state: `sha256` is that of the plain bytes, in hex."""
    return StateIdentity(facts.lineage, facts.serial, hashlib.sha256(data).hexdigest())


def is_new_version(head: StateIdentity | None, new: StateIdentity) -> bool:
    """True where `new` may follow `head` and adds something to it.

    The head once more is False: Terraform posts the same bytes twice on a graceful stop and after a lost reply.
    Raises ConflictError for another lineage, a lower serial, and an equal serial with other bytes.
    """
    if head is None:
        return True
    if head == new:
        return False
    if head.lineage != new.lineage:
        msg = f"the state is of lineage {new.lineage}, and {head.lineage} is managed here: it belongs to something else"
        raise ConflictError(msg)
    if new.serial < head.serial:
        msg = f"the state has serial {new.serial}, and {head.serial} is the newest here: it is older"
        raise ConflictError(msg)
    if new.serial == head.serial:
        msg = f"the state has serial {new.serial} as the newest here, and other content: someone else wrote first"
        raise ConflictError(msg)
    return True
