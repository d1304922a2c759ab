"""Requests that people make: approve, reject, reset, reconcile, suspend, resume, import-state, audit."""

import datetime as dt
import json
import re
from typing import Any

import pytest
import yaml
from tests.fakes.examples import CHANGE_STATUS, condition, example
from tests.fakes.home import FakeHome, FakeWiring, Report, Run

from setpoint.api.meta import RECONCILE_ANNOTATION, RESUME_ANNOTATION, SUSPEND_ANNOTATION, ObjectRef
from setpoint.api.model import parse_time
from setpoint.api.v1alpha1 import Approval, Reset
from setpoint.cli.approvals import approval_name
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.targets.environment import import_state

CHANGE = "shop-prod-a1b2c3d4e506060606060606060606060606"
SUBJECT = example("Change")["spec"]["subject"]
SHOP = ObjectRef("Environment", "default", "shop-prod")


@pytest.fixture
def change(home: FakeHome) -> dict[str, Any]:
    return home.add(example("Change", status=CHANGE_STATUS))


# --- approve and reject ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [CHANGE, f"change/{CHANGE}", f"chg/{CHANGE}", f"changes.setpoint.dev/{CHANGE}"])
def test_approve__copies_the_subject_that_it_shows(run: Run, home: FakeHome, change: dict[str, Any], word: str) -> None:
    result = run("approve", word)
    assert result.exit_code == 0, result.stderr
    approval = Approval.model_validate(home.objects("Approval")[0])
    assert approval.spec.subject == change["spec"]["subject"]
    assert approval.spec.change_ref.name == CHANGE
    assert (approval.spec.verdict, approval.spec.approver, approval.spec.proven) == ("Approved", "Ada.Lovelace", False)
    assert approval.metadata.name.startswith(f"{CHANGE}-ada-lovelace-")


def test_approve__shows_what_is_approved(run: Run, change: dict[str, Any]) -> None:
    lines = run("approve", CHANGE).stdout.splitlines()
    assert lines[:3] == [
        f"Change:        {CHANGE}: +0 ~1 -0 (Drift)",
        "Target:        environment/shop-prod",
        f"Subject:       {SUBJECT}",
    ]
    text = "\n".join(lines)
    assert 'should be):\n  ~   aws_instance.web\n        ~ tags.owner: "mallory" → "ada"\n' in text
    assert "Way back:\n  can be undone\n  drilled: it plans today" in text
    assert "Gates:\n  baseline (plan): Pass\n  four-eyes (plan): Pending, blocks\n    two people must agree" in text
    assert "Approvals:\n  0 of 1 approvals; 1 more is missing\n" in text
    assert f"change/{CHANGE} approved by Ada.Lovelace" in text


@pytest.mark.parametrize("word", ["approve", "describe"])
def test_approve__shows_what_is_lost_already(run: Run, home: FakeHome, word: str) -> None:
    home.add(example("Change", status=CHANGE_STATUS, notes=["made anew, empty; what it held is gone: t.a\x1b[2J"]))
    shown = run(word, CHANGE if word == "approve" else f"change/{CHANGE}").stdout
    assert "Notes:\n  made anew, empty; what it held is gone: t.a" in shown
    assert "\x1b[2J" not in shown


def test_approve__is_in_the_trail_with_the_write(run: Run, home: FakeHome, change: dict[str, Any]) -> None:
    run("approve", CHANGE, "--reason", "looked at it")
    (entry,) = home.cluster.audit
    assert (entry.action, entry.phase, entry.actor, entry.target) == ("approve", Phase.FACT, "Ada.Lovelace", SHOP)
    assert entry.digests["subject"] == change["spec"]["subject"]
    assert entry.result == CHANGE
    assert entry.payload is not None
    assert entry.payload["reason"] == "looked at it"


def test_approve__json__is_the_approval_alone(run: Run, home: FakeHome, change: dict[str, Any]) -> None:
    printed = json.loads(run("approve", CHANGE, "-o", "json").stdout)
    assert printed == home.objects("Approval")[0]


def gate(verdict: str, *, overridable: bool = False, name: str = "radius") -> dict[str, Any]:
    """A gate that blocks."""
    said = {"gate": name, "stage": "plan", "verdict": verdict, "blocks": True, "messages": ["too many deletes."]}
    return {**said, "overridable": overridable}


def test_approve__override__passes_a_gate_that_can_be(run: Run, home: FakeHome) -> None:
    home.add(example("Change", status={"gates": [gate("Fail", overridable=True)]}))
    result = run("approve", CHANGE)
    assert result.exit_code == 1
    assert "gate 'radius' blocks it (too many deletes)" in result.stderr
    assert "--override radius --reason WHY" in result.stderr
    assert run("approve", CHANGE, "--override", "radius", "--reason", "planned").exit_code == 0
    assert home.objects("Approval")[0]["spec"]["overrides"] == ["radius"]


