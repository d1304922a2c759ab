"""The Changes of a target: one a subject, one open at a time, and their conditions."""

from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import condition, example
from tests.fakes.reconciling import FakeClock

from setpoint.api.conditions import ConditionType, Reason
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.v1alpha1.change import Change, ChangeSpec, ContentStatus, GateResult, ResetAction
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import ConflictError, NotFoundError, StalledError
from setpoint.domain.model import Change as Content
from setpoint.domain.model import ResetPlan, Snapshot
from setpoint.pipeline.changes import ChangeRegister, describe_change, is_closed, is_marked

SUBJECTS = {letter: "sha256:" + letter * 64 for letter in "abc"}
NAMES = {letter: f"shop-prod-{letter * 32}" for letter in "abc"}
APPLIED = (ConditionType.APPLIED, "True", Reason.APPLIED, "3 resources")


@pytest.fixture
def register(cluster: InMemoryCluster, clock: FakeClock) -> ChangeRegister:
    return ChangeRegister(cluster, clock)


def spec(letter: str, target: str = "shop-prod", **more: Any) -> ChangeSpec:
    """The spec of the Change of a subject."""
    given = {"targetRef": {"kind": "Environment", "name": target}, "subject": SUBJECTS[letter], **more}
    return ChangeSpec.model_validate(example("Change", **given)["spec"])


def other(name: str) -> Environment:
    return Environment.model_validate(example("Environment", name=name))


async def opened(register: ChangeRegister, environment: Environment) -> list[str]:
    return sorted(one.metadata.name for one in await register.open_changes(environment))


async def conditions_of(cluster: InMemoryCluster, change: Change) -> dict[str, tuple[str, str]]:
    found: JsonObject = await cluster.get(change.ref)
    return {one["type"]: (one["status"], one["reason"]) for one in found["status"]["conditions"]}


# --- Making them --------------------------------------------------------------------------------------------------


async def test_a_new_one_is_there_and_in_the_trail(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment
) -> None:
    change, new = await register.ensure(environment, spec("a"))
    assert new
    assert change.metadata.name == NAMES["a"]
    assert change.metadata.labels == {"setpoint.dev/target": "environment.shop-prod"}
    assert await register.get("default", change.metadata.name) == change
    (entry,) = cluster.audit
    assert (entry.action, entry.phase, entry.target) == ("change.create", Phase.FACT, environment.ref)
    assert (entry.result, entry.digests["subject"]) == (change.metadata.name, SUBJECTS["a"])


async def test_the_same_subject_is_the_same_change(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment
) -> None:
    first, _ = await register.ensure(environment, spec("a"))
    writes = cluster.writes
    assert await register.ensure(environment, spec("a")) == (first, False)
    assert cluster.writes == writes


@pytest.mark.parametrize(
    ("letters", "left"),
    [
        pytest.param("ab", NAMES["b"], id="another"),
        pytest.param("abc", NAMES["c"], id="and another"),
        pytest.param("abb", NAMES["b"], id="the last one again"),
    ],
)
async def test_the_newest_is_the_only_one_that_is_open(
    register: ChangeRegister, environment: Environment, letters: str, left: str
) -> None:
    for letter in letters:
        await register.ensure(environment, spec(letter))
    assert await opened(register, environment) == [left]


async def test_what_is_superseded_shows_its_content_no_more(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment
) -> None:
    """The status holds 16 KiB of it, and a target may leave thousands behind."""
    change, _ = await register.ensure(environment, spec("a"))
    gated = (ConditionType.GATED, "True", Reason.GATES_PASSED, "")
    change = await register.mark(change, gated, content=ContentStatus(lines=["{}"]))
    assert "content" in (await cluster.get(change.ref))["status"]
    await register.ensure(environment, spec("b"))
    assert "content" not in (await cluster.get(change.ref))["status"]


async def test_the_first_one_again_supersedes_what_came_between(
    register: ChangeRegister, environment: Environment
) -> None:
    await register.ensure(environment, spec("a"))
    between, _ = await register.ensure(environment, spec("b"))
    await register.ensure(environment, spec("a"))
    assert between.metadata.name not in await opened(register, environment)


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        pytest.param("shop-dev", "default", id="another name"),
        pytest.param("shop-prod", "other", id="another namespace"),
    ],
)
async def test_another_targets_stay_open(
    register: ChangeRegister, environment: Environment, name: str, namespace: str
) -> None:
    theirs = Environment.model_validate(example("Environment", name=name, namespace=namespace))
    await register.ensure(theirs, spec("a", name))
    await register.ensure(environment, spec("b"))
    assert await opened(register, theirs) == [f"{name}-{'a' * 32}"]


