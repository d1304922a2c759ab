import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.fakes.home import FakeHome, FakeWiring, Run

from setpoint.cli.context import Invocation
from setpoint.cli.main import cli

# Until a loop is set once, policies make one on demand for synchronous tests, which nobody closes.
asyncio.set_event_loop(None)


@pytest.fixture
def home(tmp_path: Path) -> FakeHome:
    (tmp_path / ".setpoint").mkdir()
    return FakeHome(tmp_path)


@pytest.fixture
def wiring(home: FakeHome) -> FakeWiring:
    return FakeWiring(home)


@pytest.fixture
def run(home: FakeHome, wiring: FakeWiring, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in the home's folder."""
    monkeypatch.delenv("SETPOINT_HOME", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(home.root)

    def invoke(*args: str, **options: Any) -> Result:
        return CliRunner().invoke(cli, args, obj=Invocation(wiring=lambda: wiring), prog_name="setpoint", **options)

    return invoke