@pytest.mark.parametrize("reason", [(), ("--reason", " ")], ids=["none", "blank"])
def test_approve__override_without_a_reason__is_wrong_usage(run: Run, home: FakeHome, reason: tuple[str, ...]) -> None:
    home.add(example("Change", status={"gates": [gate("Fail", overridable=True)]}))
    result = run("approve", CHANGE, "--override", "radius", *reason)
    assert result.exit_code == 2
    assert "--override needs a --reason" in result.stderr
    assert home.objects("Approval") == []


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        ("Fail", "what it found is mandatory"),
        ("Error", "it could not decide"),
        ("Indeterminate", "it could not decide"),
        ("Pending", "it waits for people"),
    ],
)
def test_approve__override_of_what_nobody_can_pass__is_refused(
    run: Run, home: FakeHome, verdict: str, why: str
) -> None:
    home.add(example("Change", status={"gates": [gate(verdict), gate("Fail", overridable=True, name="cost")]}))
    result = run("approve", CHANGE, "--override", "radius", "--reason", "r")
    assert result.exit_code == 1
    assert f"gate 'radius' can't be overridden: {why}; gates that can be: cost" in result.stderr
    assert home.objects("Approval") == []


@pytest.mark.parametrize("verdict", ["Fail", "Error", "Indeterminate"])
def test_approve__of_what_a_gate_blocks__is_refused(run: Run, home: FakeHome, verdict: str) -> None:
    home.add(example("Change", status={"gates": [gate(verdict)]}))
    result = run("approve", CHANGE)
    assert result.exit_code == 1
    assert "is blocked: gate 'radius'" in result.stderr
    assert "no approval changes that" in result.stderr
    assert "--override" not in result.stderr
    assert home.objects("Approval") == []
    assert run("reject", CHANGE, "--reason", "r").exit_code == 0


def undrilled(drill: str = "Failed", *, acceptable: bool = True, **status: Any) -> dict[str, Any]:
    """A Change whose way back did not drill like this."""
    made = example("Change", status={"gates": [gate("Fail", name="way-back")] if drill == "Failed" else [], **status})
    made["spec"]["resetPlan"] |= {"drill": drill, "acceptable": acceptable, "message": "it no longer plans."}
    return made


def test_approve__of_a_failed_drill__takes_the_word_for_it(run: Run, home: FakeHome) -> None:
    home.add(undrilled())
    result = run("approve", CHANGE)
    assert result.exit_code == 1
    assert "has no way back that was shown to work (it no longer plans)" in result.stderr
    assert "--accept-undrilled --reason WHY" in result.stderr
    assert run("approve", CHANGE, "--accept-undrilled").exit_code == 2
    assert home.objects("Approval") == []
    result = run("approve", CHANGE, "--accept-undrilled", "--reason", "the plan is good")
    assert result.exit_code == 0, result.stderr
    assert "the drill FAILED: nothing is applied, unless a person accepts that" in result.stdout
    spec = home.objects("Approval")[0]["spec"]
    assert (spec["acceptUndrilled"], spec["overrides"]) == (True, [])
    (entry,) = home.cluster.audit
    assert entry.payload is not None
    assert (entry.payload["acceptUndrilled"], entry.payload["reason"]) == (True, "the plan is good")


def test_approve__a_failed_drill_and_a_gate__passes_the_drill_alone(run: Run, home: FakeHome) -> None:
    home.add(undrilled(gates=[gate("Fail", name="way-back"), gate("Fail")]))
    result = run("approve", CHANGE, "--accept-undrilled", "--reason", "r")
    assert (result.exit_code, home.objects("Approval")) == (1, [])
    assert "gate 'radius' blocks it" in result.stderr


@pytest.mark.parametrize(
    ("drill", "why"),
    [
        ("Passed", "the way back was drilled"),
        ("NotDrillable", "nothing was applied before"),
        ("NotDrilled", "an approval without it is enough"),
        ("Failed", "since what differs can be mended before this Change (it no longer plans)"),
    ],
)
def test_approve__nothing_to_accept__is_refused(run: Run, home: FakeHome, drill: str, why: str) -> None:
    home.add(undrilled(drill, acceptable=False))
    result = run("approve", CHANGE, "--accept-undrilled", "--reason", "r")
    assert (result.exit_code, home.objects("Approval")) == (1, [])
    assert f"there is nothing to accept, {why}" in result.stderr


def test_approve__after_a_word_without_it__counts(run: Run, home: FakeHome) -> None:
    home.add(undrilled())
    word = {"subject": SUBJECT, "verdict": "Approved", "approver": "Ada.Lovelace", "changeRef": {"name": CHANGE}}
    home.hear(example("Approval", name="first", reason="r", **word))
    assert run("approve", CHANGE, "--accept-undrilled", "--reason", "seen").exit_code == 0
    result = run("approve", CHANGE, "--accept-undrilled", "--reason", "again")
    assert "has approved" in result.stderr
    told = run("describe", f"change/{CHANGE}").stdout
    assert re.search(r"unproven, \S+ ago, accepting that the way back is not drilled: seen\n", told)


