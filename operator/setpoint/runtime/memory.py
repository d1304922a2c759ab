"""Owns what the kernel says of a container's memory: its limit, and how much is in use."""

import dataclasses
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryGroup:
    """The control group that bounds this process; sizes are in bytes.

    `cached` is the field of the statistics with the cache of files that the kernel drops first.
    See https://docs.kernel.org/admin-guide/cgroup-v2.html#memory and, of version 1,
    https://docs.kernel.org/admin-guide/cgroup-v1/memory.html.
    """

    limit: int
    usage: Path
    statistics: Path
    cached: str

    def used(self) -> int:
        """The working set, as the kubelet counts it. Raises OSError, ValueError where the kernel does not tell."""
        usage = int(self.usage.read_bytes())
        for line in self.statistics.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == self.cached:
                return max(0, usage - int(value))
        return usage


def memory_group(root: Path = _ROOT) -> MemoryGroup | None:
    """The group that limits this process, by version 2 or 1; None without a limit, as on most machines of people."""
    old = root / "memory"
    of_each = (
        (root / "memory.max", root / "memory.current", root / "memory.stat", "inactive_file"),
        (old / "memory.limit_in_bytes", old / "memory.usage_in_bytes", old / "memory.stat", "total_inactive_file"),
    )
    for limit, usage, statistics, cached in of_each:
        try:
            text = limit.read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _UNLIMITED:
            return MemoryGroup(int(text), usage, statistics, cached)
    return None
