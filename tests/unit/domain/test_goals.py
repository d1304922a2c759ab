"""The goal that a pass drives an Environment to, and why a Change is made."""

from typing import Any

import pytest
from tests.fakes.examples import condition, example

from setpoint.api.meta import RESUME_ANNOTATION, SUSPEND_ANNOTATION
from setpoint.api.v1alpha1.environment import Environment
from setpoint.api.v1alpha1.reset import Reset
from setpoint.api.v1alpha1.snapshot import Snapshot
from setpoint.domain.findings import DriftClass, Finding
from setpoint.domain.goals import (
    Goal,
    GoalKind,
    cause_of,
    choose_goal,
    continued_goal,
    hold_released,
    is_open,
    oldest_open_reset,
)

BUNDLE = "sha256:" + "1" * 64
HELD = {"hold": {"reason": "AfterReset", "since": "2026-01-02T00:00:00Z", "generation": 3}}
APPLIED = {
    "applied": {
        "change": "shop-prod-a1b2c3d4e506060606060606060606060606",
        "bundle": BUNDLE,
        "archive": BUNDLE,
        "variables": BUNDLE,
        "revision": "r",
        "generation": 3,
        "at": "2026-01-01T00:00:00Z",
    }
}


def environment(status: dict[str, Any] | None = None, **metadata: Any) -> Environment:
    spec = metadata.pop("spec", {})
    obj = example("Environment", status=status or {}, **spec)
    obj["metadata"] |= {"generation": 3, **metadata}
    return Environment.model_validate(obj)


def reset(
    name: str = "back", *, status: dict[str, Any] | None = None, created: str | None = None, **spec: Any
) -> Reset:
    obj = example("Reset", name=name, status=status or {}, **spec)
    obj["metadata"] |= {"creationTimestamp": created} if created else {}
    return Reset.model_validate(obj)


def snapshot(bundle: str | None = BUNDLE) -> Snapshot:
    return Snapshot.model_validate(example("Snapshot", environment={"bundle": bundle}))


DELETED = {"deletionTimestamp": "2026-01-03T00:00:00Z", "finalizers": ["x"]}
DESTROY = {"protection": {"deletionPolicy": "Destroy"}}
RESUMED = {"annotations": {RESUME_ANNOTATION: "2026-01-02T00:00:01Z"}}
SUSPENDED = {"annotations": {SUSPEND_ANNOTATION: "ada"}}


@pytest.mark.parametrize(
    ("target", "asked", "kind"),
    [
        pytest.param(environment(), False, GoalKind.SPEC, id="nothing-special"),
        pytest.param(environment(HELD), False, GoalKind.HOLD, id="held"),
        pytest.param(environment(HELD, generation=4), False, GoalKind.SPEC, id="held-then-spec-changed"),
        pytest.param(environment(HELD, **RESUMED), False, GoalKind.SPEC, id="held-then-resumed"),
        pytest.param(environment(), True, GoalKind.SNAPSHOT, id="reset"),
        pytest.param(environment(HELD), True, GoalKind.SNAPSHOT, id="reset-while-held"),
        pytest.param(environment(spec={"suspend": True}), False, GoalKind.SUSPENDED, id="suspended"),
        pytest.param(environment(**SUSPENDED), True, GoalKind.SUSPENDED, id="suspended-by-a-person-outranks-reset"),
        pytest.param(environment(**DELETED), False, GoalKind.RELEASE, id="deleted-retain"),
        pytest.param(environment(APPLIED, **DELETED), True, GoalKind.RELEASE, id="deleted-outranks-reset"),
        pytest.param(environment(APPLIED, **DELETED, spec=DESTROY), False, GoalKind.DESTROY, id="deleted-destroy"),
        pytest.param(
            environment(APPLIED, **DELETED, spec={**DESTROY, "suspend": True}),
            False,
            GoalKind.DESTROY,
            id="deleted-outranks-suspended",
        ),
        pytest.param(environment(**DELETED, spec=DESTROY), False, GoalKind.RELEASE, id="deleted-never-applied"),
    ],
)
def test_choose_goal(target: Environment, asked: bool, kind: GoalKind) -> None:
    governs = target.status.applied is not None
    goal = choose_goal(target, reset() if asked else None, snapshot() if asked else None, governs=governs)
    assert goal.kind is kind
    assert (goal.reset is not None) is (goal.snapshot is not None) is (kind is GoalKind.SNAPSHOT)


