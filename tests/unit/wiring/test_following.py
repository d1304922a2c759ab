"""`setpoint up --once` over a target whose applies are accepted: a whole local home, with a kind of the tests alone."""

import asyncio
import contextlib
import datetime as dt
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.fakes.beacon import Beacon, BeaconDriver
from tests.fakes.beacon_bench import beacons
from tests.fakes.stages import Stages
from tests.fakes.target import World

from setpoint.api.target import TARGET_KINDS
from setpoint.pipeline import outcomes, reconciler
from setpoint.wiring import manager, targets
from setpoint.wiring.manager import RunReport, run_manager

__all__ = ["beacons"]
_LISTS = ("DECLARED_KINDS", "RECONCILED", "WATCHED", "EVERY_KIND")
"""Lists of kinds that modules make of TARGET_KINDS when they are imported."""
MANIFEST = """\
apiVersion: setpoint.dev/v1alpha1
kind: Beacon
metadata: {name: web}
spec: {stage: dev, text: "a=1", interval: 1h, apply: {mode: Auto}}
"""


class OpenBeacons:
    """The Beacons of a manager."""

    kind: ClassVar[type[Beacon]] = Beacon
    inputs: ClassVar[frozenset[str]] = BeaconDriver.inputs
    world: ClassVar[World]

    def driver(self, *_: Any, **__: Any) -> BeaconDriver:
        return BeaconDriver(self.world)

    def on_renew(self) -> None:
        """Runs nothing."""

    async def source_digest(self, target: Any) -> str | None:
        del target
        return ""


async def open_target(stack: contextlib.AsyncExitStack, *_: Any, **__: Any) -> OpenBeacons:
    del stack
    return OpenBeacons()


@pytest.fixture
def world(beacons: None, monkeypatch: pytest.MonkeyPatch) -> World:
    del beacons
    OpenBeacons.world = World(stages=Stages(wake_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)))
    for module, waits in ((reconciler, "_AT_LEAST"), (outcomes, "_SOON")):
        monkeypatch.setattr(module, waits, dt.timedelta(milliseconds=10))
    monkeypatch.delitem(TARGET_KINDS, "Environment")
    monkeypatch.setattr(targets, "TARGETS", (targets.TargetPackage("none", opening=__name__),))
    for name, module in list(sys.modules.items()):
        for listed in _LISTS if name.startswith("setpoint.") else ():
            if hasattr(module, listed):
                known = getattr(module, listed)
                monkeypatch.setattr(
                    module, listed, tuple("Beacon" if kind == "Environment" else kind for kind in known)
                )
    return OpenBeacons.world


async def up_once(root: Path, said: list[str], stop: asyncio.Event | None = None) -> RunReport:
    def progress(_ref: object, step: str, _resource: object = None) -> None:
        said.append(step)

    return await run_manager(
        root, once=True, due=False, metrics_address=None, log_format=None, progress=progress,
        stop=stop or asyncio.Event(),
    )  # fmt: skip


async def test_it_follows_an_accepted_apply_to_its_end(world: World, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    said: list[str] = []
    report = await up_once(tmp_path, said)
    assert [(one.state, one.reason) for one in report.targets] == [("at the setpoint", "AtSetpoint")]
    assert world.actual == {"a": "1"}
    told = [step for step in said if "is being carried out" in step or "being carried out, at stage" in step]
    assert [stage for stage in ("send", "settle") if any(f"at stage {stage}" in step for step in told)] == [
        "send", "settle"
    ]  # fmt: skip


async def test_a_stop_ends_it_between_two_passes_and_the_next_run_goes_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web.yaml").write_text(MANIFEST)
    assert world.stages is not None
    world.stages.wake_at, stop, said = None, asyncio.Event(), []
    monkeypatch.setattr(manager, "_FOLLOWING", 0.01)
    run = asyncio.create_task(up_once(tmp_path, said, stop))
    while not run.done() and not any("at stage send" in step for step in said):
        await asyncio.sleep(0)
    stop.set()
    report = await run
    assert [(one.state, one.reason) for one in report.targets] == [("needs attention", "Progressing")]
    world.stages.wake_at = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    report = await up_once(tmp_path, said)
    assert [(one.state, one.reason) for one in report.targets] == [("at the setpoint", "AtSetpoint")]
    assert len(world.stages.sent) == 1
