"""Rules for every TargetDriver and its sessions: those of the Environment, and those that tests of the path use."""

import dataclasses
from collections.abc import Callable

import pytest
from tests.conformance.targets import (
    HERE,
    PLACES,
    NoStages,
    Place,
    beacon_on_a_board,
    change_of,
    decision,
    passed,
    propose,
    waiting,
)
from tests.fakes.beacon_bench import beacons

from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import ConflictError, LostBlobError, StalledError
from setpoint.domain.findings import DriftClass
from setpoint.domain.gating import GateDecision
from setpoint.domain.goals import GoalKind
from setpoint.domain.model import AtSetpoint, Beyond, Change, Observation, Result
from setpoint.pipeline.configurations import configuration_of

__all__ = ["beacons"]
pytestmark = pytest.mark.usefixtures("beacons")

ONE, TWO, OTHER = {"a": "1"}, {"a": "1", "d": "2"}, {"a": "2"}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return PLACES[request.param]()


@pytest.fixture
async def settled(place: Place) -> Place:
    """A target that holds ONE."""
    await place.apply(ONE)
    return place


def without_what_policies_judge(seen: Observation) -> Observation:
    """All of it that is compared by value."""
    return dataclasses.replace(seen, judged=None)


class TestObserve:
    async def test_two_looks_at_the_same_world_are_the_same(self, settled: Place) -> None:
        seen = []
        for _ in range(2):
            async with settled.session(TWO) as session:
                seen.append(without_what_policies_judge(await session.observe()))
        assert seen[0] == seen[1]

    async def test_a_steady_world_differs_in_nothing_when_it_is_looked_at_again(self, settled: Place) -> None:
        async with settled.session(TWO) as session:
            assert [(await session.observe()).moved for _ in range(2)] == [(), ()]

    async def test_at_the_setpoint_nothing_is_found(self, settled: Place) -> None:
        async with settled.session(ONE) as session:
            assert (await session.observe()).findings == ()

    async def test_what_others_did_is_drift_and_what_is_wished_for_is_not(self, settled: Place) -> None:
        async with settled.session(OTHER) as session:
            wished = {found.drift_class for found in (await session.observe()).findings}
        await settled.tamper()
        async with settled.session(ONE) as session:
            done = {found.drift_class for found in (await session.observe()).findings}
        assert (wished, done) == ({DriftClass.PENDING}, {DriftClass.ACTIONABLE})

    async def test_findings_hold_no_value(self, settled: Place) -> None:
        await settled.tamper()
        async with settled.session({"a": "pa55word"}) as session:
            assert "pa55word" not in repr((await session.observe()).findings)


class TestPlan:
    async def test_at_the_setpoint_there_is_none(self, settled: Place) -> None:
        assert await settled.plan(ONE) == AtSetpoint()

    async def test_the_same_on_the_same_base_is_the_same_change(self, settled: Place) -> None:
        first, second = [change_of(await settled.plan(TWO)) for _ in range(2)]
        assert first == second

    async def test_each_wish_has_its_own_digest(self, settled: Place) -> None:
        digests = [change_of(await settled.plan(wish)).digest for wish in (TWO, OTHER, {"a": "3"}, {})]
        assert all(digest.startswith("sha256:") for digest in digests)
        assert len(set(digests)) == len(digests)

    async def test_it_names_its_target_and_counts_its_actions(self, settled: Place) -> None:
        change = change_of(await settled.plan({"a": "2", "d": "1"}))
        assert (change.target, change.generation) == (settled.ref, 1)
        assert {action.action for action in change.actions} == {"create", "update"}
        assert (change.summary.create, change.summary.update, change.summary.delete) == (1, 1, 0)

    @pytest.mark.parametrize(
        ("kind", "tampered", "cause"),
        [
            pytest.param(GoalKind.SPEC, False, "SpecChanged", id="another wish"),
            pytest.param(GoalKind.SPEC, True, "Drift", id="drift"),
            pytest.param(GoalKind.DESTROY, False, "Destroy", id="the end"),
        ],
    )
    async def test_it_says_why(self, settled: Place, kind: GoalKind, tampered: bool, cause: str) -> None:
        if tampered:
            await settled.tamper()
        change = change_of(await settled.plan(ONE if tampered else OTHER, kind))
        assert change.cause == cause

    async def test_held_it_is_held_to_what_was_applied_and_not_to_what_is_wished_for(self, settled: Place) -> None:
        assert await settled.plan(OTHER, GoalKind.HOLD) == AtSetpoint()
        await settled.tamper()
        assert await settled.plan(OTHER, GoalKind.HOLD) != AtSetpoint()

    async def test_the_steps_before_the_apply_change_nothing(self, settled: Place) -> None:
        snapshot = await settled.take_snapshot(ONE)
        async with settled.session(TWO) as session:
            seen = await session.observe()
            change = change_of(await session.plan(seen))
            await session.plan_reset(change, snapshot.index)
        async with settled.session(TWO) as session:
            assert without_what_policies_judge(await session.observe()) == without_what_policies_judge(seen)
        assert await settled.plan(ONE) == AtSetpoint()


