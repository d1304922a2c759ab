"""The benches of the state tables: a table that is about no kind of target runs over each of them."""

import pytest
from tests.fakes.beacon_bench import BeaconBench, beacons
from tests.fakes.reconciling import Bench

__all__ = ["beacons"]

BENCHES = {"environment": Bench, "beacon": BeaconBench}


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, beacons: None) -> Bench:
    del beacons
    return BENCHES[request.param]()
