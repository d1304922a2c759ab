"""Owns an operator that kills itself with SIGKILL at one step: `python -m tests.cluster.victim ORDERS STEPS ...`.

What follows is `setpoint`'s own arguments. A step is the moment before, or after, a call by which the operator changes
the world. It dies at the one that the file ORDERS names, and goes on while that is empty. Those that it comes by are
the lines of STEPS.
"""

import os
import signal
import sys
from pathlib import Path

from tests.crash.victim import POINTS, Fuse

from setpoint.adapters.kube import KubeCluster
from setpoint.cli.main import main

WRITES = ("create", "update", "update_status", "set_finalizers", "delete")


class OrderedFuse(Fuse):
    """Burns down at a step by name, which others may choose while the operator runs."""

    def __init__(self, orders: Path, steps: Path) -> None:
        super().__init__(at=0)
        self._orders = orders
        self._steps = steps

    def tick(self, step: str) -> None:
        """One more step."""
        with self._steps.open("a") as steps:
            steps.write(f"{step}\n")
        if self._orders.read_text() == step:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    OrderedFuse(Path(sys.argv[1]), Path(sys.argv[2])).arm({KubeCluster: WRITES, **POINTS})
    sys.argv[1:] = sys.argv[3:]
    main()
