"""Owns what goes into a reconcile and what comes out of it. Never carries an event or an object's body."""

import dataclasses
import datetime as dt
from enum import StrEnum

from setpoint.api.meta import ObjectRef


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """Asks that one object be reconciled, whatever happened to it."""

    ref: ObjectRef


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """How a reconcile ended that did not fail. `requeue_after` asks for another pass; None waits for an event."""

    requeue_after: dt.timedelta | None = None


class OutcomeKind(StrEnum):
    """How a reconcile ended; the `result` label of setpoint_reconcile_total."""

    SUCCESS = "success"
    REQUEUE_AFTER = "requeue_after"
    WAITING = "waiting"
    STALLED = "stalled"
    CONFLICT = "conflict"
    ERROR = "error"
    TIMEOUT = "timeout"


@dataclasses.dataclass(frozen=True, slots=True)
class ReconcileOutcome:
    """How one reconcile ended. `message` is empty where nothing is wrong; `retry_in` is in seconds, None for never."""

    request: Request
    kind: OutcomeKind
    message: str = ""
    retry_in: float | None = None
