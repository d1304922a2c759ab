"""Owns that all who lead divide the targets alike: with two divisions at once a target would have two leaders.

A replica asks once before it takes a Lease and once after: of two that take Leases of different divisions at the same
time at least one sees the other, since each has written before it reads.
"""

import asyncio
import logging
from collections.abc import Mapping

from setpoint.domain.errors import ForbiddenError, TransientError
from setpoint.ports import LeaseLock, LeaseRecord

_LOGGER = logging.getLogger(__name__)


class Division:
    """The Leases of all divisions, by name, as one that divides into `shards` parts sees them."""

    def __init__(self, leases: Mapping[str, LeaseLock], shards: int) -> None:
        self._leases = leases
        self._shards = shards
        self._seen: dict[str, tuple[LeaseRecord, float]] = {}

    async def agrees(self) -> bool:
        """True where nobody leads who divides otherwise. False where that can't be known."""
        try:
            found = await asyncio.gather(*(_read(lease) for lease in self._leases.values()))
        except TransientError as error:
            _LOGGER.warning("Can't look at the Leases: %s", error.message)
            return False
        others = [
            (name, record)
            for name, record in zip(self._leases, found, strict=True)
            if record is not None and record.shards != self._shards and self._lives(name, record)
        ]
        for name, record in others:
            _LOGGER.warning(
                "%s holds Lease %s and divides the targets into %d, this replica into %d: waiting until it ends",
                *(record.holder, name, record.shards, self._shards),
            )
        return not others

    def _lives(self, name: str, record: LeaseRecord) -> bool:
        """By our own clock, as in every election: a holder is dead whose Lease has not moved for its duration."""
        if not record.holder:
            return False
        now = asyncio.get_running_loop().time()
        seen, since = self._seen.get(name, (None, now))
        if seen is None or seen.version != record.version:
            since = now
        self._seen[name] = record, since
        return now - since < record.duration.total_seconds()


async def _read(lease: LeaseLock) -> LeaseRecord | None:
    """A Lease that we may not read is none that a replica with our rights may hold."""
    try:
        return await lease.read()
    except ForbiddenError:
        return None