def test_describe__what_was_accepted__says_by_whom(run: Run, home: FakeHome) -> None:
    home.add(undrilled(gates=[], undrilledAcceptedBy=["ada"]))
    assert "  the drill FAILED, which was accepted by ada\n" in run("describe", f"change/{CHANGE}").stdout


@pytest.mark.parametrize(
    ("review", "lines"),
    [
        pytest.param({"url": "https://example.org/1", "shown": True}, ["https://example.org/1"], id="shown"),
        pytest.param({"shown": True}, ["not shown yet"], id="about to be"),
        pytest.param(
            {"url": "https://example.org/1", "declinedBy": "bob\x1b[2J", "why": "no"},
            ["https://example.org/1 (no longer shown)", "declined by bob\\x1b[2J: no"],
            id="declined",
        ),
    ],
)
def test_describe__a_change_that_people_look_at_elsewhere__says_where(
    run: Run, home: FakeHome, review: dict[str, Any], lines: list[str]
) -> None:
    home.add(example("Change", name=CHANGE, status={**CHANGE_STATUS, "review": review}))
    told = run("describe", f"change/{CHANGE}").stdout
    assert "\n".join(["Review:", *(f"  {line}" for line in lines), ""]) in told
    assert review.get("url", "") in run("get", "changes", "-o", "wide").stdout


@pytest.mark.parametrize("name", ["baseline", "no-such"])
def test_approve__override_of_another_gate__is_refused(
    run: Run, home: FakeHome, change: dict[str, Any], name: str
) -> None:
    result = run("approve", CHANGE, "--override", name, "--reason", "r")
    assert result.exit_code == 1
    assert f"gate '{name}' does not block" in result.stderr
    assert "gates that can be overridden: none" in result.stderr
    assert home.objects("Approval") == []


# --- The Change that is meant -------------------------------------------------------------------------------------

ALIKE = example("Change", name="shop-prod-a1b2ffff", subject="sha256:a1b2c3d4ffff" + "0" * 52)


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize(
    ("subject", "code", "words"),
    [
        pytest.param(SUBJECT, 0, "", id="whole"),
        pytest.param(SUBJECT[7:], 0, "", id="without its algorithm"),
        pytest.param(SUBJECT[:19], 0, "", id="as a table shows it"),
        pytest.param(SUBJECT[7:17], 0, "", id="a beginning that no other has"),
        pytest.param(SUBJECT[7:15], 1, "several Changes have a subject that begins with", id="of two"),
        pytest.param("sha256:" + "0" * 64, 1, f"is {SUBJECT}, not sha256:{'0' * 64}", id="another"),
        pytest.param(SUBJECT[:-1] + "7", 1, "is another Change", id="another in its last digit"),
        pytest.param("a1b2", 2, "--subject", id="too short"),
        pytest.param("shop-prod", 2, "--subject", id="no digest"),
    ],
)
def test_decision__subject__must_be_the_one_that_is_meant(
    run: Run, home: FakeHome, change: dict[str, Any], verb: str, subject: str, code: int, words: str
) -> None:
    home.add(ALIKE)
    result = run(verb, CHANGE, "--subject", subject, "--reason", "r")
    assert result.exit_code == code, result.stderr
    assert words in result.stderr
    said = [one["spec"]["subject"] for one in home.objects("Approval")]
    assert said == ([SUBJECT] if code == 0 else []), "the whole subject is recorded"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        pytest.param("shop-prod-a1b2c3", 0, id="one begins so"),
        pytest.param("change/shop-prod-a1b2c3", 0, id="with its kind"),
        pytest.param("shop-prod-a1b2", 1, id="two do"),
        pytest.param("shop-prod-b", 1, id="none does"),
    ],
)
def test_approve__the_beginning_of_a_name(
    run: Run, home: FakeHome, change: dict[str, Any], typed: str, code: int
) -> None:
    home.add(ALIKE)
    result = run("approve", typed)
    assert result.exit_code == code, result.stderr
    said = [(one["spec"]["changeRef"]["name"], one["spec"]["subject"]) for one in home.objects("Approval")]
    assert said == ([(CHANGE, SUBJECT)] if code == 0 else [])
    if typed == "shop-prod-a1b2":
        assert f"2 names begin with 'shop-prod-a1b2': {CHANGE}, shop-prod-a1b2ffff" in result.stderr


# --- The count, and what follows ----------------------------------------------------------------------------------


def said_last(run: Run, *words: str) -> list[str]:
    """The lines after the one that says who approved."""
    lines = run("approve", CHANGE, *words).stdout.splitlines()
    return lines[next(number for number, line in enumerate(lines) if " approved by " in line) + 1 :]


