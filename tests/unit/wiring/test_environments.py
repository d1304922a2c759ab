"""The parts of a manager for Environments: a watchdog over runs where another may take over, and nowhere else."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from setpoint.adapters.local import LocalHome
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.settings import read_settings
from setpoint.targets.environment.terraform import WatchdogProcess
from setpoint.wiring.backends import Lead
from setpoint.wiring.environments import Environments
from setpoint.wiring.local import open_local
from setpoint.wiring.services import Services, open_services


@contextlib.asynccontextmanager
async def opened(root: Path, lead: Lead | None) -> AsyncIterator[Services]:
    async with (
        open_local(LocalHome.create(root)) as backends,
        open_services(
            dataclasses.replace(backends, lead=lead), read_settings({}), Metrics(), SecretFilter()
        ) as services,
    ):
        yield services


async def test_runs_are_watched_where_another_manager_may_take_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[WatchdogProcess] = []
    beat = WatchdogProcess.beat

    def heard(self: WatchdogProcess) -> None:
        beats.append(self)
        beat(self)

    monkeypatch.setattr(WatchdogProcess, "beat", heard)
    async with opened(tmp_path, Lead(silence=60.0, patience=20.0)) as services:
        (target,) = services.targets.values()
        assert isinstance(target, Environments)
        watchdog = target.watchdog
        assert watchdog is not None
        assert watchdog.patience == 20.0
        assert watchdog._process.poll() is None
        services.on_renew()
        assert beats == [watchdog]
    assert watchdog._process.poll() == 0


async def test_a_home_of_its_own_has_no_watchdog(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as services:
        (target,) = services.targets.values()
        assert isinstance(target, Environments)
        assert target.watchdog is None
        services.on_renew()
