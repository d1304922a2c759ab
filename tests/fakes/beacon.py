"""Owns Beacon: a kind of target that lives in the tests alone, to show what is about any kind and what about one."""

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from setpoint.api.meta import API_VERSION, JsonObject, KindMeta
from setpoint.api.model import Digest
from setpoint.api.target import TARGET_KINDS, AppliedStatus, Target, TargetSpec, TargetStatus
from setpoint.domain import kinds


class BeaconSpec(TargetSpec):
    """The text that is to be shown."""

    text: Annotated[str, Field(max_length=1024)] = Field(default="", description="What it shows.")


class BeaconApplied(AppliedStatus):
    """The text that was shown."""

    blob: Digest | None = Field(default=None, description="Where the text is in the store.")


class BeaconStatus(TargetStatus):
    """The beacon as last seen."""

    applied: BeaconApplied | None = None


class Beacon(Target):
    """Something that shows a text."""

    META: ClassVar[KindMeta] = KindMeta(plural="beacons", short_names=("bcn",), summary="Something that shows a text.")

    kind: Literal["Beacon"] = "Beacon"
    spec: BeaconSpec
    status: BeaconStatus = Field(default_factory=BeaconStatus)


@pytest.fixture
def beacons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes Beacon one of the kinds of target, for a test."""
    kind = kinds.Kind("Beacon", API_VERSION, namespaced=True, fields=frozenset({"spec"}), model=Beacon)
    monkeypatch.setitem(TARGET_KINDS, "Beacon", f"{__name__}:Beacon")
    monkeypatch.setitem(kinds.BY_NAME, "Beacon", kind)


def beacon(name: str = "shop-prod", *, status: JsonObject | None = None, **spec: Any) -> JsonObject:
    """A Beacon, as the API shows it."""
    metadata = {"name": name, "namespace": "default"}
    head = {"apiVersion": API_VERSION, "kind": "Beacon", "metadata": metadata}
    return {**head, "spec": {"stage": "dev", "text": "on", **spec}, **({"status": status} if status else {})}