@pytest.mark.parametrize(
    ("required", "before", "barred", "count"),
    [
        pytest.param(1, [], [], "1 of 1 approvals.", id="enough"),
        pytest.param(0, [], [], "no approval is asked for.", id="none was asked for"),
        pytest.param(2, ["bob"], [], "2 of 2 approvals.", id="the last one"),
        pytest.param(
            2, [], [], "1 of 2 approvals; 1 more is missing, by somebody else than Ada.Lovelace.", id="one of two"
        ),
        pytest.param(
            3,
            ["bob"],
            ["cem"],
            "2 of 3 approvals; 1 more is missing, by somebody else than Ada.Lovelace, bob, cem.",
            id="and one who can't",
        ),
    ],
)
def test_approve__says_how_many_and_whose_word_is_missing(
    run: Run, home: FakeHome, required: int, before: list[str], barred: list[str], count: str
) -> None:
    home.add(example("Change", approvalsRequired=required, status={"barred": barred}))
    for who in before:
        home.hear(example("Approval", name=who, approver=who))
    lines = said_last(run)
    assert lines[0] == count
    assert bool(lines[1:]) is ("missing" not in count), "it is carried out by nobody while a word is missing"


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        pytest.param("pid 7 of bob", "The manager that runs (pid 7 of bob) carries it out now.", id="a manager runs"),
        pytest.param("", "No manager runs on this home: setpoint", id="none runs"),
        pytest.param(None, "A running manager carries it out now; without one: setpoint", id="not to be seen"),
    ],
)
def test_approve__says_who_carries_it_out(
    run: Run, home: FakeHome, change: dict[str, Any], runs: str | None, words: str
) -> None:
    home.runs = runs
    (line,) = said_last(run)[1:]
    assert line.startswith(words)
    assert ("now" in line) is (runs != "")


def test_approve__of_what_is_suspended__says_that_nothing_follows(
    run: Run, home: FakeHome, change: dict[str, Any]
) -> None:
    home.runs = "pid 7"
    home.add(example("Environment", suspend=True))
    (line,) = said_last(run)[1:]
    assert "environment/shop-prod is suspended: nothing is carried out until setpoint" in line
    assert line.endswith("resume environment/shop-prod")


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_decision__after_a_rejection__is_refused(run: Run, home: FakeHome, change: dict[str, Any], verb: str) -> None:
    home.add(example("Approval", name="no", approver="bob", verdict="Rejected", reason="not today"))
    result = run(verb, CHANGE, "--reason", "r")
    assert result.exit_code == 1
    assert f"change/{CHANGE} was rejected by bob (not today); no approval passes over that" in result.stderr
    assert len(home.objects("Approval")) == 1


def test_approve__one_that_is_in_no_row__is_told_and_does_not_count(
    run: Run, home: FakeHome, change: dict[str, Any]
) -> None:
    home.add(example("Approval", name="planted", approver="Ada.Lovelace", reason="trust me"))
    result = run("approve", CHANGE)
    assert result.exit_code == 0, result.stderr
    assert "0 of 1 approvals" in result.stdout
    assert "Approved by Ada.Lovelace, unproven, 3h5m ago, which does not count: the audit trail" in result.stdout


def test_approve__a_second_time__is_refused(run: Run, home: FakeHome, change: dict[str, Any]) -> None:
    home.date_rows()
    home.add(example("Environment", approvals={"required": 2, "ttl": "8h"}))
    assert run("approve", CHANGE).exit_code == 0
    result = run("approve", CHANGE)
    assert result.exit_code == 1
    assert f"Ada.Lovelace has approved change/{CHANGE} already, and each person counts once" in result.stderr
    assert len(home.objects("Approval")) == 1


def test_approve__a_second_time__counts_where_the_first_expired(
    run: Run, home: FakeHome, change: dict[str, Any]
) -> None:
    home.add(example("Environment", approvals={"ttl": "1h"}))
    home.hear(example("Approval", approver="Ada.Lovelace"))
    result = run("approve", CHANGE)
    assert result.exit_code == 0, result.stderr
    assert "Approved by Ada.Lovelace, unproven, 3h5m ago, expired" in result.stdout


def test_approve__a_second_time__counts_where_it_passes_a_gate(run: Run, home: FakeHome) -> None:
    home.hear(example("Approval", approver="Ada.Lovelace"))
    home.add(example("Change", status={"gates": [gate("Fail", overridable=True)]}))
    assert run("approve", CHANGE, "--override", "radius", "--reason", "r").exit_code == 0


def test_approve__by_who_asked_for_it__is_refused_under_four_eyes(run: Run, home: FakeHome) -> None:
    home.add(example("Change", status={"barred": ["Ada.Lovelace"]}))
    result = run("approve", CHANGE)
    assert result.exit_code == 1
    assert "a gate asks for four eyes: somebody else must approve it" in result.stderr
    assert home.objects("Approval") == []
    assert run("reject", CHANGE, "--reason", "r").exit_code == 0


