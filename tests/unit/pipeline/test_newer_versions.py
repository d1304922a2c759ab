"""Data of a newer Setpoint, met by this one while an upgrade rolls out or is rolled back: kept, or left alone."""

from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.reconciling import REF, Bench
from tests.fakes.store import MemoryBlobs

from setpoint.api.conditions import Reason
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.v1alpha1.environment import EnvironmentApplied
from setpoint.domain import audit
from setpoint.domain.errors import StalledError
from setpoint.pipeline.seals import Seals

DIGEST = "sha256:" + "a" * 64
WEATHER = {"sky": "clear"}


async def plant(cluster: InMemoryCluster, obj: JsonObject, part: str, **fields: Any) -> None:
    """Stores an object with fields in its spec or status that this version does not know."""
    await cluster.plant({**obj, part: {**obj.get(part, {}), **fields}})


async def test_a_field_of_a_status_outlives_all_that_is_written_of_a_change() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    change = ObjectRef("Change", "default", (await bench.status())["change"])
    for ref in (REF, change):
        await plant(bench.cluster, await bench.cluster.get(ref), "status", weather=WEATHER)
    await bench.approve()
    assert (await bench.run()).reason == "AtSetpoint"
    for ref in (REF, change):
        assert (await bench.cluster.get(ref))["status"]["weather"] == WEATHER, ref


async def test_it_makes_no_write_by_itself() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    await bench.approve()
    await bench.run()
    await plant(bench.cluster, await bench.cluster.get(REF), "status", weather=WEATHER)
    writes = bench.cluster.writes
    await bench.run()
    assert bench.cluster.writes == writes


async def test_an_environment_that_can_not_be_read_keeps_spec_and_status() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    await plant(bench.cluster, await bench.cluster.get(REF), "spec", colour="red")
    await plant(bench.cluster, await bench.cluster.get(REF), "status", weather=WEATHER)
    before = await bench.cluster.get(REF)
    assert (await bench.run()).reason == "InvalidSpec"
    after = await bench.cluster.get(REF)
    assert after["spec"] == before["spec"]
    kept = {name: value for name, value in before["status"].items() if name != "conditions"}
    assert {name: after["status"][name] for name in kept} == kept


async def test_a_change_that_can_not_be_read_is_not_carried_out() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    await bench.approve()
    change = ObjectRef("Change", "default", (await bench.status())["change"])
    await plant(bench.cluster, await bench.cluster.get(change), "spec", canary="10%")
    report = await bench.run()
    assert isinstance(bench.error, StalledError)
    assert report.reason == Reason.INVALID_SPEC
    assert change.name in report.message
    assert not [entry for entry in bench.cluster.audit if entry.action == "apply"]


async def test_a_hold_with_more_in_it_holds() -> None:
    bench = Bench()
    await bench.declare({"a": "1"})
    await bench.run()
    await bench.approve()
    await bench.run()
    found = await bench.cluster.get(REF)
    generation = found["metadata"]["generation"]
    hold = {"reason": "VerifyHold", "since": "2026-01-01T00:00:00Z", "generation": generation, "until": "tomorrow"}
    await plant(bench.cluster, found, "status", hold=hold)
    assert (await bench.run()).reason == "Held"
    assert (await bench.status())["hold"] == hold


APPLIED = {"bundle": DIGEST, "archive": DIGEST, "variables": DIGEST, "at": "2026-01-01T00:00:00Z"}


class NewerApplied(EnvironmentApplied):
    """As a newer version has it."""

    zone: str = ""


@pytest.mark.parametrize("zone", [{}, {"zone": "here"}], ids=["empty", "set"])
@pytest.mark.parametrize(
    ("writer", "reader"),
    [(EnvironmentApplied, NewerApplied), (NewerApplied, EnvironmentApplied)],
    ids=["upgrade", "rollback"],
)
def test_each_version_accepts_the_seal_of_the_other(
    writer: type[EnvironmentApplied], reader: type[EnvironmentApplied], zone: JsonObject
) -> None:
    seals = Seals(MemoryBlobs().digest)
    written = seals.seal(writer.model_validate({**APPLIED, **zone}), REF)
    read = reader.model_validate(written.as_json())
    assert seals.verify_seal(read, REF)
    assert all(not field.get_default() for field in reader.model_fields.values() if not field.is_required())
    forged = reader.model_validate({**written.as_json(), "zone": "elsewhere"})
    assert not seals.verify_seal(forged, REF)


def row(header: bytes, prev: bytes) -> audit.Record:
    leaf = audit.leaf_hash(header)
    return audit.Record(1, "", "", "fact", header, leaf, prev, audit.chain_hash(prev, leaf))


def test_a_row_of_the_trail_with_more_in_its_header_is_intact_and_read() -> None:
    header = b'{"action":"apply","actor":"setpoint","at":"2026-01-01T00:00:00Z","phase":"fact","v":"2","zone":"here"}'
    record = row(header, audit.GENESIS)
    assert audit.verify([record], audit.Head(1, record.hash), audit.Seal(b"k" * 32)).verdict is audit.Verdict.INTACT
    assert audit.parse(record).entry.action == "apply"


def test_a_row_of_an_unknown_phase_is_not_guessed_at() -> None:
    with pytest.raises(audit.BadRowError):
        audit.parse(row(b'{"at":"2026-01-01T00:00:00Z","phase":"rehearsal"}', audit.GENESIS))