async def test_a_long_name_does_not_hide_them(register: ChangeRegister) -> None:
    long, alike = other("a" * 70), other("a" * 71)
    await register.ensure(long, spec("a", long.metadata.name))
    await register.ensure(alike, spec("b", alike.metadata.name))
    assert len(await register.open_changes(long)) == 1
    await register.supersede(long, "gone")
    assert len(await register.open_changes(long)) == 0
    assert len(await register.open_changes(alike)) == 1


def racing(theirs: ChangeSpec) -> InMemoryCluster:
    """A cluster in which another writer makes the Change while it is looked for."""

    class Racing(InMemoryCluster):
        async def get(self, ref: ObjectRef) -> JsonObject:
            if ref.kind == "Change" and not self.writes:
                await self.add({**example("Change", name=ref.name), "spec": theirs.as_json()})
                raise NotFoundError("not yet")
            return await super().get(ref)

    return Racing()


async def test_one_that_another_writer_made_meanwhile_is_taken(clock: FakeClock, environment: Environment) -> None:
    change, new = await ChangeRegister(racing(spec("a")), clock).ensure(environment, spec("a"))
    assert (change.spec.subject, new) == (SUBJECTS["a"], True)


# --- A name is no identity ----------------------------------------------------------------------------------------

ELSE = "sha256:" + "a" * 32 + "0" * 32
FOREIGN: dict[str, dict[str, Any]] = {
    "subject": {"subject": ELSE},
    "digest": {"digest": ELSE},
    "summary": {"summary": {"create": 1, "text": "+1 ~0 -0"}},
    "environment": {"environment": {"bundle": ELSE}},
    "configuration": {"configuration": ELSE},
    "snapshotRef": {"snapshotRef": "shop-prod-8"},
    "base": {"environment": {"stateVersion": 8}},
    "targetRef": {"targetRef": {"kind": "Environment", "name": "shop-dev"}},
    "cause": {"cause": "SpecChanged"},
    "approvalsRequired": {"approvalsRequired": 0},
    "orphans": {"orphans": ["terraform_data.lost"]},
}


@pytest.mark.parametrize("field", FOREIGN)
async def test_another_under_the_name_is_no_match_and_stays_as_it_is(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment, field: str
) -> None:
    await register.ensure(environment, spec("b"))
    foreign = await cluster.add(example("Change", name=NAMES["a"], **{"subject": SUBJECTS["a"], **FOREIGN[field]}))
    writes = cluster.writes
    with pytest.raises(StalledError) as refused:
        await register.ensure(environment, spec("a"))
    assert refused.value.reason is Reason.NAME_TAKEN
    assert f"spec.{field}" in refused.value.message
    assert SUBJECTS["a"] in refused.value.message
    assert cluster.writes == writes
    assert await cluster.get(ObjectRef("Change", "default", NAMES["a"])) == foreign
    assert NAMES["b"] in await opened(register, environment)


async def test_another_that_is_made_meanwhile_is_no_match(clock: FakeClock, environment: Environment) -> None:
    with pytest.raises(StalledError):
        await ChangeRegister(racing(spec("a", subject=ELSE)), clock).ensure(environment, spec("a"))


async def test_what_was_planned_later_or_drilled_in_other_words_is_the_same(
    register: ChangeRegister, environment: Environment
) -> None:
    first, _ = await register.ensure(environment, spec("a"))
    again = spec("a", generation=9, requestedBy="bob")
    retold = again.reset_plan.model_copy(update={"message": "drilled anew"})
    found, new = await register.ensure(environment, again.model_copy(update={"reset_plan": retold}))
    assert (found, new) == (first, False)


@pytest.mark.parametrize("field", FOREIGN)
async def test_one_that_became_another_is_not_carried_out(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment, field: str
) -> None:
    change, _ = await register.ensure(environment, spec("a"))
    await register.confirm(change, spec("a"))
    await cluster.delete(change.ref)
    await cluster.add(example("Change", name=NAMES["a"], **{"subject": SUBJECTS["a"], **FOREIGN[field]}))
    with pytest.raises(StalledError):
        await register.confirm(change, spec("a"))


