"""Owns for how long a target is fresh, by what a list shows of it and what is known of its last observation. Pure.

A process that begins to lead knows the observations of those before it, so that its start observes what is stale alone.
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

STALE = dt.timedelta()
"""Fresh for no time at all."""
UNTIL_ASKED = dt.timedelta.max
"""Fresh until somebody asks, as what is suspended is."""


@dataclasses.dataclass(frozen=True, slots=True)
class LastObservation:
    """The last observation that found a target at its setpoint. `inputs` is the digest of what it depended on."""

    inputs: str
    at: dt.datetime


def inputs_of(metadata: ObjectMeta, secrets: Mapping[str, str], source: str) -> str:
    """Digest of what an observation depends on and is seen without one, and of the version that observes.

    `secrets` are the resourceVersions of the Secrets that the target reads, by name; `source` is the digest of a
    source on this machine, empty for one that is elsewhere or in the spec.
    """
    return digest([metadata.uid, metadata.generation, metadata.annotations, secrets, source, __version__])


def is_at_setpoint(status: TargetStatus, generation: int) -> bool:
    """True where nothing is left to do or to wait for, by what the status says of this generation."""
    if status.change or status.applying or status.hold or status.failures:
        return False
    return _ready(status) == ("True", Reason.AT_SETPOINT, generation)


def fresh_for(target: Target, last: LastObservation | None, inputs: str | None, now: dt.datetime) -> dt.timedelta:
    """For how long no observation would find anything to do; STALE or less where one is due.

    `inputs` is what an observation would depend on now; None where that is not known. A last one that lies ahead was
    dated by another clock, and says nothing.
    """
    metadata, status = target.metadata, target.status
    if metadata.deletion_timestamp or FINALIZER not in metadata.finalizers:
        return STALE
    if status.handled_reconcile != asked_run(target):
        return STALE
    if is_suspended(target):
        says_so = _ready(status) == ("Unknown", Reason.SUSPENDED, metadata.generation)
        return UNTIL_ASKED if says_so else STALE
    if last is None or last.inputs != inputs or last.at > now or not is_at_setpoint(status, metadata.generation):
        return STALE
    return target.spec.interval - (now - last.at)


def _ready(status: TargetStatus) -> tuple[str, str, int] | None:
    ready = get_condition(tuple(status.conditions), ConditionType.READY)
    return None if ready is None else (ready.status, ready.reason, ready.observed_generation)
