"""Owns writing a status: the operator is its only author, so a conflict is answered by reading again."""

from collections.abc import Sequence

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import ConflictError
from setpoint.ports import ClusterClient

_ATTEMPTS = 5


async def write_status(
    cluster: ClusterClient, ref: ObjectRef, status: JsonObject, *, audit: Sequence[AuditEntry] = ()
) -> None:
    """Replaces the status, with audit rows durable no later than it. Raises NotFoundError, ConflictError.

    Only one worker ever holds a target, so whoever wrote in between wrote something else than the status.
    """
    for attempt in range(_ATTEMPTS):
        current = await cluster.get(ref)
        if current.get("status") == status and not audit:
            return
        try:
            await cluster.update_status({**current, "status": status}, audit=audit)
        except ConflictError:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return
