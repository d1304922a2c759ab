"""Owns writing a status: the operator is its only author, so a conflict is answered by reading again."""

import contextlib
import datetime as dt
from collections.abc import Sequence

from pydantic import TypeAdapter

from setpoint.api.conditions import Reason
from setpoint.api.meta import Condition, JsonObject, KubeObject, ObjectRef
from setpoint.domain.audit import AuditEntry
from setpoint.domain.conditions import mark_stalled
from setpoint.domain.errors import ConflictError, InvalidError, NotFoundError, StalledError
from setpoint.domain.reading import readable_status
from setpoint.ports import ClusterClient

_ATTEMPTS = 5


async def write_status(
    cluster: ClusterClient,
    ref: ObjectRef,
    status: JsonObject,
    *,
    seen: JsonObject | None = None,
    audit: Sequence[AuditEntry] = (),
) -> None:
    """Replaces the status, with audit rows durable no later than it. Raises NotFoundError, ConflictError.

    Only one worker ever holds a target, so whoever wrote in between wrote something else than the status. `seen` is
    the object as it was read, for a status that has moved since: then it is read again only where it moved, too.
    """
    current = seen
    for attempt in range(_ATTEMPTS):
        if current is None:
            current = await cluster.get(ref)
            if current.get("status") == status and not audit:
                return
        try:
            await cluster.update_status({**current, "status": status}, audit=audit)
        except ConflictError:
            if attempt == _ATTEMPTS - 1:
                raise
            current = None
        else:
            return


async def show_unreadable(
    cluster: ClusterClient,
    kind: type[KubeObject],
    found: JsonObject,
    error: InvalidError,
    reason: Reason,
    now: dt.datetime,
) -> StalledError:
    """Says on an object what in it does not fit its type, and keeps what its status tells; returns the error to raise.

    An object of an older schema gets there, or one that was stored while its CRD was another.
    """
    status = readable_status(kind, found)
    known = _CONDITIONS.validate_python(status.get("conditions") or [])
    generation = int(found["metadata"].get("generation") or 0)
    conditions = mark_stalled(known, reason, error.message, generation, now)
    shown = {"conditions": [one.as_json() for one in conditions], "observedGeneration": generation}
    # The API server may take no status of an object as bad as this one; an event and the log then say what it would.
    with contextlib.suppress(NotFoundError, InvalidError):
        await write_status(cluster, ObjectRef.of(found), {**status, **shown})
    return StalledError(reason, error.message)


_CONDITIONS = TypeAdapter(list[Condition])
