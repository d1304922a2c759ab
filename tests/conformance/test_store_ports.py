"""Rules for every AuditLog, BlobStore, StateStore, StateLocks and ObjectStore: the real ones and the in-memory ones."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.fakes.store import Stores, memory_stores, open_sql_stores, state_file

from setpoint.adapters.store.state_versions import StateLock
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    FencedError,
    GoneError,
    InvalidError,
    NotFoundError,
)
from setpoint.domain.freshness import LastObservation
from setpoint.ports import Fence, StoredObject
from setpoint.runtime.fencing import fenced

REF = ObjectRef("Environment", "default", "shop")
OTHER = ObjectRef("Environment", "default", "bank")
FACT = AuditEntry("Noted", Phase.FACT, "user:me", REF)
OBSERVED = LastObservation("sha256:01", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


@pytest.fixture(params=["sqlite", "postgres", "memory"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "memory":
            yield memory_stores()
        else:
            url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
            yield await stack.enter_async_context(open_sql_stores(tmp_path, url))


def row(ref: ObjectRef = REF, body: str = "{}", **fields: object) -> StoredObject:
    return dataclasses.replace(StoredObject(ref, "uid-1", 1, body), **fields)


class TestAuditLog:
    async def test_rows_come_back_as_they_were_recorded(self, stores: Stores) -> None:
        entry = AuditEntry(
            "Apply", Phase.INTENT, "user:me", REF, "run-1", "ok", {"bundle": "sha256:00"}, {"text": "grüße \u2028\x01"}
        )
        assert await stores.trail.append(entry, FACT) == (1, 2)
        first, second = await stores.trail.rows()
        assert (first.seq, first.entry, first.prev) == (1, entry, bytes(32))
        assert (second.seq, second.entry, second.prev) == (2, FACT, first.hash)
        assert first.at == "2026-01-01T00:00:00.000000Z"

    async def test_no_entry_is_no_row(self, stores: Stores) -> None:
        assert await stores.trail.append() == ()
        assert await stores.trail.rows() == ()

    async def test_rows_are_selected(self, stores: Stores) -> None:
        other = dataclasses.replace(FACT, target=OTHER)
        await stores.trail.append(FACT, other, FACT, dataclasses.replace(FACT, target=None))
        assert [r.seq for r in await stores.trail.rows(after=1, limit=2)] == [2, 3]
        assert [r.seq for r in await stores.trail.rows(target=OTHER)] == [2]

    async def test_an_entry_that_is_no_json_records_nothing(self, stores: Stores) -> None:
        with pytest.raises((TypeError, ValueError)):
            await stores.trail.append(FACT, dataclasses.replace(FACT, payload={"x": float("nan")}))
        assert await stores.trail.rows() == ()

    async def test_open_intents_are_those_whose_run_has_no_outcome(self, stores: Stores) -> None:
        def entry(phase: Phase, run: str) -> AuditEntry:
            return AuditEntry("Apply", phase, "system", REF, run)

        await stores.trail.append(
            entry(Phase.INTENT, "a"), entry(Phase.INTENT, "b"), entry(Phase.FACT, "b"), entry(Phase.OUTCOME, "a")
        )
        assert [r.entry.run for r in await stores.trail.open_intents()] == ["b"]
        await stores.trail.append(entry(Phase.OUTCOME, "b"))
        assert await stores.trail.open_intents() == ()

    async def test_applies_that_were_begun_are_counted_by_target_and_subject(self, stores: Stores) -> None:
        def begun(subject: str, ref: ObjectRef = REF, phase: Phase = Phase.INTENT, action: str = "apply") -> AuditEntry:
            return AuditEntry(
                action, phase, "setpoint", ref, "run", digests={"content": "sha256:0a", "subject": subject}
            )

        await stores.trail.append(
            begun("sha256:01"), begun("sha256:02"), begun("sha256:01"), begun("sha256:011"), begun("sha256:03", OTHER),
            begun("sha256:04", phase=Phase.OUTCOME), begun("sha256:05", action="verify"),
            AuditEntry("apply", Phase.INTENT, "setpoint", REF, "run", digests={"content": "sha256:06"}),
            begun('sha256:"\\ü'), FACT,
        )  # fmt: skip
        count = stores.trail.applies_begun
        subjects = ("01", "02", "011", "1", "03", "04", "05", "06", "0a", '"\\ü')
        found = {subject: await count(REF, f"sha256:{subject}") for subject in subjects}
        assert {subject: number for subject, number in found.items() if number} == {
            "01": 2, "02": 1, "011": 1, '"\\ü': 1
        }  # fmt: skip
        assert (await count(REF), await count(OTHER), await count(OTHER, "sha256:03")) == (6, 1, 1)
        assert await count(dataclasses.replace(REF, name="none")) == 0

    async def test_the_rows_of_the_apply_that_was_begun_last_are_found(self, stores: Stores) -> None:
        def row(run: str, phase: Phase = Phase.INTENT, action: str = "apply", ref: ObjectRef = REF) -> AuditEntry:
            return AuditEntry(action, phase, "setpoint", ref, run, digests={"subject": "sha256:01"})

        assert await stores.trail.last_apply(REF) == ()
        await stores.trail.append(
            row("one"), row("one", Phase.OUTCOME), row("two"), row("two", action="apply.stage"), FACT,
            row("other", ref=OTHER), row("shown", action="propose"), row("two", Phase.OUTCOME),
            row("two", Phase.FACT, "apply.verify"), row("two", Phase.FACT, "apply.verify", OTHER),
        )  # fmt: skip
        found = [(one.entry.action, one.entry.phase.value) for one in await stores.trail.last_apply(REF)]
        assert found == [
            ("apply", "intent"), ("apply.stage", "intent"), ("apply", "outcome"), ("apply.verify", "fact")
        ]  # fmt: skip
        assert [one.entry.run for one in await stores.trail.last_apply(OTHER)] == ["other"]
        assert await stores.trail.last_apply(dataclasses.replace(REF, name="none")) == ()

    async def test_many_at_once_stay_one_chain(self, stores: Stores) -> None:
        seqs = await asyncio.gather(*(stores.trail.append(FACT, FACT) for _ in range(50)))
        assert sorted(itertools.chain.from_iterable(seqs)) == list(range(1, 101))
        assert all(second == first + 1 for first, second in seqs)


class TestBlobStore:
    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 9000], ids=["empty", "byte", "frames"])
    async def test_bytes_come_back(self, stores: Stores, data: bytes) -> None:
        digest = await stores.blobs.put(data)
        assert digest == stores.blobs.digest(data) == await stores.blobs.put(data)
        assert await stores.blobs.get(digest) == data

    @pytest.mark.parametrize(
        "digest", ["sha256:" + "0" * 64, "sha256:../../etc/passwd", ""], ids=["other", "path", "no"]
    )
    async def test_what_was_not_put_is_not_found(self, stores: Stores, digest: str) -> None:
        with pytest.raises(NotFoundError):
            await stores.blobs.get(digest)

    async def test_young_blobs_are_not_pruned(self, stores: Stores) -> None:
        digest = await stores.blobs.put(b"young")

        async def nothing() -> frozenset[str]:
            return frozenset()

        assert await stores.blobs.prune(nothing) == 0
        assert await stores.blobs.get(digest) == b"young"

    async def test_only_what_is_there_is_renewed(self, stores: Stores) -> None:
        await stores.blobs.renew(await stores.blobs.put(b"there"))
        with pytest.raises(NotFoundError):
            await stores.blobs.renew("sha256:" + "0" * 64)


class TestStateStore:
    async def test_nothing_yet(self, stores: Stores) -> None:
        assert await stores.states.head(REF.key) is None
        with pytest.raises(NotFoundError):
            await stores.states.read(REF.key)

    async def test_versions_are_counted_and_kept(self, stores: Stores) -> None:
        first = await stores.states.append(REF.key, state_file(7), run="r")
        second = await stores.states.append(REF.key, state_file(9, resources=3), run="r")
        assert (first.version, first.serial, first.lineage, first.resources) == (1, 7, "lineage-1", 1)
        assert (second.version, second.resources, second.terraform_version) == (2, 3, "1.11.4")
        assert second.size == len(state_file(9, resources=3))
        assert await stores.states.head(REF.key) == second
        third = await stores.states.append(REF.key, state_file(10), run="other")
        assert await stores.states.head(REF.key, run="r") == second
        assert await stores.states.head(REF.key, run="other") == await stores.states.head(REF.key) == third
        assert await stores.states.head(REF.key, run="none") is None
        assert await stores.states.read(REF.key, 2) == state_file(9, resources=3)
        assert await stores.states.read(REF.key, 1) == state_file(7)
        with pytest.raises(NotFoundError):
            await stores.states.read(REF.key, 4)

    async def test_the_heads_bytes_again_add_nothing(self, stores: Stores) -> None:
        first = await stores.states.append(REF.key, state_file(1), run="r", audit=[FACT])
        assert await stores.states.append(REF.key, state_file(1), run="r", audit=[FACT]) == first
        assert len(await stores.trail.rows()) == 1

    @pytest.mark.parametrize(
        "data",
        [state_file(6, lineage="other"), state_file(4), state_file(5, resources=2)],
        ids=["lineage", "lower serial", "same serial"],
    )
    async def test_a_state_that_may_not_follow_is_refused(self, stores: Stores, data: bytes) -> None:
        head = await stores.states.append(REF.key, state_file(5), run="r")
        with pytest.raises(ConflictError):
            await stores.states.append(REF.key, data, run="r", audit=[FACT])
        assert await stores.states.head(REF.key) == head
        assert await stores.trail.rows() == ()

    async def test_no_state_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidError):
            await stores.states.append(REF.key, b"{}", run="r")

    async def test_a_lock_that_is_named_must_be_held_by_the_run(self, stores: Stores) -> None:
        with pytest.raises(ConflictError):
            await stores.states.append(REF.key, state_file(1), run="r", lock="l")
        await stores.locks.acquire(StateLock(REF.key, "l", "r", "{}"))
        for lock, run in (("l", "other"), ("other", "r")):
            with pytest.raises(ConflictError):
                await stores.states.append(REF.key, state_file(1), run=run, lock=lock)
        assert (await stores.states.append(REF.key, state_file(1), run="r", lock="l")).version == 1

    async def test_targets_stand_apart_and_their_blobs_are_known(self, stores: Stores) -> None:
        await stores.states.append(REF.key, state_file(1), run="r")
        await stores.states.append(OTHER.key, state_file(5, lineage="other"), run="r")
        expected = {stores.blobs.digest(state_file(1)), stores.blobs.digest(state_file(5, lineage="other"))}
        assert await stores.states.blobs() == expected


class TestStateLocks:
    async def test_one_lock_at_a_time(self, stores: Stores) -> None:
        mine, theirs = StateLock("t", "1", "a", '{"ID":"1"}'), StateLock("t", "2", "b", "{}")
        assert await stores.locks.acquire(mine) == mine
        assert await stores.locks.acquire(theirs) == mine
        assert await stores.locks.acquire(mine) == mine
        assert await stores.locks.release("t", id="1", run="b") == mine
        assert await stores.locks.release("t", id="2", run="a") == mine
        assert await stores.locks.release("t", id="1", run="a") is None
        assert await stores.locks.release("t", id="1", run="a") is None
        assert await stores.locks.acquire(theirs) == theirs

    async def test_locks_end_with_their_run(self, stores: Stores) -> None:
        for target, run in (("t2", "a"), ("t1", "a"), ("t3", "b")):
            await stores.locks.acquire(StateLock(target, "1", run, "{}"))
        assert [lock.target for lock in await stores.locks.held()] == ["t1", "t2", "t3"]
        assert await stores.locks.release_run("a") == 2
        assert [lock.target for lock in await stores.locks.held()] == ["t3"]


class TestObjectStore:
    async def test_create_read_change(self, stores: Stores) -> None:
        assert await stores.objects.put(row(source="env.yaml"), expected_version=None) == 1
        assert await stores.objects.get(REF) == row(source="env.yaml", version=1)
        assert await stores.objects.put(row(body='{"a":1}', generation=2), expected_version=1) == 2
        assert await stores.objects.get(REF) == row(body='{"a":1}', generation=2, version=2)
        assert await stores.objects.version() == 2

    async def test_errors(self, stores: Stores) -> None:
        with pytest.raises(NotFoundError):
            await stores.objects.get(REF)
        with pytest.raises(NotFoundError):
            await stores.objects.put(row(), expected_version=1)
        with pytest.raises(NotFoundError):
            await stores.objects.remove(REF)
        await stores.objects.put(row(), expected_version=None)
        with pytest.raises(AlreadyExistsError):
            await stores.objects.put(row(), expected_version=None, audit=[FACT])
        with pytest.raises(ConflictError):
            await stores.objects.put(row(body="[]"), expected_version=2, audit=[FACT])
        with pytest.raises(ConflictError):
            await stores.objects.remove(REF, expected_version=2, audit=[FACT])
        assert await stores.objects.version() == 1
        assert await stores.trail.rows() == ()

    async def test_of_many_that_expect_the_same_version_one_wins(self, stores: Stores) -> None:
        await stores.objects.put(row(), expected_version=None)
        puts = [stores.objects.put(row(body=f"[{n}]"), expected_version=1, audit=[FACT]) for n in range(10)]
        results = await asyncio.gather(*puts, return_exceptions=True)
        assert [r for r in results if not isinstance(r, ConflictError)] == [2]
        assert len(await stores.trail.rows()) == 1

    async def test_audit_is_written_with_the_object_and_without_a_change_too(self, stores: Stores) -> None:
        await stores.objects.put(row(), expected_version=None, audit=[FACT])
        assert await stores.objects.put(row(), expected_version=1, audit=[FACT]) == 1
        await stores.objects.remove(REF, audit=[FACT])
        assert [r.seq for r in await stores.trail.rows()] == [1, 2, 3]

    async def test_list_is_in_order_of_the_key_and_says_its_version(self, stores: Stores) -> None:
        refs = [ObjectRef("A", "y", "b"), ObjectRef("A", "x", "c"), ObjectRef("A", "x", "a"), ObjectRef("B", "x", "a")]
        for ref in refs:
            await stores.objects.put(row(ref), expected_version=None)
        await stores.objects.remove(refs[1])
        found = await stores.objects.list("A")
        assert ([item.ref for item in found.items], found.version) == ([refs[2], refs[0]], 5)
        assert [item.ref for item in (await stores.objects.list("A", "y")).items] == [refs[0]]

    async def test_changes_come_in_order_with_tombstones(self, stores: Stores) -> None:
        third = ObjectRef("Change", "default", "x")
        await stores.objects.put(row(), expected_version=None)
        await stores.objects.put(row(OTHER), expected_version=None)
        await stores.objects.put(row(third), expected_version=None)
        await stores.objects.put(row(body="[]"), expected_version=1)
        await stores.objects.remove(OTHER)
        found = await stores.objects.changes(0, ["Environment"])
        assert [(i.ref, i.version, i.deleted, i.body) for i in found.items] == [
            (REF, 4, False, "[]"),
            (OTHER, 5, True, "{}"),
        ]
        assert found.version == 5
        assert (await stores.objects.changes(0, ["Environment", "Change"], limit=1)).version == 3
        assert (await stores.objects.changes(5, ["Environment"])).items == ()
        assert (await stores.objects.changes(3, [])).items == ()

    async def test_a_removed_object_can_be_made_again(self, stores: Stores) -> None:
        await stores.objects.put(row(), expected_version=None)
        await stores.objects.remove(REF, expected_version=1)
        assert await stores.objects.put(row(uid="uid-2"), expected_version=None) == 3
        assert (await stores.objects.get(REF)).uid == "uid-2"
        assert [i.deleted for i in (await stores.objects.changes(0, ["Environment"])).items] == [False]

    async def test_a_version_ahead_of_the_store_is_gone(self, stores: Stores) -> None:
        with pytest.raises(GoneError):
            await stores.objects.changes(1, ["Environment"])

    async def test_every_commit_moves_the_data_version(self, stores: Stores) -> None:
        seen = [await stores.objects.data_version()]
        await stores.objects.put(row(), expected_version=None)
        seen.append(await stores.objects.data_version())
        await stores.trail.append(FACT)
        seen.append(await stores.objects.data_version())
        assert len(set(seen)) == 3
        assert await stores.objects.data_version() == seen[-1]


LOCK = StateLock(REF.key, "lock-2", "run-2", "{}")
WRITES: dict[str, Callable[[Stores], Awaitable[object]]] = {
    "an audit row": lambda stores: stores.trail.append(FACT),
    "a state": lambda stores: stores.states.append(OTHER.key, state_file(9), run="r", audit=[FACT]),
    "a state under a lock": lambda stores: stores.states.append(REF.key, state_file(9), run="run-1", lock="lock-1"),
    "a lock": lambda stores: stores.locks.acquire(dataclasses.replace(LOCK, target=OTHER.key)),
    "a lock's release": lambda stores: stores.locks.release(REF.key, id="lock-1", run="run-1"),
    "the end of a run": lambda stores: stores.locks.release_run("run-1"),
    "a new object": lambda stores: stores.objects.put(row(OTHER), expected_version=None, audit=[FACT]),
    "an object": lambda stores: stores.objects.put(row(body="[]"), expected_version=1, audit=[FACT]),
    "an observation": lambda stores: stores.observations.record(
        REF.key, dataclasses.replace(OBSERVED, inputs="sha256:02")
    ),
    "an observation's end": lambda stores: stores.observations.forget(REF.key),
    "an object's removal": lambda stores: stores.objects.remove(REF, audit=[FACT]),
}


async def everything(stores: Stores) -> tuple[object, ...]:
    """Everything there is to be seen in the stores."""
    states = [await stores.states.head(ref.key) for ref in (REF, OTHER)]
    objects, observed = await stores.objects.list(REF.kind), await stores.observations.of([REF.key])
    return (
        await stores.trail.rows(),
        states,
        await stores.states.blobs(),
        await stores.locks.held(),
        objects,
        observed,
    )


class TestLooks:
    async def test_the_last_one_is_kept_to_the_second(self, stores: Stores) -> None:
        await stores.observations.record(REF.key, OBSERVED)
        later = LastObservation("sha256:02", OBSERVED.at + dt.timedelta(seconds=1.7))
        await stores.observations.record(REF.key, later)
        await stores.observations.record(OTHER.key, OBSERVED)
        known = await stores.observations.of([REF.key, "Environment/default/nobody", OTHER.key])
        assert known == {
            REF.key: LastObservation("sha256:02", OBSERVED.at + dt.timedelta(seconds=1)),
            OTHER.key: OBSERVED,
        }

    async def test_those_alone_that_are_asked_for(self, stores: Stores) -> None:
        await stores.observations.record(REF.key, OBSERVED)
        assert await stores.observations.of([]) == {}
        assert await stores.observations.of([OTHER.key]) == {}

    async def test_a_target_that_is_gone_has_none(self, stores: Stores) -> None:
        await stores.observations.record(REF.key, OBSERVED)
        for _ in range(2):
            await stores.observations.forget(REF.key)
        assert await stores.observations.of([REF.key]) == {}

    async def test_a_page_of_them(self, stores: Stores) -> None:
        targets = [f"Environment/default/shop-{number}" for number in range(500)]
        await asyncio.gather(*(stores.observations.record(target, OBSERVED) for target in targets))
        assert len(await stores.observations.of(targets)) == 500


class TestFences:
    @pytest.fixture(autouse=True)
    async def _something_is_there(self, stores: Stores) -> None:
        await stores.locks.acquire(StateLock(REF.key, "lock-1", "run-1", "{}"))
        await stores.states.append(REF.key, state_file(1), run="run-1", lock="lock-1", audit=[FACT])
        await stores.objects.put(row(), expected_version=None, audit=[FACT])
        await stores.observations.record(REF.key, OBSERVED)

    async def test_each_shard_counts_its_terms(self, stores: Stores) -> None:
        assert [await stores.fences.acquire(shard) for shard in ("", "", "1", "")] == [1, 2, 1, 3]

    async def test_terms_that_are_asked_for_at_once_are_different(self, stores: Stores) -> None:
        epochs = await asyncio.gather(*(stores.fences.acquire("0") for _ in range(5)))
        assert sorted(epochs) == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
    async def test_a_term_that_is_over_writes_nothing(
        self, stores: Stores, write: Callable[[Stores], Awaitable[object]]
    ) -> None:
        old = Fence("0", await stores.fences.acquire("0"))
        new = Fence("0", await stores.fences.acquire("0"))
        before = await everything(stores)
        with fenced(old), pytest.raises(FencedError, match=r"term 1 .*is over"):
            await write(stores)
        assert await everything(stores) == before
        with fenced(new):
            await write(stores)
        assert await everything(stores) != before

    @pytest.mark.parametrize(
        "fence", [Fence("0", 2), Fence("1", 1)], ids=["a term that has not begun", "a shard that has none"]
    )
    async def test_a_term_that_never_was_writes_nothing(self, stores: Stores, fence: Fence) -> None:
        """As after a rollback of the store to an earlier day."""
        await stores.fences.acquire("0")
        with fenced(fence), pytest.raises(FencedError):
            await stores.trail.append(FACT)

    async def test_other_shards_and_those_without_a_term_go_on(self, stores: Stores) -> None:
        other = Fence("1", await stores.fences.acquire("1"))
        await stores.fences.acquire("0")
        await stores.fences.acquire("0")
        with fenced(other):
            assert await stores.trail.append(FACT) == (3,)
        assert await stores.trail.append(FACT) == (4,)

    async def test_of_writes_at_once_those_of_a_term_that_is_over_fail_alone(self, stores: Stores) -> None:
        old = Fence("0", await stores.fences.acquire("0"))
        new = Fence("0", await stores.fences.acquire("0"))

        async def append(fence: Fence | None) -> object:
            with fenced(fence):
                return await stores.trail.append(FACT)

        results = await asyncio.gather(*map(append, (new, old, None, old, old, new)), return_exceptions=True)
        assert [type(result) for result in results] == [tuple, FencedError, tuple, FencedError, FencedError, tuple]
        assert [result for result in results if isinstance(result, tuple)] == [(3,), (4,), (5,)]

    async def test_tasks_write_for_the_term_in_which_they_were_started(self, stores: Stores) -> None:
        with fenced(Fence("0", await stores.fences.acquire("0"))):
            begin = asyncio.Event()

            async def work() -> object:
                await begin.wait()
                return await stores.trail.append(FACT)

            task = asyncio.create_task(work())
        await stores.fences.acquire("0")
        begin.set()
        with pytest.raises(FencedError):
            await task

    async def test_a_term_begins_whatever_the_task_worked_for(self, stores: Stores) -> None:
        with fenced(Fence("0", await stores.fences.acquire("0"))):
            assert [await stores.fences.acquire("0") for _ in range(2)] == [2, 3]

    async def test_who_is_over_may_still_read(self, stores: Stores) -> None:
        with fenced(Fence("0", await stores.fences.acquire("0"))):
            await stores.fences.acquire("0")
            assert await stores.states.read(REF.key) == state_file(1)
            assert len(await stores.trail.rows()) == 2
