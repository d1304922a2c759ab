"""Owns how targets are divided among leaders. Pure: the same everywhere, in every version, at any time."""

import dataclasses
import hashlib

MAX_SHARDS = 16
"""As many Leases as the operator's Role names."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of all objects, from 0. The name of each is its own, and no part of another division's."""

    index: int = 0
    count: int = 1

    def __contains__(self, key: str) -> bool:
        """True where an ObjectRef.key's object belongs to this part; one that is made anew belongs where it did."""
        return shard_of(key, self.count) == self.index

    @property
    def label(self) -> str:
        """`0/1`, `1/4`: for people and metrics."""
        return f"{self.index}/{self.count}"

    def __str__(self) -> str:
        """Empty where there is nothing to divide; else as `1/4`: the name of its terms in the store."""
        return "" if self.count == 1 else self.label


def divide(count: int) -> tuple[Shard, ...]:
    """All parts of a division."""
    return tuple(Shard(index, count) for index in range(count))


def shard_of(key: str, count: int) -> int:
    """The part, of `count`, that an object belongs to: even, and by its key alone."""
    if count == 1:
        return 0
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") % count
