"""Owns what the tests of reconcilers share: a cluster in memory, and its clock."""

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example
from tests.fakes.reconciling import FakeClock

from setpoint.api.v1alpha1.environment import Environment


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