@pytest.mark.parametrize("place", ["fake", "beacon"], indirect=True)
class TestWhatNoChangeCanMend:
    """Of an Environment, Terraform mends all that it finds."""

    async def test_alone_it_is_beyond_any_change(self, settled: Place) -> None:
        assert settled.world is not None
        await settled.tamper()
        settled.world.beyond = frozenset({"a"})
        plan = await settled.plan(ONE)
        assert isinstance(plan, Beyond)
        assert [(found.address, found.mendable) for found in plan.findings] == [("a", False)]

    async def test_a_change_leaves_it_and_says_so(self, settled: Place) -> None:
        assert settled.world is not None
        await settled.tamper()
        settled.world.beyond = frozenset({"a"})
        async with settled.session(TWO) as session:
            change = await propose(session)
            assert [action.address for action in change.actions] == ["d"]
            await session.apply(passed(change), NoStages())
            verification = await session.verify(change)
        assert (verification.ok, [found.address for found in verification.left]) == (True, ["a"])


class TestApply:
    async def test_it_brings_about_what_was_decided(self, place: Place) -> None:
        outcome = await place.apply(TWO)
        assert (outcome.result, outcome.message) == (Result.SUCCEEDED, "")
        assert await place.plan(TWO) == AtSetpoint()

    async def test_it_goes_under_the_run_that_it_was_given(self, place: Place) -> None:
        assert (await place.interrupt()).id == HERE
        assert [run.id for run in await place.driver.abandoned()] == [HERE]

    async def test_what_was_applied_verifies_and_what_others_did_since_does_not(self, place: Place) -> None:
        async with place.session(ONE) as session:
            change = await propose(session)
            await session.apply(passed(change), NoStages())
            assert (await session.verify(change)).ok
            await place.tamper()
            verification = await session.verify(change)
        assert not verification.ok
        assert len(verification.paths) == 1

    @pytest.mark.parametrize(
        "given", [{"required": 1}, {"required": 0, "stage": "plan"}], ids=["pending", "before-the-last-stage"]
    )
    async def test_no_other_decision_is_taken_than_one_that_passed(self, place: Place, given: dict) -> None:
        async with place.session(ONE) as session:
            change = await propose(session)
            with pytest.raises(StalledError):
                await session.apply(decision(change, **given), NoStages())
        assert await place.driver.holdings(place.ref) == ()

    async def test_a_decision_on_another_content_is_refused(self, place: Place) -> None:
        async with place.session(ONE) as session:
            change = await propose(session)
            with pytest.raises(ConflictError):
                await session.apply(passed(dataclasses.replace(change, digest="sha256:" + "0" * 64)), NoStages())
        assert await place.driver.holdings(place.ref) == ()

    async def test_a_base_that_moved_is_refused(self, settled: Place) -> None:
        async with settled.session(OTHER) as session:
            change = await propose(session)
            await settled.apply(TWO)
            with pytest.raises(ConflictError):
                await session.apply(passed(change), NoStages())
        assert await settled.plan(TWO) == AtSetpoint()

    async def test_its_recorded_outcome_leaves_no_trace(self, settled: Place) -> None:
        assert list(await settled.driver.abandoned()) == []


