"""The driver's handling of states that an apply left, of plans, and of a folder that is not its own."""

import contextlib
import dataclasses
import json
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from tests.conformance.targets import NoStages
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.plans import change, plan
from tests.fakes.reconciling import FakeClock
from tests.fakes.store import Stores, memory_stores, state_file, state_of
from tests.fakes.terraform import BUNDLE, FakeTerraform, driver_over

from setpoint.api.conditions import Reason
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.errors import ConflictError, LostBlobError, StalledError, StoreError, TransientError, WaitingError
from setpoint.domain.goals import Goal, GoalKind
from setpoint.domain.model import Applying, AtSetpoint, Change, Observation, Outcome, Proposal, Result, Snapshot
from setpoint.pipeline.preview import Previewer
from setpoint.pipeline.seals import Seals
from setpoint.ports import Notice
from setpoint.targets.environment import plan_reading
from setpoint.targets.environment.driver import EnvironmentDriver
from setpoint.targets.environment.errors import DataUnreadableError
from setpoint.targets.environment.plan.orphans import Creation
from setpoint.targets.environment.ports import ApplyRun
from setpoint.targets.environment.session import EnvironmentSession

KEY = "environment/default/web"
REF = ObjectRef("Environment", "default", "web")
MANIFEST = {
    "apiVersion": "setpoint.dev/v1alpha1",
    "kind": "Environment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"stage": "dev", "source": {"path": "./infra"}},
}
PENDING = plan(change("terraform_data.r1", ["create"], None, {"input": "x"}))


@dataclasses.dataclass
class Desk:
    """A driver over fakes."""

    terraform: FakeTerraform
    stores: Stores
    threads: ThreadPoolExecutor
    status: dict[str, Any] = dataclasses.field(default_factory=dict)
    resolve: Any = None

    def driver(self, **options: Any) -> EnvironmentDriver:
        resolver = SimpleNamespace(resolve=self.resolve or _resolve)
        parts = {"resolver": resolver, "threads": self.threads, **options}
        return driver_over(InMemoryCluster(), self.stores, self.terraform, **parts)

    @contextlib.asynccontextmanager
    async def session(self, goal: GoalKind = GoalKind.SPEC, **options: Any) -> AsyncIterator[EnvironmentSession]:
        """One pass, for the spec unless another goal is given."""
        environment = Environment.model_validate({**MANIFEST, "status": self.status})
        async with self.driver(**options).session(environment, Goal(goal), "run-1", lambda _: None) as opened:
            yield opened

    async def apply(self, run: ApplyRun, **decided: Any) -> Outcome:
        """Observes, and applies what ends like this; `decided` is what the decision was about instead."""
        self.terraform.applied = run
        async with self.session() as session:
            seen = await session.observe()
            plan = await session.plan(seen)
            digest = plan.change.digest if isinstance(plan, Proposal) else None
            planned = {"base": seen.base, "digest": digest}
            change = SimpleNamespace(**(planned | decided))
            decision: Any = SimpleNamespace(require_pass=lambda: None, change=change)
            return await session.apply(decision, NoStages())


async def proposed(session: EnvironmentSession, observation: Observation) -> Change:
    """The Change that is planned."""
    plan = await session.plan(observation)
    assert isinstance(plan, Proposal)
    return plan.change


async def _resolve(*_: Any, **__: Any) -> None:
    return None


@pytest.fixture
def desk() -> Any:
    with ThreadPoolExecutor(1, thread_name_prefix="plans") as threads:
        yield Desk(FakeTerraform(), memory_stores(), threads)


def failed(errored: bytes | None, *created: str) -> ApplyRun:
    return ApplyRun(False, False, (), ("it broke",), errored, tuple(Creation(address) for address in created))


@pytest.mark.parametrize(
    "decided",
    [
        pytest.param({"digest": "sha256:" + "0" * 64}, id="another plan"),
        pytest.param({"base": "7"}, id="another state"),
    ],
)
async def test_what_was_not_decided_on_is_not_applied(desk: Desk, decided: dict[str, Any]) -> None:
    with pytest.raises(ConflictError):
        await desk.apply(failed(None), **decided)