@pytest.mark.parametrize(("status", "kind"), [({}, GoalKind.SPEC), (HELD, GoalKind.HOLD)], ids=["free", "held"])
def test_a_reset_without_its_snapshot_is_no_goal(status: dict[str, Any], kind: GoalKind) -> None:
    assert choose_goal(environment(status), reset(), None, governs=False).kind is kind


@pytest.mark.parametrize(
    ("goal", "destroys", "proposes"),
    [
        pytest.param(Goal(GoalKind.SPEC), False, True, id="spec"),
        pytest.param(Goal(GoalKind.SNAPSHOT, reset(), snapshot()), False, True, id="snapshot"),
        pytest.param(Goal(GoalKind.SNAPSHOT, reset(), snapshot(None)), True, True, id="before-the-first-apply"),
        pytest.param(Goal(GoalKind.DESTROY), True, True, id="destroy"),
        pytest.param(Goal(GoalKind.HOLD), False, False, id="hold"),
        pytest.param(Goal(GoalKind.RELEASE), False, False, id="release"),
        pytest.param(Goal(GoalKind.SUSPENDED), False, False, id="suspended"),
    ],
)
def test_what_a_goal_may_do(goal: Goal, destroys: bool, proposes: bool) -> None:
    assert (goal.destroys, goal.proposes) == (destroys, proposes)


@pytest.mark.parametrize(
    ("target", "cause", "due", "back"),
    [
        pytest.param(environment(), "SpecChanged", False, "", id="nothing-came"),
        pytest.param(environment(generation=4), "SpecChanged", False, "", id="an-edit-is-next"),
        pytest.param(environment(**SUSPENDED), "SpecChanged", False, "the Environment was suspended", id="suspended"),
        pytest.param(environment(HELD), "Drift", False, "the Environment is held", id="held"),
        pytest.param(environment(HELD, **RESUMED), "Drift", False, "", id="held-and-resumed"),
        pytest.param(environment(), "Drift", True, "a reset was asked for", id="reset"),
        pytest.param(environment(**DELETED), "SpecChanged", False, "the Environment was deleted", id="deleted"),
        pytest.param(environment(**DELETED), "Destroy", False, "", id="a-destruction"),
        pytest.param(environment(), "Destroy", False, "the deletion was taken back", id="a-deletion-taken-back"),
        pytest.param(environment(HELD), "Reset", True, "", id="a-reset-while-held"),
        pytest.param(environment(**SUSPENDED), "Reset", False, "the Environment was suspended", id="a-reset-suspended"),
    ],
)
def test_what_comes_meanwhile_asks_an_accepted_apply_to_go_back(
    target: Environment, cause: Any, due: bool, back: str
) -> None:
    carried_out = (reset(), snapshot()) if cause == "Reset" else None
    goal = continued_goal(target, cause, carried_out, reset_due=due, rejected_by=())
    assert (goal.kind, goal.back, goal.rejected) == (GoalKind.CONTINUE, back, False)
    began = {"Destroy": GoalKind.DESTROY, "Reset": GoalKind.SNAPSHOT}.get(cause, GoalKind.SPEC)
    assert (goal.aim, goal.destroys, goal.proposes) == (began, cause == "Destroy", False)


def test_a_reset_that_is_gone_and_a_rejection_ask_it_to_go_back() -> None:
    gone = continued_goal(environment(), "Reset", None, reset_due=False, rejected_by=())
    assert (gone.back, gone.rejected) == ("its Reset is gone", False)
    rejected = continued_goal(environment(), "Drift", None, reset_due=False, rejected_by=["bob", "ada", "bob"])
    assert (rejected.back, rejected.rejected) == ("it was rejected by ada, bob", True)