class TestChangesShownElsewhere:
    """A kind that shows none answers so, and does nothing; one that does shows each once."""

    @pytest.fixture(params=[*PLACES, "board"])
    def place(self, request: pytest.FixtureRequest) -> Place:
        return PLACES[request.param]() if request.param in PLACES else beacon_on_a_board()

    @staticmethod
    def shown(place: Place) -> int:
        board = place.world.board if place.world else None
        return len(board.posts) if board else 0

    async def test_what_is_shown_is_shown_once_and_at_one_place(self, place: Place) -> None:
        async with place.session(ONE) as session:
            change = await propose(session)
            reviews = [await session.propose(waiting(change), "web-1") for _ in range(2)]
        assert reviews[0] == reviews[1]
        assert (bool(reviews[0].url), reviews[0].declined_by) == (session.shows_changes, None)
        assert self.shown(place) == session.shows_changes

    async def test_it_changes_nothing_of_the_target(self, place: Place) -> None:
        async with place.session(ONE) as session:
            change = await propose(session)
            await session.propose(waiting(change), "web-1")
            await session.withdraw("web-1")
        assert await place.driver.holdings(place.ref) == ()
        assert change_of(await place.plan(ONE)).digest == change.digest

    async def test_withdrawn_it_is_shown_no_more_and_that_can_be_said_again(self, place: Place) -> None:
        async with place.session(ONE) as session:
            change = await propose(session)
            await session.propose(waiting(change), "web-1")
            for _ in range(2):
                await session.withdraw("web-1")
            assert self.shown(place) == 0
            await session.propose(waiting(change), "web-1")
        assert self.shown(place) == session.shows_changes

    async def test_an_apply_ends_what_was_shown_of_its_change(self, place: Place) -> None:
        async with place.session(ONE) as session:
            change = await propose(session)
            await session.propose(passed(change, stage="plan"), "web-1")
            await session.apply(passed(change), NoStages())
        assert self.shown(place) == 0
        assert await place.plan(ONE) == AtSetpoint()

    async def test_nobody_else_carried_out_what_setpoint_applied_or_others_changed(self, place: Place) -> None:
        await place.apply(ONE)
        for _ in range(2):
            async with place.session(ONE) as session:
                assert (await session.observe()).carried_out_by is None
            await place.tamper()

    async def test_who_carried_it_out_is_told_by_its_whole_subject_until_it_is_proposed_anew(self) -> None:
        place = beacon_on_a_board()
        assert place.world is not None
        assert place.world.board is not None
        async with place.session(ONE) as session:
            change = await propose(session)
            await session.propose(waiting(change), "web-1")
        place.world.actual = place.world.board.carry_out("web-1", "bob")
        async with place.session(ONE) as session:
            found = (await session.observe()).carried_out_by
            assert found is not None
            assert (found.subject, found.by, bool(found.evidence)) == (waiting(change).subject, "bob", True)
            await session.propose(waiting(change), "web-1")
            assert (await session.observe()).carried_out_by is None

    @pytest.mark.parametrize(
        "refused",
        [
            pytest.param(lambda change: decision(change, required=0, protection=["kept"], stage="plan"), id="blocked"),
            pytest.param(passed, id="of-a-later-stage"),
        ],
    )
    async def test_no_other_decision_is_shown(self, place: Place, refused: Callable[[Change], GateDecision]) -> None:
        async with place.session(ONE) as session:
            change = await propose(session)
            with pytest.raises(StalledError):
                await session.propose(refused(change), "web-1")
        assert self.shown(place) == 0


class TestPublish:
    async def test_only_what_is_new_is_written(self, settled: Place) -> None:
        async with settled.session(ONE) as session:
            await session.observe()
            assert [await session.publish(at_setpoint=at) for at in (False, True, True)] == [False, True, False]


class TestNotices:
    async def test_they_are_taken_once(self, settled: Place) -> None:
        async with settled.session(ONE) as session:
            await session.observe()
            session.take_notices()
            assert session.take_notices() == ()


class TestTheWayBack:
    async def test_the_same_world_gives_the_same_capture(self, settled: Place) -> None:
        applied, captures = settled.target(ONE).status.applied, []
        for _ in range(2):
            async with settled.session(ONE) as session:
                await session.observe()
                captures.append(await session.capture(configuration_of(applied)))
        assert captures[0] == captures[1]
        assert captures[0].digests

    async def test_another_world_gives_another(self, settled: Place) -> None:
        before = await settled.take_snapshot(ONE)
        await settled.apply(TWO)
        assert (await settled.take_snapshot(TWO)).index.digest != before.index.digest

    async def test_where_nothing_was_applied_nothing_is_captured_of_a_configuration(self, place: Place) -> None:
        taken = await place.take_snapshot(ONE)
        assert (taken.index.configuration, taken.obj.spec.is_empty) == (None, True)

    async def test_what_a_change_says_of_the_kind_alone_is_its_member(self, settled: Place) -> None:
        async with settled.session(TWO) as session:
            change = await propose(session)
        assert (
            type(settled.target(TWO)).CHANGE.model_validate(change.stated).implied.get("base", change.base)
            == change.base
        )

    async def test_it_is_planned_for_each_action(self, settled: Place) -> None:
        snapshot = await settled.take_snapshot(ONE)
        async with settled.session(TWO) as session:
            change = await propose(session)
            plans = [await session.plan_reset(change, snapshot.index) for _ in range(2)]
        assert plans[0] == plans[1]
        assert (plans[0].drill, plans[0].ready) == ("Passed", True)
        assert [action.address for action in plans[0].actions] == [action.address for action in change.actions]

    async def test_a_first_change_has_none_that_could_be_drilled(self, place: Place) -> None:
        snapshot = await place.take_snapshot({})
        async with place.session(ONE) as session:
            change = await propose(session)
            assert (await session.plan_reset(change, snapshot.index)).drill == "NotDrillable"

    async def test_it_leads_back(self, settled: Place) -> None:
        snapshot = await settled.take_snapshot(ONE)
        await settled.apply({"a": "2", "d": "1"})
        change = change_of(await settled.plan(OTHER, GoalKind.SNAPSHOT, snapshot))
        assert change.cause == "Reset"
        await settled.apply(OTHER, GoalKind.SNAPSHOT, snapshot)
        assert await settled.plan(ONE) == AtSetpoint()

    async def test_it_leads_back_to_nothing(self, place: Place) -> None:
        empty = await place.take_snapshot({})
        await place.apply(TWO)
        await place.apply(TWO, GoalKind.SNAPSHOT, empty)
        assert await place.driver.holdings(place.ref) == ()


