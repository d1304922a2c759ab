"""The targets woken by what moved, and that our own writing wakes nobody."""

from typing import Any

import pytest
from tests.fakes.beacon import BeaconSpec, beacon
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import condition, example

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.sharding import divide
from setpoint.pipeline.routing import EVERY_KIND, WATCHED, Referrers, Router, open_resets
from setpoint.ports import WatchEvent

SHOP = ObjectRef("Environment", "default", "shop-prod")
IDLE = ObjectRef("Environment", "default", "idle")
GATES = ObjectRef("EnforcementGates", "", "production")
SET = ObjectRef("PolicySet", "", "baseline")


@pytest.fixture
async def router(cluster: InMemoryCluster) -> Router:
    """Over a target that waits with a Change, one that does not, and gates."""
    await cluster.add(example("Environment", status={"change": "shop-prod-a1b2c3d4e506060606060606060606060606"}))
    await cluster.add(example("Environment", name="idle"))
    await cluster.add(example("Change"))
    await cluster.add(example("EnforcementGates"))
    return Router(cluster)


async def woken(router: Router, obj: JsonObject, type_: str = "MODIFIED") -> list[ObjectRef]:
    return [request.ref for request in await router.route(WatchEvent(type_, obj))]


@pytest.mark.parametrize("type_", ["ADDED", "MODIFIED", "DELETED"])
@pytest.mark.parametrize(
    ("obj", "refs"),
    [
        pytest.param(example("Environment"), [SHOP], id="a target wakes itself"),
        pytest.param(example("Approval"), [SHOP], id="an approval wakes the target of its change"),
        pytest.param(example("Approval", changeRef={"name": "gone"}), [], id="an approval of nothing"),
        pytest.param(example("Approval", namespace="other"), [], id="an approval of another namespace"),
        pytest.param(example("Reset"), [SHOP], id="a reset wakes its target"),
        pytest.param(example("PolicySet"), [SET, GATES, SHOP], id="a policy set wakes gates and who waits"),
        pytest.param(example("EnforcementGates"), [GATES, SHOP], id="gates wake who waits"),
    ],
)
async def test_who_is_woken(router: Router, obj: JsonObject, refs: list[ObjectRef], type_: str) -> None:
    assert await woken(router, obj, type_) == refs


def moved(kind: str = "Environment", **changes: Any) -> JsonObject:
    """The example with parts of its metadata replaced, or its status."""
    obj = example(kind)
    obj["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": "1"}
    if "status" in changes:
        obj["status"] = changes.pop("status")
    obj["metadata"] |= changes
    return obj


@pytest.mark.parametrize(
    ("before", "after", "wakes"),
    [
        pytest.param(moved(), moved(), False, id="nothing"),
        pytest.param(moved(), moved(status={"attempts": 1}, resourceVersion="2"), False, id="our status"),
        pytest.param(moved(), moved(finalizers=["setpoint.dev/finalizer"]), False, id="our finalizer"),
        pytest.param(moved(), moved(labels={"team": "shop"}), False, id="labels"),
        pytest.param(moved(), moved(generation=2), True, id="spec"),
        pytest.param(moved(), moved(deletionTimestamp="2026-01-01T00:00:00Z"), True, id="deletion"),
        pytest.param(moved(), moved(annotations={"setpoint.dev/suspend": "ada"}), True, id="annotation"),
        pytest.param(
            moved(annotations={"a": "1", "b": "2"}), moved(annotations={"b": "2", "a": "1"}), False, id="their order"
        ),
        pytest.param(moved(), moved(uid="another"), True, id="another object of the name"),
        pytest.param(moved("PolicySet"), moved("PolicySet", status={"digest": "d"}), True, id="a set's content"),
        pytest.param(moved("PolicySet"), moved("PolicySet", status={"rules": []}), False, id="a set's index"),
    ],
)
async def test_what_of_a_move_matters(router: Router, before: JsonObject, after: JsonObject, wakes: bool) -> None:
    assert await woken(router, before)
    assert bool(await woken(router, after)) is wakes
    assert not await woken(router, after)