def test_approve__hints_carry_the_namespace(run: Run, home: FakeHome) -> None:
    closed = {"conditions": [condition("Superseded", "True", "Superseded")]}
    home.add(example("Change", namespace="shop", status=closed))
    assert "get changes -n shop lists what waits now" in run("approve", CHANGE, "-n", "shop").stderr


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize(
    ("closing", "words"),
    [
        pytest.param(condition("Superseded", "True", "Superseded", "replaced by x"), "is superseded (replaced by x)"),
        pytest.param(condition("Rejected", "True", "Rejected"), "was rejected"),
        pytest.param(condition("Applied", "True", "Applied"), "was applied"),
        pytest.param(condition("Applied", "False", "Interrupted"), "was tried and failed"),
    ],
    ids=["superseded", "rejected", "applied", "interrupted"],
)
def test_decision__on_a_closed_change__is_refused(
    run: Run, home: FakeHome, verb: str, closing: dict[str, Any], words: str
) -> None:
    home.add(example("Change", status={"conditions": [closing]}))
    result = run(verb, CHANGE, "--reason", "r")
    assert result.exit_code == 1
    assert f"change/{CHANGE} {words}" in result.stderr
    assert home.objects("Approval") == []


def test_decision__on_a_change_that_is_being_carried_out__is_only_a_wish_to_go_back(run: Run, home: FakeHome) -> None:
    applying = condition("Applied", "Unknown", "Progressing", "at stage send")
    home.add(example("Change", status={"conditions": [applying], "outcome": "Applying"}))
    refused = run("approve", CHANGE)
    assert (refused.exit_code, home.objects("Approval")) == (1, [])
    assert f"change/{CHANGE} is being carried out already; 'setpoint reject' asks it to go back" in refused.stderr
    rejected = run("reject", CHANGE, "--reason", "r")
    assert rejected.exit_code == 0
    assert "It is being carried out, and goes back as far as it can." in rejected.stdout
    assert [one["spec"]["verdict"] for one in home.objects("Approval")] == ["Rejected"]


def test_approve__superseded_false__counts_as_open(run: Run, home: FakeHome) -> None:
    home.add(example("Change", status={"conditions": [condition("Superseded", "False", "Progressing")]}))
    assert run("approve", CHANGE).exit_code == 0


def test_approve__missing__is_not_found(run: Run, home: FakeHome) -> None:
    result = run("approve", "nope")
    assert (result.exit_code, result.stderr) == (
        1,
        'error: changes.setpoint.dev "nope" not found\n',
    )


def test_approve__another_kind__is_wrong_usage(run: Run) -> None:
    assert run("approve", "environment/shop-prod").exit_code == 2


def test_approve__lists_who_said_what_before(run: Run, home: FakeHome, change: dict[str, Any]) -> None:
    home.hear(example("Approval", name="earlier", approver="bob", reason="fine"))
    home.add(example("Approval", name="foreign", approver="eve", subject="sha256:" + "00" * 32))
    text = run("approve", CHANGE).stdout
    assert "Approved by bob, unproven, 3h5m ago: fine" in text
    assert "eve" not in text


def test_reject__records_the_reason(run: Run, home: FakeHome, change: dict[str, Any]) -> None:
    assert run("reject", CHANGE, "--reason", "  too risky ").exit_code == 0
    spec = home.objects("Approval")[0]["spec"]
    assert (spec["verdict"], spec["reason"]) == ("Rejected", "too risky")
    assert home.cluster.audit[0].action == "reject"


@pytest.mark.parametrize("args", [(), ("--reason", " "), ("--reason", "x" * 1025)], ids=["none", "blank", "long"])
def test_reject__without_a_fit_reason__is_wrong_usage(run: Run, change: dict[str, Any], args: tuple[str, ...]) -> None:
    result = run("reject", CHANGE, *args)
    assert result.exit_code == 2
    assert "--reason" in result.stderr


@pytest.mark.parametrize(
    ("change_name", "user", "prefix"),
    [
        ("c", "ada", "c-ada-"),
        ("c", "Ada Lovelace@EXAMPLE", "c-ada-lovelace-example-"),
        ("c", "\u8349", "c-user-"),
        ("c" * 253, "ada", "c" * 200),
    ],
)
def test_approval_name__is_a_valid_name(change_name: str, user: str, prefix: str) -> None:
    name = approval_name(change_name, user)
    assert name.startswith(prefix)
    assert len(name) <= 253
    assert Approval.model_validate(example("Approval", name=name)).metadata.name == name
    assert approval_name(change_name, user) != name


# --- reset -------------------------------------------------------------------------------------------------------


@pytest.fixture
def snapshot(home: FakeHome) -> dict[str, Any]:
    home.add(example("Environment"))
    return home.add(example("Snapshot"))


@pytest.mark.parametrize("word", ["shop-prod-7", "snapshot/shop-prod-7"])
def test_reset__creates_a_wish(run: Run, home: FakeHome, snapshot: dict[str, Any], word: str) -> None:
    result = run("reset", "environment/shop-prod", "--to", word, "--reason", "it broke")
    assert result.exit_code == 0, result.stderr
    reset = Reset.model_validate(home.objects("Reset")[0])
    assert reset.spec.target_ref.name == "shop-prod"
    assert reset.spec.snapshot_ref.name == "shop-prod-7"
    assert (reset.spec.reason, reset.spec.requested_by, reset.spec.automatic) == ("it broke", "Ada.Lovelace", False)
    assert f"reset/{reset.metadata.name} created" in result.stdout
    (entry,) = home.cluster.audit
    assert (entry.action, entry.target, entry.digests) == ("reset", SHOP, {"snapshot": snapshot["spec"]["digest"]})