async def test_one_that_is_gone_is_not_carried_out(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment
) -> None:
    change, _ = await register.ensure(environment, spec("a"))
    await cluster.delete(change.ref)
    with pytest.raises(ConflictError):
        await register.confirm(change, spec("a"))


async def test_a_label_finds_and_does_not_own(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment
) -> None:
    theirs = example("Change", name="stray", targetRef={"kind": "Environment", "name": "shop-dev"})
    await cluster.add({**theirs, "metadata": {**theirs["metadata"], "labels": {"setpoint.dev/target": "shop-prod"}}})
    await register.supersede(environment, "gone")
    assert not (await cluster.get(ObjectRef("Change", "default", "stray"))).get("status")


async def test_there_is_none(register: ChangeRegister) -> None:
    assert await register.get("default", "gone") is None


# --- Their conditions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "closed"),
    [
        pytest.param([], False, id="new"),
        pytest.param([condition("Gated", "False", "GateBlocked")], False, id="blocked"),
        pytest.param([condition("Approved", "True", "Approved")], False, id="approved"),
        pytest.param([condition("Applied", "True", "Applied")], True, id="applied"),
        pytest.param([condition("Applied", "False", "ApplyFailed")], True, id="tried in vain"),
        pytest.param([condition("Rejected", "True", "Rejected")], True, id="rejected"),
        pytest.param([condition("Superseded", "True", "Superseded")], True, id="superseded"),
        pytest.param([condition("Superseded", "False", "Progressing")], False, id="due again"),
    ],
)
def test_when_one_is_closed(stated: list[dict], closed: bool) -> None:
    change = Change.model_validate(example("Change", status={"conditions": stated}))
    assert is_closed(change) is closed
    assert all(is_marked(change, ConditionType(one["type"])) is (one["status"] == "True") for one in stated)


async def test_a_mark_adds_to_what_is_there(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment
) -> None:
    change, _ = await register.ensure(environment, spec("a"))
    result = GateResult(gate="rules", stage="plan", verdict="Pass")
    gated = (ConditionType.GATED, "True", Reason.GATES_PASSED, "")
    change = await register.mark(change, gated, gates=[result], approved_by=["ada", "bob"])
    entry = AuditEntry("apply", Phase.OUTCOME, "setpoint", environment.ref, run="run-1")
    change = await register.mark(change, APPLIED, run="run-1", audit=(entry,))
    found = Change.model_validate(await cluster.get(change.ref))
    assert found.status == change.status
    assert (found.status.gates, found.status.approved_by, found.status.run) == ([result], ["ada", "bob"], "run-1")
    assert set(await conditions_of(cluster, change)) == {"Gated", "Applied"}
    assert cluster.audit[-1] == entry


async def test_what_is_closed_is_not_superseded(
    register: ChangeRegister, cluster: InMemoryCluster, environment: Environment
) -> None:
    change, _ = await register.ensure(environment, spec("a"))
    await register.mark(change, APPLIED)
    await register.supersede(environment, "the Environment was deleted")
    assert await conditions_of(cluster, change) == {"Applied": ("True", "Applied")}


def test_a_spec_is_cut_to_what_an_object_may_hold(environment: Environment) -> None:
    typed = Change.model_validate(example("Change")).spec
    actions = tuple(ResetAction(address=f"a.b{n}", action="delete", reversibility="DataLoss") for n in range(60))
    content = Content(
        target=environment.ref,
        cause="Drift",
        digest=typed.digest,
        base="7",
        configuration=typed.digest,
        generation=3,
        actions=(),
        summary=typed.summary,
        stated={"bundle": typed.digest, "stateVersion": 7},
    )
    plan = ResetPlan(digest=typed.reset_plan.digest, actions=actions, drill="Failed", message="x" * 2000)
    described = describe_change(content, SUBJECTS["a"], Snapshot("snap", SUBJECTS["b"], None), plan, 2, "a" * 2000)
    assert described.requested_by == "a" * 1024
    assert (described.subject, described.snapshot_ref, described.approvals_required) == (SUBJECTS["a"], "snap", 2)
    assert (len(described.reset_plan.actions), len(described.reset_plan.message)) == (50, 1024)
    assert described.reset_plan.worst == "DataLoss"
