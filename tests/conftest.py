"""Owns what holds for every test."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from tests.soak import examples

if TYPE_CHECKING:
    # Loaded by the fixtures: most tests need no database.
    from tests.fakes.postgres import Databases, OwnServer
    from tests.fakes.store import StorePlace


# How fast the machine is must not decide whether a test passes.
settings.register_profile(
    "setpoint", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(100)
)
settings.load_profile("setpoint")


def pytest_configure() -> None:
    """Makes the process as tests expect it.

    No event loop outside of tests: pytest-asyncio would make one, never close it, and warnings are errors. Interrupts
    are heard: whoever starts the tests in the background of a shell has them ignored, and their children would be deaf.
    """
    asyncio.set_event_loop(None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_server() -> "Iterator[OwnServer]":
    """A server that may be crashed: no test of this worker runs meanwhile. Each leaves it running."""
    from tests.fakes.postgres import OwnServer

    server = OwnServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_databases(request: pytest.FixtureRequest) -> "Iterator[Databases]":
    """Databases on the server that SETPOINT_TEST_POSTGRES_URL names, as one who may create them; else on our own."""
    from tests.fakes.postgres import Databases

    given = os.environ.get("SETPOINT_TEST_POSTGRES_URL")
    databases = Databases(given or request.getfixturevalue("postgres_server").url)
    yield databases
    databases.close()


@pytest.fixture
def postgres_url(postgres_databases: "Databases") -> Iterator[str]:
    """An empty store of this test alone."""
    with postgres_databases.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def store_place(request: pytest.FixtureRequest, tmp_path: Path) -> "StorePlace":
    """An empty store of either kind."""
    from tests.fakes.store import StorePlace

    return StorePlace(tmp_path, request.getfixturevalue("postgres_url") if request.param == "postgres" else "")