@pytest.mark.parametrize(
    ("target", "released"),
    [
        pytest.param(environment(), True, id="no-hold"),
        pytest.param(environment(HELD), False, id="held"),
        pytest.param(environment(HELD, generation=4), True, id="spec-changed"),
        pytest.param(environment(HELD, generation=2), True, id="spec-of-another-generation"),
        pytest.param(environment(HELD, **RESUMED), True, id="resumed-after"),
        pytest.param(
            environment(HELD, annotations={RESUME_ANNOTATION: "2026-01-02T00:00:00Z"}), True, id="resumed-at-once"
        ),
        pytest.param(
            environment(HELD, annotations={RESUME_ANNOTATION: "2026-01-01T23:59:59Z"}), False, id="an-earlier-resume"
        ),
        pytest.param(environment(HELD, annotations={RESUME_ANNOTATION: "now"}), False, id="resume-is-no-time"),
        pytest.param(environment(HELD, annotations={RESUME_ANNOTATION: ""}), False, id="resume-is-empty"),
    ],
)
def test_hold_released(target: Environment, released: bool) -> None:
    assert hold_released(target) is released


def completed(status: str) -> dict[str, Any]:
    return {"conditions": [condition("Complete", status, "Applied")]}


@pytest.mark.parametrize(
    ("status", "open_"),
    [
        pytest.param({}, True, id="new"),
        pytest.param(completed("Unknown"), True, id="under-way"),
        pytest.param(completed("True"), False, id="done"),
        pytest.param(completed("False"), False, id="will-never-be"),
    ],
)
def test_a_reset_is_open_until_its_end_is_known(status: dict[str, Any], open_: bool) -> None:
    assert is_open(reset(status=status).status) is open_


def test_the_oldest_open_reset_of_this_environment_goes_first() -> None:
    resets = [
        reset("done", created="2026-01-01T00:00:00Z", status=completed("True")),
        reset("other", created="2026-01-02T00:00:00Z", targetRef={"kind": "Environment", "name": "another"}),
        reset("younger", created="2026-01-05T00:00:00Z"),
        reset("b-older", created="2026-01-03T00:00:00Z"),
        reset("a-older", created="2026-01-03T00:00:00Z"),
    ]
    chosen = oldest_open_reset(resets, environment())
    assert chosen is not None
    assert chosen.metadata.name == "a-older"
    assert oldest_open_reset(resets[:2], environment()) is None


SPEC = Goal(GoalKind.SPEC)


@pytest.mark.parametrize(
    ("goal", "classes", "changed", "cause"),
    [
        pytest.param(SPEC, ["actionable"], False, "Drift", id="drift"),
        pytest.param(SPEC, ["actionable", "cascade", "informational"], False, "Drift", id="drift-and-what-follows"),
        pytest.param(SPEC, ["actionable", "pending"], False, "SpecChanged", id="drift-and-spec"),
        pytest.param(SPEC, ["pending"], False, "SpecChanged", id="spec"),
        pytest.param(SPEC, ["cascade"], False, "SpecChanged", id="cascade-of-nothing-that-is-healed"),
        pytest.param(SPEC, ["actionable", "ignored pending"], False, "Drift", id="ignored-does-not-count"),
        pytest.param(SPEC, ["ignored actionable", "pending"], False, "SpecChanged", id="ignored-drift"),
        pytest.param(SPEC, ["actionable"], True, "SpecChanged", id="first-apply"),
        pytest.param(Goal(GoalKind.DESTROY), ["actionable"], False, "Destroy", id="destroy"),
        pytest.param(Goal(GoalKind.SNAPSHOT, reset(), snapshot()), ["actionable"], False, "Reset", id="reset"),
    ],
)
def test_cause_of(goal: Goal, classes: list[str], changed: bool, cause: str) -> None:
    findings = [
        Finding(f"a.r{index}", DriftClass(text.split()[-1]), "update", ignored=text.startswith("ignored"))
        for index, text in enumerate(classes)
    ]
    assert cause_of(goal, findings, in_force=not changed) == cause
