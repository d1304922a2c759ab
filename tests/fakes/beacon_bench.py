"""Owns the bench of a Beacon, and making it one of the kinds of target for a test."""

from collections.abc import Mapping

import pytest
from tests.fakes.beacon import Beacon, BeaconDriver, text_of
from tests.fakes.reconciling import Bench

from setpoint.api import kind_conditions
from setpoint.api.meta import API_VERSION, JsonObject, ObjectRef
from setpoint.api.target import TARGET_KINDS
from setpoint.domain import kinds
from setpoint.ports import TargetDriver


@pytest.fixture
def beacons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes Beacon one of the kinds of target, for a test."""
    kind = kinds.Kind("Beacon", API_VERSION, namespaced=True, fields=frozenset({"spec"}), model=Beacon)
    monkeypatch.setitem(TARGET_KINDS, "Beacon", f"{Beacon.__module__}:Beacon")
    monkeypatch.setitem(kinds.BY_NAME, "Beacon", kind)
    conditions = kind_conditions.KIND_CONDITIONS
    monkeypatch.setitem(conditions, "Beacon", kind_conditions.target_conditions(Beacon))


class BeaconBench(Bench):
    """The bench of a Beacon."""

    ref = ObjectRef("Beacon", "default", "web")
    applied_field = "blob"

    def make_driver(self) -> TargetDriver:
        return BeaconDriver(self.world)

    def wanted(self, resources: Mapping[str, str], spec: JsonObject) -> JsonObject:
        return {"stage": "dev", "text": text_of(resources), **spec}
