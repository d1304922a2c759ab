"""Owns what unit tests share: a cluster in memory with its clock, and an event loop a module where that saves time."""

from pathlib import Path

import pytest
import pytest_asyncio
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example
from tests.fakes.reconciling import FakeClock

from setpoint.api.v1alpha1.environment import Environment

_ONE_LOOP = tuple(Path(__file__).parent / name for name in ("adapters/policy", "policies"))
"""Folders whose tests share an engine, in a loop of their module: a worker takes longer to start than most of them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has the tests of these folders run in the loop of their module."""
    for item in items:
        if pytest_asyncio.is_async_test(item) and any(item.path.is_relative_to(folder) for folder in _ONE_LOOP):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cluster(clock: FakeClock) -> InMemoryCluster:
    return InMemoryCluster(now=clock.now)


@pytest.fixture
def environment() -> Environment:
    """The example of the reference pages."""
    return Environment.model_validate(example("Environment"))
