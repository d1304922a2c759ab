"""Owns how many shards each replica has, as one of them sees it: who has too few asks those who have most."""

import collections

from setpoint.domain.sharding import Shard
from setpoint.ports import LeaseRecord


class Shares:
    """The shards and their owners. One that is asked for counts as the asker's already, or each would ask for all."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._owners: dict[Shard, str] = {}

    def take(self, shard: Shard) -> None:
        """It is ours."""
        self._owners[shard] = self._identity

    def wants(self, shard: Shard, found: LeaseRecord) -> bool:
        """True where another is to be asked for its shard: with one more we still have no more than it has left.

        Notes whose it is. From the yes on it counts as ours, or the next question would be answered without it; where
        it was not asked for after all, the next reading says so.
        """
        owner = self._owners[shard] = found.wanted or found.holder
        counts = collections.Counter(self._owners.values())
        if found.wanted or counts[owner] < counts[self._identity] + 2:
            return False
        self.take(shard)
        return True
