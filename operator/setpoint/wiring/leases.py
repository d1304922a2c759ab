"""Owns the names of the operator's Leases, and whether somebody keeps one.

manifests/base/rbac-operator.yaml grants these names and no others.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from setpoint.domain.sharding import MAX_SHARDS, Shard, divide
from setpoint.ports import LeaseLock, LeaseRecord

LEASE = "setpoint-operator"
"""The leader's Lease; where the targets are divided, each part's has its number behind: `setpoint-operator-0`."""

_MAX_SECONDS = 60.0
"""How long a Lease that claims to last longer is watched."""
_POLL_SECONDS = 1.0


def lease_of(shard: Shard) -> str:
    """The name of the Lease by which the shard's leader is elected."""
    return LEASE if shard.count == 1 else f"{LEASE}-{shard.index}"


LEASES = (LEASE, *(lease_of(shard) for shard in divide(MAX_SHARDS)))
"""The Leases of every division."""


async def find_leaders(leases: Mapping[str, LeaseLock], on_wait: Callable[[str], None]) -> Sequence[str]:
    """Names who keeps one of these Leases, as `HOLDER (Lease NAME)`; `on_wait` is given what it waits for.

    As in an election the clocks of others count for nothing: a holder lives whose Lease moves within its duration.
    """
    found = await asyncio.gather(*(lease.read() for lease in leases.values()))
    held = {name: record for name, record in zip(leases, found, strict=True) if record is not None and record.holder}
    for name, record in held.items():
        on_wait(f"{record.holder} holds Lease {name}; looking for {_seconds(record):.0f} s whether it still renews it")
    kept = await asyncio.gather(*(_is_kept(leases[name], record) for name, record in held.items()))
    return [
        f"{record.holder} (Lease {name})" for (name, record), alive in zip(held.items(), kept, strict=True) if alive
    ]


async def _is_kept(lease: LeaseLock, first: LeaseRecord) -> bool:
    """True where the Lease moves, and has a holder then: one that is given back moves, too."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _seconds(first)
    while loop.time() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        record = await lease.read()
        if record is None or not record.holder:
            return False
        if record.version != first.version:
            return True
    return False


def _seconds(record: LeaseRecord) -> float:
    return min(record.duration.total_seconds(), _MAX_SECONDS)
