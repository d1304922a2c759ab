"""The home that a test of the ClusterClient runs on: each of them in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.homes import HOMES, Home

from setpoint.ports import ClusterClient


@pytest.fixture(params=HOMES)
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Home]:
    async with HOMES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def client(home: Home) -> ClusterClient:
    return home.cluster