def test_reset__json__is_the_reset(run: Run, home: FakeHome, snapshot: dict[str, Any]) -> None:
    shown = run("reset", "env/shop-prod", "--to", "shop-prod-7", "--reason", "r", "-o", "json").stdout
    assert json.loads(shown) == home.objects("Reset")[0]


def test_reset__to_a_snapshot_of_another_target__is_refused(run: Run, home: FakeHome) -> None:
    home.add(example("Environment"))
    home.add(example("Snapshot", targetRef={"kind": "Environment", "name": "other"}))
    result = run("reset", "env/shop-prod", "--to", "shop-prod-7", "--reason", "r")
    assert result.exit_code == 1
    assert "was taken of 'other', not of 'shop-prod'" in result.stderr
    assert home.objects("Reset") == []


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("env/nope", "--to", "shop-prod-7", "--reason", "r"), 1),
        (("env/shop-prod", "--to", "nope", "--reason", "r"), 1),
        (("chg/shop-prod", "--to", "shop-prod-7", "--reason", "r"), 2),
        (("env/shop-prod", "--to", "env/shop-prod-7", "--reason", "r"), 2),
        (("shop-prod", "--to", "shop-prod-7", "--reason", "r"), 2),
        (("env/shop-prod", "--reason", "r"), 2),
        (("env/shop-prod", "--to", "shop-prod-7"), 2),
    ],
    ids=["no-target", "no-snapshot", "no-target-kind", "to-no-snapshot", "bare-name", "to-missing", "no-reason"],
)
def test_reset__of_what_is_not_there__is_refused(
    run: Run, home: FakeHome, snapshot: dict[str, Any], args: tuple[str, ...], code: int
) -> None:
    assert run("reset", *args).exit_code == code
    assert home.objects("Reset") == []


# --- reconcile, suspend, resume ----------------------------------------------------------------------------------


def annotations(home: FakeHome) -> dict[str, str]:
    found: dict[str, str] = home.objects("Environment")[0]["metadata"].get("annotations", {})
    return found


def test_reconcile__asks_anew_each_time(run: Run, home: FakeHome) -> None:
    home.add(example("Environment"))
    before = dt.datetime.now(dt.UTC)
    assert run("reconcile", "environment/shop-prod").stdout == "environment/shop-prod run requested\n"
    first = annotations(home)[RECONCILE_ANNOTATION]
    assert parse_time(first) >= before.replace(microsecond=0)
    run("reconcile", "environment/shop-prod")
    assert annotations(home)[RECONCILE_ANNOTATION] != first


def test_suspend_and_resume__set_and_release(run: Run, home: FakeHome) -> None:
    home.add(example("Environment"))
    assert run("suspend", "env/shop-prod").stdout == "environment/shop-prod suspended\n"
    assert annotations(home)[SUSPEND_ANNOTATION] == "Ada.Lovelace"
    assert run("resume", "env/shop-prod").stdout == "environment/shop-prod resumed\n"
    assert SUSPEND_ANNOTATION not in annotations(home)
    assert parse_time(annotations(home)[RESUME_ANNOTATION])
    assert [(entry.action, entry.actor, entry.target) for entry in home.audit.entries] == [
        ("suspend", "Ada.Lovelace", SHOP),
        ("resume", "Ada.Lovelace", SHOP),
    ]


def test_resume__where_the_manifest_suspends__warns(run: Run, home: FakeHome) -> None:
    home.add(example("Environment", suspend=True))
    result = run("resume", "env/shop-prod")
    assert result.exit_code == 0
    assert "suspend: true" in result.stderr


def test_suspend__several__json_is_a_list(run: Run, home: FakeHome) -> None:
    home.add(example("Environment"))
    home.add(example("Environment", name="other"))
    items = json.loads(run("suspend", "env/shop-prod", "env/other", "-o", "json").stdout)["items"]
    assert [item["metadata"]["name"] for item in items] == ["shop-prod", "other"]


@pytest.mark.parametrize("verb", ["reconcile", "suspend", "resume"])
def test_request__of_one_missing_target__asks_for_none(run: Run, home: FakeHome, verb: str) -> None:
    home.add(example("Environment"))
    assert run(verb, "env/shop-prod", "env/nope").exit_code == 1
    assert annotations(home) == {}
    assert home.audit.entries == []


def test_reconcile__no_target_kind__is_wrong_usage(run: Run) -> None:
    result = run("reconcile", "policyset/baseline")
    assert result.exit_code == 2
    assert "targets are of kind Environment" in result.stderr


# --- import-state ------------------------------------------------------------------------------------------------

STATE = json.dumps(
    {"version": 4, "serial": 7, "lineage": "lineage-1", "terraform_version": "1.11.4", "resources": []}
).encode()


