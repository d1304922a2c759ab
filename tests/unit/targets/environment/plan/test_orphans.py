"""Objects that an apply that broke off may have lost: an old one never vouches for the new one at its address."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.domain.scrubbing import Scrubber
from setpoint.pipeline.changes import list_orphans
from setpoint.targets.environment.plan.orphans import ApplyAccount, Creation, find_orphans, still_suspected
from setpoint.targets.environment.plan.state import ResourceInstance
from setpoint.targets.environment.plan.stream import read_stream

ADDRESSES = ["t.a", "t.a[0]", 't.a["k"]', 'module.m["x"].t.a']


def stands(address: str, id_: str = "", **facts: Any) -> ResourceInstance:
    return ResourceInstance(address, type="t", id=id_, **facts)


OLD = stands("t.a", "old")


@pytest.mark.parametrize(
    ("begun", "before", "after", "orphans"),
    [
        pytest.param(Creation("t.a"), [], [], ["t.a"], id="made, and no state was written"),
        pytest.param(Creation("t.a", "new"), [], [], ["t.a (id=new)"], id="made and told, and no state was written"),
        pytest.param(Creation("t.a", "new"), [], [stands("t.a", "new")], [], id="made and saved"),
        pytest.param(Creation("t.a"), [], [stands("t.a", "new")], [], id="saved without an end of its own"),
        pytest.param(Creation("t.a"), [], [stands("t.a")], [], id="saved, of a type without ids"),
        pytest.param(Creation("t.a"), [OLD], [], ["t.a (new object)"], id="replaced, and no state was written"),
        pytest.param(Creation("t.a", "new"), [OLD], [], ["t.a (id=new)"], id="replaced and told"),
        pytest.param(Creation("t.a", "new"), [OLD], [OLD], ["t.a (id=new)"], id="the state of before the replacement"),
        pytest.param(Creation("t.a"), [OLD], [OLD], ["t.a (new object)"], id="the same, and no id was told"),
        pytest.param(Creation("t.a", "new"), [OLD], [stands("t.a", "new")], [], id="replaced and saved"),
        pytest.param(Creation("t.a"), [OLD], [stands("t.a", "new")], [], id="replaced and saved, no id was told"),
        pytest.param(
            Creation("t.a"), [OLD], [stands("t.a", "old", tainted=True)], [], id="made half-way under the old name"
        ),
        pytest.param(
            Creation("t.a", "old"), [OLD], [OLD], [], id="made anew under the old id, which the state names"
        ),
        pytest.param(
            Creation("t.a"), [OLD], [stands("t.a", "old", deposed="d")], ["t.a (new object)"], id="old one set aside"
        ),
        pytest.param(
            Creation("t.a", "new"),
            [OLD],
            [stands("t.a", "new"), stands("t.a", "old", deposed="d")],
            [],
            id="made before the old one goes",
        ),
        pytest.param(
            Creation("t.b"), [OLD], [stands("t.b", "old")], ["t.b (new object)"], id="the old one has another address"
        ),
        pytest.param(
            Creation("u.a"), [OLD], [ResourceInstance("u.a", type="u", id="old")], [], id="another type has that id too"
        ),
        pytest.param(Creation("t.a", "x" * 300), [], [], ["t.a (new object)"], id="an id too long to be shown whole"),
        pytest.param(Creation("t." + "a" * 2000), [], [], ["t." + "a" * 1021 + "…"], id="an address too long"),
    ],
)  # fmt: skip
def test_orphans(
    begun: Creation, before: list[ResourceInstance], after: list[ResourceInstance], orphans: list[str]
) -> None:
    assert find_orphans([begun, begun], before, after) == tuple(orphans)


@pytest.mark.parametrize("address", ADDRESSES)
def test_it_is_the_same_for_each_key_and_module(address: str) -> None:
    old, new = stands(address, "old"), stands(address, "new")
    assert find_orphans([Creation(address, "new")], [old], [old]) == (f"{address} (id=new)",)
    assert find_orphans([Creation(address, "new")], [old], [new]) == ()


@given(
    made=st.dictionaries(st.sampled_from(ADDRESSES), st.sampled_from(["", "new-1", "new-2"]), min_size=1),
    old=st.dictionaries(st.sampled_from(ADDRESSES), st.sampled_from(["old-1", "old-2"])),
)
def test_what_was_made_is_always_named_while_only_old_objects_are_known(
    made: dict[str, str], old: dict[str, str]
) -> None:
    before = [stands(address, id_) for address, id_ in old.items()]
    begun = [Creation(address, id_) for address, id_ in made.items()]
    orphans = find_orphans(begun, before, before)
    assert {text.split(" ")[0] for text in orphans} == set(made)
    assert still_suspected(orphans, before) == orphans


def test_a_secret_is_in_no_text() -> None:
    secrets = Scrubber(["hunter2-hunter2"])
    begun = [Creation('t.a["hunter2-hunter2"]', "x"), Creation("t.b", "hunter2-hunter2")]
    orphans = find_orphans(begun, [], [], secrets)
    assert orphans == ('t.a["(sensitive)"] (id=x)', "t.b (new object)")
    assert still_suspected(orphans, [stands(begun[0].address, "x"), stands("t.b", "y")], secrets) == orphans[1:]


def test_a_suspicion_ends_with_the_state_that_names_the_object() -> None:
    suspected = ("t.a", "t.b (id=2)", "t.b (new object)", "t.c")
    state = [stands("t.a", "1"), stands("t.b", "2"), stands("t.c", "3", deposed="d")]
    assert still_suspected(suspected, state) == ("t.b (new object)", "t.c")


def test_a_long_list_says_how_many_more() -> None:
    assert list_orphans(["b", "a", "b"]) == ["a", "b"]
    listed = list_orphans(f"t.{n:03}" for n in range(60))
    assert (len(listed), listed[48]) == (50, "t.048")
    assert listed[-1] == "and 11 more, which the row of this outcome in the trail names"


# --- The stream's account -----------------------------------------------------------------------------------------


def line(type_: str, action: str = "create", address: str = "t.a", **hook: Any) -> dict[str, Any]:
    resource = {"addr": address}
    if type_ == "planned_change":
        return {"type": type_, "change": {"resource": resource, "action": action}}
    return {"type": type_, "hook": {"resource": resource, "action": action, **hook}}


PLANNED = [line("planned_change", "replace"), line("planned_change", address="t.b"), line("planned_change", "update")]
SUMMARY = {"type": "change_summary", "changes": {"add": 1, "operation": "apply"}}
ERROR = {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "no"}}


@pytest.mark.parametrize(
    ("told", "ended", "created"),
    [
        pytest.param([line("apply_start", "delete"), line("apply_complete", "delete")], False, [], id="nothing"),
        pytest.param([line("apply_start")], False, [Creation("t.a")], id="begun"),
        pytest.param([line("apply_start"), line("apply_errored"), ERROR], True, [Creation("t.a")], id="failed"),
        pytest.param(
            [line("apply_start"), line("apply_complete", id_key="id", id_value="7"), SUMMARY],
            True,
            [Creation("t.a", "7")],
            id="made",
        ),
        pytest.param([line("apply_start", "replace")], False, [Creation("t.a")], id="another engine's word for it"),
        pytest.param([line("apply_start")], True, [Creation("t.a"), Creation("t.b")], id="its last words are missing"),
        pytest.param([], True, [Creation("t.a"), Creation("t.b")], id="all words are missing"),
        pytest.param([ERROR], True, [], id="it failed before it began"),
        pytest.param([], False, [], id="killed before it began"),
    ],
)
def test_creations(told: list[dict[str, Any]], ended: bool, created: list[Creation]) -> None:
    account = ApplyAccount()
    for message in [*PLANNED, *told]:
        account.add(message)
    assert list(account.creations(ended=ended)) == created


REFUSED = 'Error creating database "shop": pq: permission denied to create database'
UNHEARD = 'Error creating database "shop": driver: bad connection'
PLAN = {"resource_changes": [{"address": "t.a", "change": {"actions": ["create"], "after": {"name": "shop"}}}]}
FAILED = [line("apply_start"), line("apply_errored")]


def said(summary: str, address: str = "t.a", severity: str = "error") -> dict[str, Any]:
    diagnostic = {"severity": severity, "summary": summary, "detail": "", "address": address}
    return {"type": "diagnostic", "diagnostic": diagnostic}


def named(name: str) -> dict[str, Any]:
    return {"resource_changes": [{"address": "t.a", "change": {"after": {"tags": [{"name": name}]}}}]}


@pytest.mark.parametrize(
    ("told", "plan", "ended", "suspected"),
    [
        pytest.param([*FAILED, said(REFUSED)], PLAN, True, False, id="refused"),
        pytest.param([*FAILED, said(UNHEARD)], PLAN, True, True, id="not heard of"),
        pytest.param([*FAILED, said(REFUSED), said(UNHEARD)], PLAN, True, True, id="one of two errors is no answer"),
        pytest.param([*FAILED, said(REFUSED), said(UNHEARD, "t.b")], PLAN, True, False, id="that is another's error"),
        pytest.param([*FAILED, said(REFUSED), said(UNHEARD, severity="warning")], PLAN, True, False, id="a warning"),
        pytest.param([*FAILED, said(REFUSED, "t.b")], PLAN, True, True, id="another's refusal"),
        pytest.param([*FAILED, said(REFUSED, "")], PLAN, True, True, id="a refusal of nothing"),
        pytest.param([line("apply_start"), said(REFUSED)], PLAN, True, True, id="it was never said to have failed"),
        pytest.param([*FAILED, line("apply_start"), said(REFUSED)], PLAN, True, True, id="begun again since"),
        pytest.param(
            [*FAILED, line("apply_complete", id_key="id", id_value="7"), said(REFUSED)], PLAN, True, True, id="made"
        ),
        pytest.param([*FAILED, said(REFUSED)], PLAN, False, True, id="killed"),
        pytest.param([*FAILED, None, said(REFUSED)], PLAN, True, True, id="a line is missing"),
        pytest.param([*FAILED, said(REFUSED)], None, True, True, id="without a plan, nobody knows what it quotes"),
        pytest.param([*FAILED, said(REFUSED)], {"resource_changes": []}, True, True, id="not in the plan"),
        pytest.param([*FAILED, said(REFUSED)], named('shop": pq: permission'), True, True, id="a value of it says so"),
    ],
)  # fmt: skip
def test_a_refused_creation_is_no_suspect(told: list[Any], plan: Any, ended: bool, suspected: bool) -> None:
    account = ApplyAccount()
    for message in told:
        account.add(message)
    assert account.creations(ended=ended, plan=plan) == ((Creation("t.a", account.steps[-1].id),) if suspected else ())


def test_half_a_line_means_that_more_may_be_missing() -> None:
    """A full disk cuts a line off, and swallows those that follow."""
    text = "\n".join(map(json.dumps, [*PLANNED, line("apply_start")]))
    account = ApplyAccount()
    for message in read_stream(text.encode()[:-9]):
        account.add(message)
    assert account.creations(ended=False) == (Creation("t.a"), Creation("t.b"))


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "planned_change"},
        {"type": "planned_change", "change": {"action": "create"}},
        {"type": "planned_change", "change": {"action": ["create"], "resource": {"addr": "t.a"}}},
        {"type": "planned_change", "change": {"action": "create", "resource": {"addr": 1}}},
        {"type": "diagnostic", "diagnostic": 1},
    ],
)
def test_an_odd_message_is_none(odd: dict[str, Any]) -> None:
    account = ApplyAccount()
    account.add(odd)
    assert (account.steps, account.creations(ended=False)) == ([], ())
