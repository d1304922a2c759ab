from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.git_repository import Repository

from setpoint.adapters.source.limits import Limits
from setpoint.adapters.source.resolver import SourceResolver


@pytest.fixture
def limits() -> Limits:
    return Limits(files=12, total_bytes=3000, file_bytes=1000, depth=4)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
async def resolver(home: Path, tmp_path: Path, limits: Limits) -> AsyncIterator[SourceResolver]:
    made = SourceResolver(home, tmp_path / "cache", limits=limits)
    yield made
    await made.close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    folder = tmp_path / "upstream"
    folder.mkdir()
    return Repository(folder)