async def test_one_that_comes_back_is_new(router: Router) -> None:
    assert await woken(router, moved())
    assert await woken(router, moved(), "DELETED")
    assert await woken(router, moved(), "ADDED")


def test_what_is_watched_is_a_part_of_all_that_is_kept() -> None:
    assert set(WATCHED) < set(EVERY_KIND)


# --- Secrets ------------------------------------------------------------------------------------------------------


def refer(name: str) -> JsonObject:
    return {"secretRef": {"name": name}}


def reading(name: str = "reader", **spec: Any) -> JsonObject:
    return example("Environment", name=name, **{"credentials": {}, **spec})


@pytest.mark.parametrize(
    ("spec", "reads"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"variablesFrom": [refer("other"), refer("s")]}, True, id="variables"),
        pytest.param({"credentials": {"plan": [refer("s")]}}, True, id="credentials of plans"),
        pytest.param({"credentials": {"apply": [refer("s")]}}, True, id="credentials of applies"),
        pytest.param({"source": {"git": {"url": "u", **refer("s")}}}, True, id="git"),
        pytest.param({"source": {"git": {"url": "u", "credentials": [{"host": "h", **refer("s")}]}}}, True, id="host"),
        pytest.param({"source": {"git": {"url": "u"}}}, False, id="git without"),
        pytest.param({"outputsTo": refer("s")}, False, id="one that it writes"),
        pytest.param({"variablesFrom": [refer("other")]}, False, id="another"),
    ],
)
def test_who_reads_a_secret(spec: JsonObject, reads: bool) -> None:
    referrers = Referrers()
    environment = reading(**spec)
    referrers.notice(environment)
    found = [request.ref for request in referrers.of([ObjectRef("Secret", "default", "s")])]
    assert found == [ObjectRef.of(environment)] * reads
    assert referrers.of([ObjectRef("Secret", "other", "s")]) == []


@pytest.mark.usefixtures("beacons")
def test_each_kind_says_which_secrets_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BeaconSpec, "secret_names", property(lambda spec: frozenset([spec.text])))
    referrers, listed = Referrers(), beacon(text="s")
    referrers.notice(listed)
    referrers.notice(beacon("other", text="t"))
    assert [request.ref for request in referrers.of([ObjectRef("Secret", "default", "s")])] == [ObjectRef.of(listed)]


@pytest.mark.parametrize("ends", ["by its spec", "by its end"])
def test_who_reads_no_more(ends: str) -> None:
    referrers = Referrers()
    referrers.notice(reading(variablesFrom=[refer("s")]))
    if ends == "by its spec":
        referrers.notice(reading())
    else:
        referrers.forget(ObjectRef.of(reading()))
        referrers.forget(ObjectRef.of(reading()))
    assert referrers.of([ObjectRef("Secret", "default", "s")]) == []


def test_one_that_reads_two_that_moved_is_woken_once() -> None:
    referrers = Referrers()
    referrers.notice(reading(variablesFrom=[refer("s"), refer("t")]))
    referrers.notice(reading("second", variablesFrom=[refer("t")]))
    secrets = [ObjectRef("Secret", "default", name) for name in "st"]
    assert sorted(request.ref.name for request in referrers.of(secrets)) == ["reader", "second"]


async def test_what_was_seen_in_a_list_wakes_nobody_until_it_moves(router: Router) -> None:
    listed = example("Environment")
    router.notice(listed)
    assert await woken(router, listed, "ADDED") == []
    moved = {**listed, "metadata": {**listed["metadata"], "generation": 99}}
    assert await woken(router, moved) == [SHOP]


def secret(name: str, version: str, namespace: str = "default") -> JsonObject:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": version}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


def test_the_versions_of_the_secrets_that_one_reads() -> None:
    referrers, reader, other = Referrers(), ObjectRef.of(reading()), ObjectRef.of(reading("other"))
    referrers.notice(reading(variablesFrom=[refer("s"), refer("absent")]))
    assert referrers.versions_of(reader) is None
    assert referrers.versions_of(other) == {}
    referrers.know([secret("s", "1"), secret("t", "2"), secret("s", "3", "elsewhere")])
    assert referrers.versions_of(reader) == {"s": "1", "absent": ""}
    assert [request.ref for request in referrers.see(WatchEvent("MODIFIED", secret("s", "9")))] == [reader]
    assert referrers.versions_of(reader) == {"s": "9", "absent": ""}
    referrers.see(WatchEvent("DELETED", secret("s", "10")))
    assert referrers.versions_of(reader) == {"s": "", "absent": ""}
    referrers.know([])
    assert referrers.versions_of(other) == {}


