"""Owns a manager that kills itself with SIGKILL at its Nth crash point: `python victim.py HOME N`.

A crash point is the moment before, and the moment after, each call that touches the world: objects, trail, states,
blobs, bundles, work folders, plans and applies. With N beyond the last one, it is a plain `setpoint up --once`; it
prints how many points it passed.
"""

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from setpoint.adapters.local.cluster import LocalCluster
from setpoint.adapters.store.audit import AuditTrail
from setpoint.adapters.store.blobs import SealedBlobs
from setpoint.adapters.store.states import SqlStateLocks, SqlStateStore
from setpoint.adapters.terraform.bundles import BundleMaker
from setpoint.adapters.terraform.session import Session
from setpoint.adapters.terraform.workfolder import WorkFolder
from setpoint.wiring import run_manager

POINTS = {
    AuditTrail: ("append",),
    SealedBlobs: ("put",),
    SqlStateStore: ("append",),
    SqlStateLocks: ("acquire", "release"),
    BundleMaker: ("make",),
    WorkFolder: ("lay_out", "mark_initialised"),
    Session: ("plan", "apply"),
}


class Fuse:
    """Counts crash points, and burns down at one."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.passed = 0

    def tick(self) -> None:
        """One more point."""
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def arm(self, points: Mapping[type, Sequence[str]]) -> None:
        """Puts a point before and after every call."""
        for owner, names in points.items():
            for name in names:
                setattr(owner, name, self.around(getattr(owner, name)))

    def around(self, call):
        """The call between two points."""
        if asyncio.iscoroutinefunction(call):

            @functools.wraps(call)
            async def awaited(*args, **kwargs):
                self.tick()
                result = await call(*args, **kwargs)
                self.tick()
                return result

            return awaited

        @functools.wraps(call)
        def called(*args, **kwargs):
            self.tick()
            result = call(*args, **kwargs)
            self.tick()
            return result

        return called


async def main(home: Path, at: int) -> None:
    """Runs once, if it lives."""
    fuse = Fuse(at)
    fuse.arm({LocalCluster: ("create", "update", "update_status", "delete"), **POINTS})
    await run_manager(
        home,
        once=True,
        metrics_address=None,
        log_format=None,
        progress=lambda *_args, **_options: None,
        stop=asyncio.Event(),
    )
    print(fuse.passed)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
