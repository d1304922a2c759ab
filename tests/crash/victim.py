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
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry
from setpoint.targets.environment.terraform.bundles import BundleMaker
from setpoint.targets.environment.terraform.session import Session
from setpoint.targets.environment.terraform.workfolder import WorkFolder
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

    def tick(self, step: str) -> None:
        """One more point: this step, or the moment after it."""
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
                step = describe(call, *args, **kwargs)
                self.tick(f"before {step}")
                result = await call(*args, **kwargs)
                self.tick(f"after {step}")
                return result

            return awaited

        @functools.wraps(call)
        def called(*args, **kwargs):
            step = describe(call, *args, **kwargs)
            self.tick(f"before {step}")
            result = call(*args, **kwargs)
            self.tick(f"after {step}")
            return result

        return called


def describe(call, _self, *args, audit=(), **_kwargs) -> str:
    """Names a call in the pipeline, with the object or the audit rows that it writes."""
    entries = (*(arg for arg in args if isinstance(arg, AuditEntry)), *audit)
    objects = [arg for arg in args if isinstance(arg, dict) and "kind" in arg]
    refs = [arg.kind for arg in args if isinstance(arg, ObjectRef)]
    said = [*map(describe_object, objects), *refs, *(f"{entry.action}/{entry.phase}" for entry in entries)]
    return " ".join((call.__qualname__, *said))


def describe_object(obj) -> str:
    """The kind, and how far the object has come by its status."""
    status = obj.get("status") or {}
    ready = [one["reason"] for one in status.get("conditions", []) if one["type"] in {"Ready", "Complete"}]
    return " ".join(filter(None, (obj["kind"], status.get("outcome"), *ready)))


async def main(home: Path, at: int) -> None:
    """Runs once, if it lives."""
    fuse = Fuse(at)
    fuse.arm({LocalCluster: ("create", "update", "update_status", "delete"), **POINTS})
    await run_manager(
        home,
        once=True,
        due=False,
        metrics_address=None,
        log_format=None,
        progress=lambda *_args, **_options: None,
        stop=asyncio.Event(),
    )
    print(fuse.passed)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
