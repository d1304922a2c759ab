"""Asking the gates: which guard a Change, what an approval names, and that what can't be asked blocks."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example
from tests.fakes.reconciling import FakeClock, FakePolicies
from tests.fakes.store import MemoryAuditLog

from setpoint.api.conditions import ConditionType
from setpoint.api.meta import MANIFEST_ERROR_ANNOTATION, REQUESTED_BY_ANNOTATION, ObjectRef
from setpoint.api.v1alpha1.change import ChangeSummary
from setpoint.api.v1alpha1.environment import Environment
from setpoint.api.v1alpha1.reset import Reset
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.domain.errors import SetpointError
from setpoint.domain.findings import DriftClass, Finding
from setpoint.domain.gating import Verdict
from setpoint.domain.goals import Goal, GoalKind
from setpoint.domain.judged import Judged, PlainDocument
from setpoint.domain.model import Change, Observation, ResetPlan, Snapshot
from setpoint.domain.policies import PolicyModules, PolicyResult, Unread, Violation
from setpoint.pipeline.draft import StatusDraft
from setpoint.pipeline.gate_conditions import change_conditions, show_decision
from setpoint.pipeline.gatekeeper import Gated, Gatekeeper, Proposed
from setpoint.pipeline.gates import GateContext, GateReader
from setpoint.pipeline.passes import Ending, Guarded, Observed, Pass
from setpoint.pipeline.stored import StoredStatus
from setpoint.runtime.metrics import Metrics

DIGESTS = {letter: "sha256:" + letter * 64 for letter in "abcdef"}
SNAPSHOT = Snapshot("snap", DIGESTS["b"], DIGESTS["c"])
WAY_BACK = ResetPlan(DIGESTS["d"], (), "Passed")
DENY = PolicyResult((Violation("r1", "no"),))
SPEC = Goal(GoalKind.SPEC)


class Resolver(FakePolicies):
    """Refuses to load a set that says so."""

    async def resolve(self, spec: Any, *, origin: Any) -> PolicyModules:
        if "refuse" in spec.params:
            raise SetpointError("refused")
        return await super().resolve(spec, origin=origin)


class Desk:
    """A gatekeeper over a cluster in memory, and one Change of the example Environment."""

    def __init__(self, cluster: InMemoryCluster, clock: FakeClock, environment: Environment) -> None:
        self.cluster, self.clock, self.environment = cluster, clock, environment
        self.policies, self.metrics = Resolver(), Metrics()
        self.change_by: str | None = None
        self.judged: Judged | None = PlainDocument({})
        self.unread: tuple[Unread, ...] = ()
        self.change = Change(
            target=environment.ref,
            cause="SpecChanged",
            digest=DIGESTS["a"],
            base="7",
            configuration=DIGESTS["c"],
            generation=3,
            actions=(),
            summary=ChangeSummary(update=1, text="+0 ~1 -0"),
        )
        self.trail = MemoryAuditLog()
        self.gatekeeper = self.make_gatekeeper(witness=None)

    def make_gatekeeper(self, *, witness: MemoryAuditLog | None) -> Gatekeeper:
        gates = GateReader(
            cluster=self.cluster, policies=self.policies, origin_of=lambda _: None, unread=lambda: self.unread
        )
        return Gatekeeper(
            cluster=self.cluster,
            gates=gates,
            engine=self.policies,
            clock=self.clock,
            metrics=self.metrics,
            witness=witness,
        )

    async def policy_set(self, name: str = "rules", **spec: Any) -> None:
        await self.cluster.add(example("PolicySet", name=name, **{"source": {"inline": {"a.rego": "a"}}, **spec}))

    async def gates(self, *gates: dict[str, Any], name: str = "org") -> None:
        complete = [
            {"name": "g", "stages": ["plan", "apply", "reset"], "policySets": [{"name": "rules"}], **gate}
            for gate in gates
        ]
        await self.cluster.add(example("EnforcementGates", name=name, gates=complete))

    async def gather(self) -> GateContext:
        return (await self.gatekeeper.gates.gather(self.environment)).over(self.change.cause)

    async def subject(self) -> str:
        context = await self.gather()
        required = context.required_approvals(self.change, SPEC, ())
        return context.subject(self.change, SNAPSHOT, WAY_BACK, required=required)

    async def work(self, goal: Goal = SPEC, *, required: int = 0) -> tuple[Pass, Proposed]:
        """A pass, and what it has come to the gates with."""
        draft = StatusDraft(self.environment, self.clock.now())
        stored = StoredStatus(self.cluster, self.environment)
        work = Pass(self.environment, goal, "run-1", SimpleNamespace(), draft, stored, Ending())
        seen = Observation("7", DIGESTS["c"], (), self.judged)
        guarded = Guarded(Observed(seen, ()), self.change, SNAPSHOT, WAY_BACK)
        spec = SimpleNamespace(subject=DIGESTS["e"], requested_by=self.change_by)
        status = SimpleNamespace(review=None)
        record = SimpleNamespace(metadata=SimpleNamespace(name="shop-prod-1"), spec=spec, status=status)
        return work, Proposed(guarded, await self.gather(), required, spec, record)

    async def say(self, who: str, verdict: str = "Approved") -> None:
        spec = {"changeRef": {"name": "shop-prod-1"}, "subject": DIGESTS["e"], "verdict": verdict, "approver": who}
        await self.cluster.add(example("Approval", name=who, reason="because", **spec))


@pytest.fixture
def desk(cluster: InMemoryCluster, clock: FakeClock, environment: Environment) -> Desk:
    return Desk(cluster, clock, environment)


def replace(desk: Desk, **changes: Any) -> None:
    desk.change = dataclasses.replace(desk.change, **changes)


# --- Which gates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "cause", "stages"),
    [
        pytest.param({}, "SpecChanged", ["plan", "apply"], id="all stages"),
        pytest.param({}, "Reset", ["reset"], id="of a reset"),
        pytest.param({"stages": ["apply"]}, "SpecChanged", ["apply"], id="before the apply"),
        pytest.param({"stages": ["plan"]}, "Reset", [], id="not of a reset"),
        pytest.param({"selector": {"stages": ["prod"]}}, "Drift", ["plan", "apply"], id="of the target's stage"),
        pytest.param({"selector": {"stages": ["dev"]}}, "Drift", [], id="of another stage"),
        pytest.param({"selector": {"labels": {"team": "shop"}}}, "Drift", ["plan", "apply"], id="of its label"),
        pytest.param({"selector": {"labels": {"team": "pay"}}}, "Drift", [], id="of another label"),
    ],
)
async def test_which_gates_guard_a_change(desk: Desk, gate: dict, cause: str, stages: list[str]) -> None:
    desk.environment.metadata.labels["team"] = "shop"
    await desk.gates(gate)
    replace(desk, cause=cause)
    context = await desk.gather()
    assert [stage for stage, selected in context.gates.items() if selected] == stages


@pytest.mark.parametrize(
    ("sets", "loaded"),
    [
        pytest.param({"rules": {}}, {"rules"}, id="named"),
        pytest.param({"rules": {}, "others": {}}, {"rules"}, id="not named"),
        pytest.param({"rules": {"params": {"refuse": 1}}}, set(), id="does not load"),
        pytest.param({}, set(), id="missing"),
    ],
)
async def test_the_policies_that_are_asked(desk: Desk, sets: dict[str, dict], loaded: set[str]) -> None:
    for name, spec in sets.items():
        await desk.policy_set(name, **spec)
    await desk.gates({})
    assert (await desk.gather()).modules.keys() == loaded


@pytest.mark.parametrize(
    ("namespace", "distant", "command"),
    [
        pytest.param("default", False, "setpoint approve c", id="here"),
        pytest.param("shop", False, "setpoint approve c -n shop", id="in a namespace"),
        pytest.param("default", True, "setpoint approve c --context NAME", id="on a cluster"),
        pytest.param("shop", True, "setpoint approve c -n shop --context NAME", id="in a namespace of a cluster"),
    ],
)
async def test_what_a_person_types_to_approve(desk: Desk, namespace: str, distant: bool, command: str) -> None:
    desk.environment = Environment.model_validate(example("Environment", namespace=namespace))
    context = dataclasses.replace(await desk.gather(), distant=distant)
    assert context.approve_command("c") == command


# --- What an approval names ---------------------------------------------------------------------------------------


async def test_the_same_is_the_same_subject(desk: Desk) -> None:
    await desk.policy_set()
    await desk.gates({})
    assert await desk.subject() == await desk.subject()


async def another_gate(desk: Desk) -> None:
    await desk.gates({"name": "h"}, name="more")


async def another_policy(desk: Desk) -> None:
    found = await desk.cluster.get(ObjectRef("PolicySet", "", "rules"))
    await desk.cluster.update({**found, "spec": {"source": {"inline": {"a.rego": "b"}}}})


def respecified(**spec: Any) -> Any:
    async def move(desk: Desk) -> None:
        desk.environment = Environment.model_validate(example("Environment", **spec))

    return move


async def an_apply(desk: Desk) -> None:
    desk.environment = Environment.model_validate(example("Environment", status={"attempts": 1}))


@pytest.mark.parametrize(
    "move",
    [
        pytest.param({"digest": DIGESTS["f"]}, id="content"),
        pytest.param({"cause": "Drift"}, id="cause"),
        pytest.param({"named": {"bundle": None}}, id="code"),
        pytest.param({"named": {"stateVersion": 8}}, id="state"),
        pytest.param(another_gate, id="a gate"),
        pytest.param(another_policy, id="a policy"),
        pytest.param(an_apply, id="an apply"),
        pytest.param({"orphans": ("a.b",)}, id="a suspected orphan"),
        pytest.param(respecified(approvals={"required": 0}), id="fewer approvals"),
        pytest.param(respecified(approvals={"required": 1, "ttl": "9h"}), id="approvals count for longer"),
        pytest.param(respecified(apply={"mode": "Auto"}, approvals={}), id="the mode of applies"),
        pytest.param(respecified(protection={}), id="protection"),
        pytest.param(
            respecified(protection={"types": ["aws_db_instance"], "deletionPolicy": "Destroy"}), id="deletion policy"
        ),
    ],
)
async def test_whatever_moves_voids_an_approval(desk: Desk, move: Any) -> None:
    await desk.policy_set()
    await desk.gates({})
    before = await desk.subject()
    if callable(move):
        await move(desk)
    else:
        replace(desk, **move)
    assert await desk.subject() != before


@pytest.mark.parametrize(
    ("spec", "change", "drifted", "required"),
    [
        pytest.param({}, {}, False, 1, id="by hand"),
        pytest.param({"apply": {"mode": "Auto"}}, {}, False, 0, id="automatic"),
        pytest.param({"apply": {"mode": "Auto"}}, {}, True, 1, id="drift comes along"),
        pytest.param({"apply": {"mode": "Auto"}}, {"orphans": ("a.b",)}, False, 1, id="something may be lost"),
        pytest.param({"apply": {"mode": "Auto"}, "approvals": {"required": 2}}, {}, False, 2, id="asked for"),
        pytest.param({"drift": {"mode": "Heal"}}, {"cause": "Drift"}, True, 0, id="healed"),
    ],
)
async def test_how_many_must_approve(desk: Desk, spec: dict, change: dict, drifted: bool, required: int) -> None:
    desk.environment = Environment.model_validate(example("Environment", **{"approvals": {}, **spec}))
    replace(desk, **change)
    findings = [Finding("a.b", DriftClass.ACTIONABLE, "update", ignored=not drifted)]
    assert (await desk.gather()).required_approvals(desk.change, SPEC, findings) == required


async def test_a_gate_of_two_stages_asks_once(desk: Desk) -> None:
    await desk.gates({"policySets": [], "approvals": 3})
    assert (await desk.gather()).required_approvals(desk.change, SPEC, []) == 3


# --- Four eyes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec_by", "change_by", "approvers", "verdict"),
    [
        pytest.param("paula", "paula", ["paula"], Verdict.PENDING, id="who asked"),
        pytest.param("paula", "paula", ["paula", "ada"], Verdict.PASS, id="who asked and another"),
        pytest.param("paula", "paula", ["ada"], Verdict.PASS, id="another"),
        pytest.param("eve", "paula", ["paula"], Verdict.PENDING, id="who asked first stays out"),
        pytest.param("eve", "paula", ["eve"], Verdict.PENDING, id="who touched the spec since"),
        pytest.param("paula", None, ["paula"], Verdict.PENDING, id="a Change from before its maker was noted"),
        pytest.param("", "paula", ["ada"], Verdict.INDETERMINATE, id="nobody knows"),
    ],
)
async def test_who_asked_does_not_approve(
    desk: Desk, spec_by: str, change_by: str | None, approvers: list[str], verdict: Verdict
) -> None:
    await desk.gates({"policySets": [], "fourEyes": True})
    desk.environment.metadata.annotations[REQUESTED_BY_ANNOTATION] = spec_by
    desk.change_by = change_by
    for who in approvers:
        await desk.say(who)
    assert (await desk.gatekeeper.decide(*await desk.work(required=1), "plan")).verdict is verdict


async def test_without_such_a_gate_who_asked_may_approve(desk: Desk) -> None:
    desk.environment.metadata.annotations[REQUESTED_BY_ANNOTATION] = desk.change_by = "paula"
    await desk.gates({"policySets": [], "approvals": 1})
    await desk.say("paula")
    assert (await desk.gatekeeper.decide(*await desk.work(required=1), "plan")).verdict is Verdict.PASS


async def test_who_asked_for_a_reset_does_not_approve_it(desk: Desk) -> None:
    await desk.gates({"policySets": [], "fourEyes": True})
    replace(desk, cause="Reset")
    reset = Reset.model_validate(example("Reset", requestedBy="ada"))
    await desk.say("ada")
    goal = Goal(GoalKind.SNAPSHOT, reset, SimpleNamespace())
    decision = await desk.gatekeeper.decide(*await desk.work(goal, required=1), "reset")
    assert (decision.verdict, decision.barred) == (Verdict.PENDING, ("ada",))


# --- The decision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gates", "sets", "answer", "verdict"),
    [
        pytest.param([], {}, DENY, Verdict.PASS, id="no gate"),
        pytest.param([{}], {"rules": {}}, PolicyResult(), Verdict.PASS, id="passes"),
        pytest.param([{}], {"rules": {}}, DENY, Verdict.FAIL, id="fails"),
        pytest.param([{"level": "advisory"}], {"rules": {}}, DENY, Verdict.PASS, id="only warns"),
        pytest.param([{}], {}, PolicyResult(), Verdict.ERROR, id="no set"),
        pytest.param([{}], {"rules": {"params": {"refuse": 1}}}, PolicyResult(), Verdict.ERROR, id="no good set"),
        pytest.param([{}], {"rules": {}}, PolicyResult(error="out of memory"), Verdict.ERROR, id="no answer"),
        pytest.param(
            [{"policySets": [{"name": "rules", "digest": DIGESTS["a"]}]}],
            {"rules": {}},
            PolicyResult(),
            Verdict.ERROR,
            id="another content than pinned",
        ),
    ],
)
async def test_what_the_gates_come_to(
    desk: Desk, gates: list[dict], sets: dict, answer: PolicyResult, verdict: Verdict
) -> None:
    for name, spec in sets.items():
        await desk.policy_set(name, **spec)
    if gates:
        await desk.gates(*gates)
    desk.policies.answer = answer
    decision = await desk.gatekeeper.decide(*await desk.work(), "plan")
    assert decision.verdict is verdict
    for result in decision.results:
        series = f'setpoint_gate_decisions_total{{gate="{result.gate}",stage="plan",verdict="{result.verdict}"}} 1.0'
        assert series in desk.metrics.render().decode()


async def test_gates_that_can_not_be_read_block(desk: Desk) -> None:
    await desk.cluster.plant(example("EnforcementGates", name="old", gates=[{"name": "g", "rules": []}]))
    decision = await desk.gatekeeper.decide(*await desk.work(), "apply")
    assert decision.verdict is Verdict.ERROR
    assert not decision.permits_apply
    assert "EnforcementGates old: spec.gates.0.stages" in decision.results[0].messages[0]


SET = frozenset({"PolicySet"})
GATES = frozenset({"EnforcementGates"})


@pytest.mark.parametrize(
    ("unread", "gate", "says"),
    [
        pytest.param(Unread("g.yaml:3: no"), None, "gates: g.yaml:3: no", id="anything"),
        pytest.param(Unread("g.yaml:3: no", GATES, "org"), None, "gates: g.yaml:3: no", id="gates"),
        pytest.param(Unread("g.yaml:3: no"), {"level": "advisory"}, "gates: g.yaml:3: no", id="a mild gate beside"),
        pytest.param(
            Unread("p.yaml:3: no", SET, "rules"), {}, "g: PolicySet rules: p.yaml:3: no", id="policies that are asked"
        ),
        pytest.param(Unread("p.yaml:3: no", SET, "rules"), None, "", id="policies that nobody asks"),
        pytest.param(Unread("p.yaml:3: no", SET, "others"), {}, "", id="other policies"),
        pytest.param(Unread("p.yaml:3: no", SET), {}, "", id="policies without a name, and all are there"),
        pytest.param(
            Unread("p.yaml:3: no", SET),
            {"policySets": [{"name": "gone"}]},
            "g: PolicySet gone: p.yaml:3: no",
            id="policies without a name, and some are missing",
        ),
    ],
)
async def test_manifests_that_may_govern_and_can_not_be_read(
    desk: Desk, unread: Unread, gate: dict | None, says: str
) -> None:
    await desk.policy_set()
    if gate is not None:
        await desk.gates(gate)
    desk.unread = (unread,)
    for stage in ("plan", "apply"):
        decision = await desk.gatekeeper.decide(*await desk.work(), stage)
        assert decision.verdict is (Verdict.ERROR if says else Verdict.PASS)
        blocking = [f"{result.gate}: {result.messages[0]}" for result in decision.results if result.blocks]
        assert blocking == ([says] if says else [])


@pytest.mark.parametrize("kind", ["EnforcementGates", "PolicySet"])
async def test_what_was_read_before_and_is_broken_since_blocks(desk: Desk, kind: str) -> None:
    await desk.policy_set()
    await desk.gates({})
    name = "org" if kind == "EnforcementGates" else "rules"
    await desk.cluster.annotate(ObjectRef(kind, "", name), {MANIFEST_ERROR_ANNOTATION: "g.yaml:3: no"})
    desk.unread = (Unread("g.yaml:3: no", frozenset({kind}), name),)
    decision = await desk.gatekeeper.decide(*await desk.work(), "apply")
    blocking = [result.messages for result in decision.results if result.blocks]
    assert blocking == [["g.yaml:3: no"] if kind == "EnforcementGates" else ["PolicySet rules: g.yaml:3: no"]]


async def test_policies_of_another_schema_are_named_with_the_field(desk: Desk) -> None:
    await desk.cluster.plant(example("PolicySet", name="rules", source={}))
    await desk.gates({})
    decision = await desk.gatekeeper.decide(*await desk.work(), "apply")
    assert decision.verdict is Verdict.ERROR
    assert decision.results[0].messages[0].startswith("PolicySet rules: spec.source: ")


@pytest.mark.parametrize(("change", "verdict"), [("shop-prod-1", Verdict.ERROR), ("shop-prod-2", Verdict.PASS)])
async def test_an_approval_that_can_not_be_read_may_be_a_rejection(desk: Desk, change: str, verdict: Verdict) -> None:
    await desk.cluster.plant(example("Approval", name="old", changeRef={"name": change}, verdict="Perhaps"))
    assert (await desk.gatekeeper.decide(*await desk.work(), "apply")).verdict is verdict


async def test_a_change_of_which_policies_are_shown_nothing_is_blocked(desk: Desk) -> None:
    """Asked over nothing, every rule would have passed."""
    await desk.policy_set()
    await desk.gates({})
    desk.judged = None
    decision = await desk.gatekeeper.decide(*await desk.work(), "apply")
    assert (decision.verdict, decision.results[0].blocks) == (Verdict.ERROR, True)
    assert decision.results[0].messages[0].startswith("policies were shown nothing of this Change")
    assert not desk.policies.asked


async def test_what_a_policy_is_told(desk: Desk) -> None:
    await desk.policy_set()
    await desk.gates({})
    await desk.gatekeeper.decide(*await desk.work(), "plan")
    (document,) = desk.policies.asked
    assert document["target"] == {
        "kind": "Environment",
        "namespace": "default",
        "name": "shop-prod",
        "stage": "prod",
        "labels": {},
    }
    assert (document["gate"], document["now"]) == ({"name": "g", "stage": "plan"}, "2026-01-01T00:00:00Z")
    assert document["change"]["summary"]["update"] == 1


# --- In words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "required", "conditions", "ready"),
    [
        pytest.param({}, 0, {"Gated": "True", "Approved": "True"}, None, id="passes"),
        pytest.param({}, 1, {"Gated": "Unknown", "Approved": "False"}, "ApprovalRequired", id="waits"),
        pytest.param({"ada": "Approved"}, 1, {"Gated": "True", "Approved": "True"}, None, id="approved"),
        pytest.param(
            {"ada": "Approved"}, 2, {"Gated": "Unknown", "Approved": "False"}, "ApprovalRequired", id="1 of 2"
        ),
        pytest.param({"ada": "Rejected"}, 1, {"Gated": "False", "Rejected": "True"}, "Rejected", id="rejected"),
    ],
)
async def test_what_people_see(desk: Desk, said: dict, required: int, conditions: dict, ready: str | None) -> None:
    for who, verdict in said.items():
        await desk.say(who, verdict)
    work, proposed = await desk.work(required=required)
    decision = await desk.gatekeeper.decide(work, proposed, "plan")
    stated = change_conditions(decision)
    assert {type_.value: status for type_, status, _, _ in stated} == conditions
    show_decision(work.draft, proposed, decision)
    assert Gated(proposed, decision).passes is (ready is None)
    condition = work.draft.get(ConditionType.READY)
    assert (condition.reason if condition else None) == ready
    if ready:
        assert "shop-prod-1" in condition.message


async def test_a_blocked_change_says_by_what(desk: Desk) -> None:
    await desk.policy_set()
    await desk.gates({})
    desk.policies.answer = DENY
    work, proposed = await desk.work()
    show_decision(work.draft, proposed, await desk.gatekeeper.decide(work, proposed, "plan"))
    condition = work.draft.get(ConditionType.READY)
    assert condition.reason == "GateBlocked"
    assert condition.message.startswith("Change shop-prod-1 is blocked: gate g: [medium] r1: no")


# --- Approvals that the trail tells of ----------------------------------------------------------------------------


async def test_where_nobody_else_proves_it_an_approval_counts_only_with_its_own_row(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk.gatekeeper = desk.make_gatekeeper(witness=desk.trail)
    monkeypatch.setattr("tests.fakes.store.AT", desk.clock.now().isoformat())
    await desk.say("ada")
    await desk.say("bob")
    payload = {"approval": "ada"}
    entry = AuditEntry("approve", Phase.FACT, "ada", desk.environment.ref, result="shop-prod-1", payload=payload)
    await desk.trail.append(dataclasses.replace(entry, digests={"subject": DIGESTS["e"]}))
    decision = await desk.gatekeeper.decide(*await desk.work(required=2), "plan")
    assert (decision.approved_by, decision.missing) == (("ada",), 1)
    assert "bob is in no row of the audit trail" in caplog.text
    desk.gatekeeper = desk.make_gatekeeper(witness=None)
    assert (await desk.gatekeeper.decide(*await desk.work(required=2), "plan")).missing == 0, "the API server proves it"