class TestKeptBlobs:
    async def test_nothing_has_to_be_kept_for_what_was_never_made(self, place: Place) -> None:
        assert await place.driver.references() == frozenset()

    async def test_with_them_and_what_a_snapshot_names_it_leads_back(self, settled: Place) -> None:
        snapshot = await settled.take_snapshot(ONE)
        await settled.apply(OTHER)
        await settled.drop_blobs(await settled.kept_blobs() | snapshot.digests)
        await settled.apply(OTHER, GoalKind.SNAPSHOT, snapshot)
        assert await settled.plan(ONE) == AtSetpoint()

    async def test_without_what_it_names_nothing_is_planned(self, settled: Place) -> None:
        snapshot = await settled.take_snapshot(ONE)
        await settled.apply(OTHER)
        await settled.drop_blobs(await settled.kept_blobs())
        with pytest.raises(LostBlobError):
            await settled.plan(OTHER, GoalKind.SNAPSHOT, snapshot)


class TestHoldings:
    async def test_there_are_none_before_anything_was_made(self, place: Place) -> None:
        await place.plan(TWO)
        assert await place.driver.holdings(place.ref) == ()

    async def test_they_name_what_was_made(self, place: Place) -> None:
        await place.apply(TWO)
        held = await place.driver.holdings(place.ref)
        assert [name.rpartition(".")[2] for name in held] == ["a", "d"]

    async def test_they_end_with_a_destruction(self, settled: Place) -> None:
        await settled.apply(ONE, GoalKind.DESTROY)
        assert await settled.driver.holdings(settled.ref) == ()

    @pytest.mark.parametrize("part", ["kind", "namespace", "name"])
    async def test_those_of_another_target_are_not_named(self, settled: Place, part: str) -> None:
        another: ObjectRef = dataclasses.replace(settled.ref, **{part: "Another"})
        assert await settled.driver.holdings(another) == ()


class TestInterruptedRuns:
    async def test_one_is_found_and_answered_for_again_and_again_until_that_is_recorded(self, place: Place) -> None:
        run = await place.interrupt()
        assert {(one.id, one.target) for one in await place.driver.abandoned()} == {(run.id, place.ref)}
        answers = [await place.driver.recover([run]) for _ in range(2)]
        assert answers[0] == answers[1]
        assert {name: one.result for name, one in answers[0].items()} == {run.id: Result.INTERRUPTED}
        assert {one.id for one in await place.driver.abandoned()} == {run.id}, "its traces stay until then"

    @pytest.mark.parametrize("times", [1, 2])
    async def test_once_recorded_nothing_is_left_of_it(self, place: Place, times: int) -> None:
        run = await place.interrupt()
        await place.driver.recover([run])
        for _ in range(times):
            await place.driver.recorded([run])
        assert list(await place.driver.abandoned()) == []

    async def test_after_it_the_target_goes_on(self, place: Place) -> None:
        run = await place.interrupt()
        await place.driver.recover([run])
        await place.driver.recorded([run])
        assert (await place.apply(ONE)).result is Result.SUCCEEDED
        assert await place.plan(ONE) == AtSetpoint()

    async def test_one_that_may_go_on_elsewhere_is_left_out(self, place: Place) -> None:
        run = await place.linger()
        assert await place.driver.recover([run]) == {}

    async def test_nothing_is_said_of_runs_that_nobody_asked_about(self, place: Place) -> None:
        await place.interrupt()
        assert await place.driver.recover([]) == {}
        await place.driver.recorded([])
        assert len(await place.driver.abandoned()) == 1
