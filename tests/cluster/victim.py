"""Owns an operator that kills itself with SIGKILL at its Nth crash point: `python -m tests.cluster.victim N FILE ...`.

What follows is `setpoint`'s own arguments. A crash point is the moment before, and the moment after, each call by which
the operator changes the world. The number of the points that it passed is in FILE.
"""

import sys
from pathlib import Path

from tests.crash.victim import POINTS, Fuse

from setpoint.adapters.kube import KubeCluster
from setpoint.cli.main import main

WRITES = ("create", "update", "update_status", "set_finalizers", "delete")


class CountingFuse(Fuse):
    """Leaves its count where others can read it."""

    def __init__(self, at: int, file: Path) -> None:
        super().__init__(at)
        self._file = file

    def tick(self) -> None:
        """One more point."""
        self._file.write_text(str(self.passed + 1))
        super().tick()


if __name__ == "__main__":
    CountingFuse(int(sys.argv[1]), Path(sys.argv[2])).arm({KubeCluster: WRITES, **POINTS})
    sys.argv[1:] = sys.argv[3:]
    main()