@pytest.mark.parametrize("word", ["shop-prod", "environment/shop-prod"])
def test_import_state__gives_the_bytes_as_they_are(run: Run, home: FakeHome, word: str) -> None:
    home.add(example("Environment"))
    (home.root / "old.tfstate").write_bytes(STATE)
    result = run("import-state", word, "old.tfstate")
    assert result.exit_code == 0, result.stderr
    assert home.performed == [("import-state", SHOP, {"data": STATE})]
    assert result.stdout.startswith("environment/shop-prod has state version 1 now: serial 7, 0 resources")


def test_import_state__from_standard_input__json(run: Run, home: FakeHome) -> None:
    home.add(example("Environment"))
    result = run("import-state", "shop-prod", "-", "-o", "json", input=STATE)
    assert json.loads(result.stdout)["version"] == 1
    assert home.performed == [("import-state", SHOP, {"data": STATE})]


@pytest.mark.parametrize(
    "data",
    [b"", b"hunter2", b"[]", b"\xff\xfe", b'{"version": 3}', b'{"version": 4, "serial": 1}', b"[" * 100_000],
    ids=["empty", "text", "list", "bytes", "version-3", "no-lineage", "deep"],
)
def test_import_state__no_state__is_refused_without_quoting_it(run: Run, home: FakeHome, data: bytes) -> None:
    home.add(example("Environment"))
    (home.root / "x").write_bytes(data)
    result = run("import-state", "shop-prod", "x")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: x: no")
    assert "hunter2" not in result.stderr
    assert home.performed == []


def test_import_state__too_large__is_refused(run: Run, home: FakeHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_state, "MAX_STATE_BYTES", 16)
    (home.root / "x").write_bytes(b"x" * 17)
    result = run("import-state", "shop-prod", "x")
    assert result.exit_code == 1
    assert "more than" in result.stderr


def test_import_state__no_file__is_refused(run: Run) -> None:
    result = run("import-state", "shop-prod", "nope.tfstate")
    assert result.exit_code == 1
    assert "nope.tfstate" in result.stderr


def test_import_state__into_a_named_folder__makes_it_a_home(run: Run, home: FakeHome, wiring: FakeWiring) -> None:
    (home.root / ".setpoint").rmdir()
    (home.root / "x").write_bytes(STATE)
    home.add(example("Environment"))
    assert run("--home", ".", "import-state", "shop-prod", "x").exit_code == 0
    assert wiring.opened == [(home.root.resolve(), True)]


# --- audit -------------------------------------------------------------------------------------------------------


@pytest.fixture
def rows(home: FakeHome) -> None:
    run_id = "run-1"
    digests = {"subject": SUBJECT}
    home.audit.entries = [
        AuditEntry("approve", Phase.FACT, "ada", SHOP, result="c", digests=digests, payload={"reason": "ok"}),
        AuditEntry("apply", Phase.INTENT, "setpoint", SHOP, run_id),
        AuditEntry("apply", Phase.OUTCOME, "setpoint", SHOP, run_id, "Succeeded"),
        AuditEntry("suspend", Phase.FACT, "bob", ObjectRef("Environment", "default", "other")),
    ]


@pytest.mark.usefixtures("rows")
def test_audit_log__is_a_table(run: Run) -> None:
    assert run("audit", "log").stdout == (
        "SEQ   AT                     ACTOR      ACTION    PHASE     TARGET                  RESULT\n"
        "1     2026-01-01T00:00:01Z   ada        approve   fact      environment/shop-prod   c\n"
        "2     2026-01-01T00:00:02Z   setpoint   apply     intent    environment/shop-prod\n"
        "3     2026-01-01T00:00:03Z   setpoint   apply     outcome   environment/shop-prod   Succeeded\n"
        "4     2026-01-01T00:00:04Z   bob        suspend   fact      environment/other\n"
    )


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("args", "numbers"),
    [
        ((), [1, 2, 3, 4]),
        (("--target", "env/shop-prod"), [1, 2, 3]),
        (("--after", "2"), [3, 4]),
        (("--limit", "2"), [1, 2]),
        (("--after", "1", "--limit", "1"), [2]),
        (("--target", "env/none"), []),
    ],
)
def test_audit_log__json__has_the_rows_asked_for(run: Run, args: tuple[str, ...], numbers: list[int]) -> None:
    assert [row["seq"] for row in json.loads(run("audit", "log", "-o", "json", *args).stdout)] == numbers


@pytest.mark.usefixtures("rows")
def test_audit_log__yaml_row__says_everything(run: Run) -> None:
    (row,) = yaml.safe_load(run("audit", "log", "-o", "yaml", "--limit", "1").stdout)
    assert row == {
        "seq": 1,
        "at": "2026-01-01T00:00:01Z",
        "actor": "ada",
        "action": "approve",
        "phase": "fact",
        "target": {"kind": "Environment", "namespace": "default", "name": "shop-prod"},
        "run": "",
        "result": "c",
        "digests": {"subject": SUBJECT},
        "payload": {"reason": "ok"},
        "hash": "01",
    }


