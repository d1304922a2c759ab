"""Owns for how long a target needs no look, by what a list shows of it and what is known of the last one. Pure.

A process that begins to lead knows the looks of those before it, so that its start is no look at everything.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping

from setpoint import __version__
from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import FINALIZER, ObjectMeta
from setpoint.api.target import Target, TargetStatus
from setpoint.domain.conditions import get_condition
from setpoint.domain.digests import digest
from setpoint.domain.goals import asked_run, is_suspended

NO_REST = dt.timedelta()
UNTIL_ASKED = dt.timedelta.max


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """A look that found a target at its setpoint. `inputs` is the digest of what was looked at."""

    inputs: str
    at: dt.datetime


def inputs_of(metadata: ObjectMeta, secrets: Mapping[str, str], source: str) -> str:
    """Digest of what a look depends on and is seen without one, and of the version that looks.

    `secrets` are the resourceVersions of the Secrets that the target reads, by name; `source` is the digest of a
    source on this machine, empty for one that is elsewhere or in the spec.
    """
    return digest([metadata.uid, metadata.generation, metadata.annotations, secrets, source, __version__])


def is_at_setpoint(status: TargetStatus, generation: int) -> bool:
    """True where nothing is left to do or to wait for, by what the status says of this generation."""
    if status.change or status.applying or status.hold or status.failures:
        return False
    return _ready(status) == ("True", Reason.AT_SETPOINT, generation)


def rest_of(target: Target, look: Look | None, inputs: str | None, now: dt.datetime) -> dt.timedelta:
    """For how long no look would find anything to do; nothing or less where one is due.

    `look` is the last one, `inputs` what a look would depend on now; None where that is not known. A look that lies
    ahead was dated by another clock, and says nothing.
    """
    metadata, status = target.metadata, target.status
    if metadata.deletion_timestamp or FINALIZER not in metadata.finalizers:
        return NO_REST
    if status.handled_reconcile != asked_run(target):
        return NO_REST
    if is_suspended(target):
        says_so = _ready(status) == ("Unknown", Reason.SUSPENDED, metadata.generation)
        return UNTIL_ASKED if says_so else NO_REST
    if look is None or look.inputs != inputs or look.at > now or not is_at_setpoint(status, metadata.generation):
        return NO_REST
    return target.spec.interval - (now - look.at)


def _ready(status: TargetStatus) -> tuple[str, str, int] | None:
    ready = get_condition(tuple(status.conditions), ConditionType.READY)
    return None if ready is None else (ready.status, ready.reason, ready.observed_generation)
