"""Owns the audit trail's rules: what a row says, its canonical bytes, the hash chain, what makes a chain intact. Pure."""

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from setpoint.api.meta import ObjectRef


class Phase(StrEnum):
    """An intent is written before an effect, its outcome after. A fact stands alone."""

    INTENT = "intent"
    OUTCOME = "outcome"
    FACT = "fact"


@dataclasses.dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is to be recorded. `run` joins an intent with its outcome; `digests` maps a role to a digest.

    `payload` is erasable: the row's header holds only a salted commitment to it. No secret belongs in either.
    """

    action: str
    phase: Phase
    actor: str
    target: ObjectRef | None = None
    run: str = ""
    result: str = ""
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    payload: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AuditRow:
    """One recorded row. `seq` starts at 1 without gaps; `header` are the bytes that the hashes cover."""

    seq: int
    at: str
    entry: AuditEntry
    header: bytes
    leaf: bytes
    prev: bytes
    hash: bytes