# --- What an apply could not save -------------------------------------------------------------------------------------


async def test_what_an_apply_could_not_save_becomes_a_version(desk: Desk) -> None:
    outcome = await desk.apply(failed(state_file(4), "terraform_data.r0", "terraform_data.r1"))
    assert (outcome.result, outcome.message) == (Result.FAILED, "it broke")
    assert (outcome.shown["state"].version, outcome.shown["state"].serial) == (1, 4)
    assert outcome.left_behind == ("terraform_data.r1",)
    assert desk.terraform.errored is None
    assert desk.terraform.aside == {}


async def test_one_that_is_refused_is_kept_and_the_outcome_says_where(desk: Desk) -> None:
    torn = state_file(4)[:-9]
    outcome = await desk.apply(failed(torn, "terraform_data.r0"))
    assert desk.terraform.aside == {"run-1": torn}
    assert outcome.message.startswith("the state that run run-1 left behind was refused")
    assert "errored/run-1.tfstate" in outcome.message
    assert outcome.message.endswith("it broke")
    assert outcome.left_behind == ("terraform_data.r0",)
    async with desk.session() as session:
        assert (await session.observe()).base == "0", "it blocks nothing"


async def test_one_that_a_full_disk_keeps_out_is_saved_before_the_next_plan(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise StoreError("no space left on device")

    with monkeypatch.context() as full:
        full.setattr(desk.stores.states, "append", refuse)
        outcome = await desk.apply(failed(state_file(4), "terraform_data.r0"))
    assert "no space left on device" in outcome.message
    assert outcome.left_behind == ("terraform_data.r0",), "suspected, until the state that knows it is saved"
    assert desk.terraform.errored == state_file(4)
    async with desk.session() as session:
        seen = await session.observe()
    assert (seen.base, seen.shown["state"].serial) == ("1", 4)
    assert desk.terraform.errored is None


async def test_one_that_is_refused_before_a_plan_ends_that_pass_and_no_other(desk: Desk) -> None:
    desk.terraform.errored = b"torn"
    async with desk.session() as session:
        with pytest.raises(TransientError, match=r"errored/run-1\.tfstate") as raised:
            await session.observe()
        assert raised.value.reason == Reason.STORE_FAILED
        assert desk.terraform.plans == 0
        await session.observe()
    assert desk.terraform.plans == 1
    assert desk.terraform.aside == {"run-1": b"torn"}


async def test_what_is_in_the_state_is_no_orphan_any_more(desk: Desk) -> None:
    await desk.stores.states.append(KEY, state_file(1), run="run-1")
    desk.status = {"orphans": ["terraform_data.r0", "terraform_data.r1"]}
    desk.terraform.document = PENDING
    async with desk.session() as session:
        change = await proposed(session, await session.observe())
    assert change.orphans == ("terraform_data.r1",)


async def test_a_replacement_that_failed_half_way_names_the_new_object(desk: Desk) -> None:
    """The old one still stands at its address; what the run has saved is known by its id."""
    await desk.stores.states.append(KEY, state_of(1, {"r0": {"id": "old"}, "r1": {"id": "old-1"}}), run="earlier")
    left = state_of(2, {"r0": {"id": "old"}, "r1": {"id": "new-1"}})
    created = (Creation("terraform_data.r0", "new"), Creation("terraform_data.r1", "new-1"))
    outcome = await desk.apply(ApplyRun(False, True, (), ("it broke",), left, created))
    assert outcome.left_behind == ("terraform_data.r0 (id=new)",)


async def test_a_suspected_new_object_is_none_any_more_once_the_state_has_its_id(desk: Desk) -> None:
    await desk.stores.states.append(KEY, state_of(1, {"r0": {"id": "new"}, "r1": {"id": "old"}}), run="run-1")
    lost = ["terraform_data.r1 (id=new)", "terraform_data.r1 (new object)"]
    desk.status = {"orphans": ["terraform_data.r0 (id=new)", *lost]}
    desk.terraform.document = PENDING
    async with desk.session() as session:
        change = await proposed(session, await session.observe())
    assert change.orphans == tuple(lost)


async def test_a_success_whose_state_is_in_no_store_is_a_failure(desk: Desk) -> None:
    await desk.stores.states.append(KEY, state_of(1, {"r0": {"id": "old"}}), run="earlier")
    outcome = await desk.apply(ApplyRun(True, False, (), (), created=(Creation("terraform_data.r0", "new"),)))
    assert outcome.result is Result.FAILED
    assert outcome.message.startswith("Terraform says that it applied, but the store has no state of this run")
    assert outcome.left_behind == ("terraform_data.r0 (id=new)",)


async def test_what_comes_back_as_it_was_known_needs_no_other_state(desk: Desk) -> None:
    """Terraform posts none where drift is mended and all is as the state says."""
    await desk.stores.states.append(KEY, state_of(1, {"r0": {"id": "same"}}), run="earlier")
    outcome = await desk.apply(ApplyRun(True, False, (), (), created=(Creation("terraform_data.r0", "same"),)))
    assert (outcome.result, outcome.left_behind) == (Result.SUCCEEDED, ())


async def test_a_second_look_that_differs_says_what_was_removed_from_the_work_folder(desk: Desk) -> None:
    """A local_file beside the code is missing at each plan: people learn why."""
    desk.terraform.document = PENDING
    async with desk.session() as session:
        change = await proposed(session, await session.observe())
        notice = Notice(Reason.WORK_FOLDER_RESTORED, "removed: z.auto.tfvars")
        desk.terraform.notices = (notice,)
        verification = await session.verify(change)
        assert verification.message.endswith("; removed: z.auto.tfvars")
        assert session.take_notices() == (notice,)


# --- A preview --------------------------------------------------------------------------------------------------------


async def test_it_refuses_to_go_on_with_an_apply_that_it_never_accepted(desk: Desk) -> None:
    applying = Applying("web-1", "run-1", "send", "2026-01-01T00:00:00Z", "sha256:1")
    async with desk.session() as session:
        with pytest.raises(StalledError, match="web-1 can't go on: an apply has no stages"):
            await session.resume(applying, NoStages())


async def test_a_preview_enters_no_folder_that_is_not_settled(desk: Desk) -> None:
    desk.terraform.unsettled = WaitingError(Reason.STATE_LOCKED, "a run goes on")
    with pytest.raises(WaitingError):
        async with desk.session(settles=False):
            pytest.fail("it was entered")
    async with desk.session() as session:
        assert isinstance(await session.plan(await session.observe()), AtSetpoint)


async def test_a_preview_says_why_it_did_not_look(desk: Desk) -> None:
    desk.terraform.unsettled = WaitingError(Reason.STATE_LOCKED, "run 7 goes on")
    cluster = InMemoryCluster()
    await cluster.create(MANIFEST)
    previewer = Previewer(
        cluster=cluster,
        driver=desk.driver(settles=False),
        pipeline=SimpleNamespace(continuations=SimpleNamespace(find=_resolve)),
        resets=SimpleNamespace(due=_resolve),
        seals=Seals(desk.stores.blobs.digest),
        clock=FakeClock(),
    )
    report = await previewer.preview(ObjectRef("Environment", "default", "web"), lambda _: None)
    assert report.error == "StateLocked: run 7 goes on"


# --- Plans ------------------------------------------------------------------------------------------------------------


async def test_plans_are_read_off_the_event_loop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    for name in ("analyse_plan", "judged_plan"):
        real = getattr(plan_reading, name)

        def reading(*args: Any, _name: str = name, _real: Any = real, **more: Any) -> Any:
            seen[_name] = threading.current_thread().name
            return _real(*args, **more)

        monkeypatch.setattr(plan_reading, name, reading)
    desk.terraform.document = PENDING
    async with desk.session() as session:
        observation = await session.observe()
    assert observation.judged.document["resource_changes"][0]["address"] == "terraform_data.r1"
    assert set(seen) == {"analyse_plan", "judged_plan"}
    assert all(thread.startswith("plans") for thread in seen.values())


async def test_a_quiet_plan_is_not_read_at_all(desk: Desk) -> None:
    async with desk.session() as session:
        observation = await session.observe()
        assert observation.judged is None
        assert isinstance(await session.plan(observation), AtSetpoint)
    desk.threads.shutdown()


# --- Destroying -----------------------------------------------------------------------------------------------------

GONE = ("data.terraform_remote_state.net",)
OLD = "sha256:" + "0" * 64


async def applied_before(desk: Desk, bundle: str) -> Desk:
    """The desk, with a bundle that was applied."""
    variables = await desk.stores.blobs.put(b"{}")
    applied = {"bundle": bundle, "archive": OLD, "variables": variables, "at": "2026-01-01T00:00:00Z"}
    desk.status = {"applied": applied}
    desk.terraform.document = PENDING
    return desk


async def test_a_destroy_without_what_it_reads_is_planned_from_the_state_and_says_so(desk: Desk) -> None:
    await applied_before(desk, OLD)
    desk.terraform.unread = GONE
    subjects = []
    for _ in range(2):
        async with desk.session(GoalKind.DESTROY) as session:
            change = await proposed(session, await session.observe())
            subjects.append(change.notes)
            assert (await session.verify(change)).reason != Reason.PLAN_FAILED
    note = (
        "planned with -refresh=false, from the state alone, since this can't be read: data.terraform_remote_state.net"
    )
    assert subjects == [(note,), (note,)]


async def test_a_repair_says_what_was_lost_before_it(desk: Desk) -> None:
    recorded = {"id": "shop", "name": "shop"}
    made = change("postgresql_database.shop", ["create"], None, {"name": "shop"}, after_unknown={"id": True})
    desk.terraform.document = plan(made, drift=[change("postgresql_database.shop", ["delete"], recorded)])
    async with desk.session() as session:
        change_ = await proposed(session, await session.observe())
    assert change_ is not None
    gone, renamed = change_.notes
    assert gone == "deleted outside and made anew, empty; what it held is gone: postgresql_database.shop"
    assert renamed.endswith("rename it back before this is applied. postgresql_database.shop was shop")


async def test_any_other_plan_needs_what_it_reads(desk: Desk) -> None:
    desk.terraform.unread = GONE
    async with desk.session() as session:
        with pytest.raises(DataUnreadableError):
            await session.observe()


async def test_a_destroy_that_the_applied_code_forbids_is_planned_with_the_source_as_it_is(desk: Desk) -> None:
    await applied_before(desk, OLD)
    desk.terraform.forbidding = frozenset({OLD})
    async with desk.session(GoalKind.DESTROY) as session:
        assert (await session.observe()).shown["bundle"].digest == BUNDLE.digest


@pytest.mark.parametrize("before", [OLD, BUNDLE.digest], ids=["another", "the-same"])
async def test_a_source_that_forbids_it_too_is_told(desk: Desk, before: str) -> None:
    await applied_before(desk, before)
    desk.terraform.forbidding = frozenset({OLD, BUNDLE.digest})
    async with desk.session(GoalKind.DESTROY) as session:
        with pytest.raises(StalledError, match="must not be destroyed") as raised:
            await session.observe()
    assert raised.value.reason is Reason.DESTROY_PREVENTED


async def test_a_source_that_can_not_be_read_is_told_beside(desk: Desk) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise StalledError(Reason.SOURCE_NOT_FOUND, "no folder")

    await applied_before(desk, OLD)
    desk.terraform.forbidding = frozenset({OLD})
    desk.resolve = fail
    async with desk.session(GoalKind.DESTROY) as session:
        with pytest.raises(StalledError, match="Now the source can't be used: no folder"):
            await session.observe()


# --- The drill --------------------------------------------------------------------------------------------------------

WITHDRAWN = StalledError(Reason.PROVIDER_UNAVAILABLE, "acme/x 1.0 is withdrawn")
REFUSED = TransientError(Reason.PLAN_FAILED, "no such region")
UNREAD = DataUnreadableError("no such image", ("data.acme_image.base",))
OUTAGE = TransientError(Reason.PLAN_FAILED, "dial tcp 192.0.2.1:443: connect: connection refused")


@pytest.mark.parametrize(
    ("goal", "applied", "failing", "drill"),
    [
        pytest.param(GoalKind.SPEC, BUNDLE.digest, None, ("Failed", True), id="a repair that does not plan empty"),
        pytest.param(GoalKind.SPEC, OLD, None, ("Failed", False), id="an edit with what can be mended before it"),
        pytest.param(GoalKind.SPEC, OLD, WITHDRAWN, ("Failed", True), id="an edit of what no longer initialises"),
        pytest.param(GoalKind.SPEC, OLD, REFUSED, ("Failed", True), id="an edit of what no longer plans"),
        pytest.param(GoalKind.SPEC, OLD, UNREAD, ("Failed", True), id="an edit of what reads something that is gone"),
        pytest.param(GoalKind.DESTROY, BUNDLE.digest, None, ("Failed", False), id="a destruction"),
    ],
)
async def test_a_failed_drill_can_be_accepted_where_nothing_else_leads_out(
    desk: Desk, goal: GoalKind, applied: str, failing: Any, drill: tuple[str, bool]
) -> None:
    await applied_before(desk, applied)
    desk.terraform.failing = {OLD: failing} if failing else {}
    async with desk.session(goal) as session:
        observation = await session.observe()
        change = await proposed(session, observation)
        plan = await session.plan_reset(change, Snapshot("snap", BUNDLE.digest, OLD))
    assert (plan.drill, plan.acceptable) == drill
    assert not plan.ready
    assert ("Mend that first" in plan.message) is (not plan.acceptable)
    assert (failing.message if failing else "no longer plans empty: terraform_data.r1") in plan.message


async def test_an_outage_says_nothing_of_the_way_back(desk: Desk) -> None:
    await applied_before(desk, OLD)
    desk.terraform.failing = {OLD: OUTAGE}
    async with desk.session() as session:
        observation = await session.observe()
        change = await proposed(session, observation)
        with pytest.raises(TransientError, match="connection refused"):
            await session.plan_reset(change, Snapshot("snap", BUNDLE.digest, OLD))


# --- What stays where a target is released ----------------------------------------------------------------------------


async def test_nothing_was_made_where_there_is_no_state(desk: Desk) -> None:
    assert await desk.driver().holdings(REF) == ()
    await desk.stores.states.append(KEY, state_file(1, resources=0), run="run-1")
    assert await desk.driver().holdings(REF) == ()


async def test_what_stays_shows_no_key_whose_secret_cannot_be_read(desk: Desk) -> None:
    document = json.loads(state_of(1, {"a": {"id": "1"}, "b": {"id": "2"}}))
    document["resources"][1]["instances"][0]["index_key"] = "pa55word"
    await desk.stores.states.append(KEY, json.dumps(document).encode(), run="run-1")
    plain, keyed = await desk.driver().holdings(REF)
    assert plain == "terraform_data.a"
    assert keyed.startswith('terraform_data.b["(sensitive)#')


async def test_resources_are_there_though_their_state_is_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: Any) -> bytes:
        message = "its bytes are not there"
        raise LostBlobError(message)

    await desk.stores.states.append(KEY, state_file(1, resources=3), run="run-1")
    monkeypatch.setattr(desk.stores.states, "read", lost)
    assert await desk.driver().holdings(REF) == ("3 resources of a state that is lost",)