def test_audit_log__more_than_a_page__is_read_to_the_end(run: Run, home: FakeHome) -> None:
    home.audit.entries = [AuditEntry("approve", Phase.FACT, "ada")] * 2001
    assert len(run("audit", "log").stdout.splitlines()) == 2002


def test_audit_log__nothing__says_so(run: Run) -> None:
    result = run("audit", "log")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No rows found.\n")


@pytest.mark.parametrize(
    ("status", "first_bad", "code", "line"),
    [
        ("intact", None, 0, "intact, 9 rows (2 with an erased payload, 4 from before rows were sealed): why\n"),
        (
            "tampered",
            4,
            1,
            "tampered, 9 rows (2 with an erased payload, 4 from before rows were sealed), first bad row 4: why\n",
        ),
        (
            "unverifiable",
            None,
            3,
            "unverifiable, 9 rows (2 with an erased payload, 4 from before rows were sealed): why\n",
        ),
    ],
)
def test_audit_verify__exit_code_says_it(
    run: Run, home: FakeHome, status: str, first_bad: int | None, code: int, line: str
) -> None:
    found = {
        "status": status,
        "rows": 9,
        "first_bad": first_bad,
        "message": "why",
        "erased": 2,
        "remedy": "",
        "unsealed": 4,
    }
    home.verify_report = Report(found)
    result = run("audit", "verify")
    assert (result.exit_code, result.stdout) == (code, line)
    value = json.loads(run("audit", "verify", "-o", "json").stdout)
    assert value == {
        "status": status, "rows": 9, "firstBad": first_bad, "message": "why", "erased": 2, "remedy": None,
        "unsealed": 4,
    }  # fmt: skip


def test_audit_verify__nothing_is_applied_meanwhile__says_what_to_do(run: Run, home: FakeHome) -> None:
    found = {
        "status": "tampered",
        "rows": 9,
        "first_bad": 10,
        "message": "why",
        "erased": 0,
        "remedy": "accept it",
        "unsealed": 0,
    }
    home.verify_report = Report(found)
    assert run("audit", "verify").stdout.endswith("\nNothing is applied meanwhile: accept it\n")
    assert json.loads(run("audit", "verify", "-o", "json").stdout)["remedy"] == "accept it"


# --- store accept -------------------------------------------------------------------------------------------------


def test_store_accept__with_yes__accepts_and_says_what_stood_against_it(run: Run, home: FakeHome) -> None:
    home.set_back = "the audit trail ends early"
    result = run("store", "accept", "--reason", "restored", "--yes")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Accepted, though the audit trail ends early.\n")
    assert home.accepted == ["restored"]


def test_store_accept__for_programs__says_it_as_data(run: Run, home: FakeHome) -> None:
    home.set_back = "the audit trail ends early"
    value = json.loads(run("store", "accept", "--reason", "restored", "--yes", "-o", "json").stdout)
    assert value == {"accepted": True, "found": "the audit trail ends early"}
    home.set_back = ""
    value = json.loads(run("store", "accept", "--reason", "restored", "--yes", "-o", "json").stdout)
    assert value == {"accepted": False, "found": None}


def test_store_accept__a_store_that_stands__changes_nothing(run: Run, home: FakeHome) -> None:
    result = run("store", "accept", "--reason", "restored")
    assert (result.exit_code, home.accepted) == (0, [])
    assert "nothing to accept" in result.stdout


@pytest.mark.parametrize(("answer", "code", "accepted"), [("y\n", 0, ["restored"]), ("n\n", 130, []), ("\n", 130, [])])
def test_store_accept__on_a_terminal__asks(
    run: Run, home: FakeHome, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, accepted: list[str]
) -> None:
    monkeypatch.setattr("setpoint.cli.store.has_terminal", lambda: True)
    home.set_back = "the audit trail ends early"
    result = run("store", "accept", "--reason", "restored", input=answer)
    assert (result.exit_code, home.accepted) == (code, accepted)
    assert "The audit trail ends early." in result.stdout


@pytest.mark.parametrize("words", [(), ("-o", "json")], ids=["no terminal", "for programs"])
def test_store_accept__nobody_to_ask__wants_yes(run: Run, home: FakeHome, words: tuple[str, ...]) -> None:
    home.set_back = "the audit trail ends early"
    result = run("store", "accept", "--reason", "restored", *words)
    assert (result.exit_code, home.accepted) == (2, [])
    assert "say --yes" in result.stderr


def test_store_accept__without_a_reason__is_refused(run: Run) -> None:
    assert run("store", "accept", "--yes").exit_code == 2


def test_store_accept__in_the_operators_pod__is_about_the_store_of_its_settings(
    run: Run, home: FakeHome, wiring: FakeWiring
) -> None:
    home.set_back = "the audit trail ends early"
    result = run("store", "accept", "--operator", "--reason", "restored", "--yes")
    assert (result.exit_code, home.accepted, wiring.opened) == (0, ["restored"], [])