@pytest.mark.parametrize(
    ("now", "woken"),
    [
        pytest.param([("s", "1")], False, id="as it was"),
        pytest.param([("s", "2")], True, id="moved"),
        pytest.param([], True, id="gone"),
        pytest.param([("s", "1"), ("t", "1")], False, id="another"),
        pytest.param([("s", "1"), ("absent", "1")], True, id="made"),
    ],
)
def test_a_secret_that_moved_while_nobody_watched(now: list[tuple[str, str]], woken: bool) -> None:
    referrers = Referrers()
    referrers.notice(reading(variablesFrom=[refer("s"), refer("absent")]))
    assert referrers.know([secret("s", "1")]) == []
    assert [request.ref for request in referrers.know([secret(*one) for one in now])] == [
        ObjectRef.of(reading())
    ] * woken


@pytest.mark.parametrize(
    ("conditions", "open_"),
    [
        pytest.param(None, True, id="new"),
        pytest.param([], True, id="without a word"),
        pytest.param([condition("Complete", "Unknown", "Progressing")], True, id="under way"),
        pytest.param([condition("Complete", "True", "ResetComplete")], False, id="complete"),
        pytest.param([condition("Complete", "False", "SnapshotNotFound")], False, id="refused"),
    ],
)
def test_who_is_to_be_reset(conditions: list[JsonObject] | None, open_: bool) -> None:
    reset = example("Reset", **({} if conditions is None else {"status": {"conditions": conditions}}))
    assert [request.ref for request in open_resets([reset])] == [SHOP] * open_


EVERYTHING = divide(1)[0]


@pytest.mark.parametrize("listed_first", [True, False])
async def test_what_is_about_to_be_listed_wakes_nobody_by_being_there(router: Router, listed_first: bool) -> None:
    there = moved(status={"observedGeneration": 1})
    router.expect(EVERYTHING)
    if listed_first:
        router.notice(there)
    assert await woken(router, there, "ADDED") == []
    router.notice(there)
    assert router.found_all(EVERYTHING) == []
    assert await woken(router, there) == []


@pytest.mark.parametrize("listed_first", [True, False])
async def test_what_moves_while_all_is_listed_is_not_lost(router: Router, listed_first: bool) -> None:
    there, edited = (moved(status={"observedGeneration": 1}, generation=generation) for generation in (1, 2))
    router.expect(EVERYTHING)
    if listed_first:
        router.notice(there)
        assert await woken(router, edited) == [SHOP]
        assert router.found_all(EVERYTHING) == []
    else:
        assert await woken(router, edited) == []
        router.notice(there)
        assert [request.ref for request in router.found_all(EVERYTHING)] == [SHOP]
    assert await woken(router, edited) == []


async def test_who_is_new_waits_for_no_list(router: Router) -> None:
    router.expect(EVERYTHING)
    assert await woken(router, moved(), "ADDED") == [SHOP]


@pytest.mark.parametrize("ends", ["by a deletion", "with the term", "as another's"])
async def test_what_was_told_early_and_ends_wakes_nobody_later(router: Router, ends: str) -> None:
    there = moved(status={"observedGeneration": 1})
    router.expect(EVERYTHING)
    assert await woken(router, there) == []
    if ends == "by a deletion":
        assert await woken(router, there, "DELETED") == [SHOP]
    elif ends == "with the term":
        router.leave(EVERYTHING)
        assert await woken(router, there) == [SHOP]
    else:
        halves = divide(2)
        mine, other = sorted(halves, key=lambda half: SHOP.key not in half)
        assert router.found_all(other) == []
        assert [request.ref for request in router.found_all(mine)] == [SHOP]
    assert router.found_all(EVERYTHING) == []
