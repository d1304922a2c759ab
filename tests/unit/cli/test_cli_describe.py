import asyncio
import datetime as dt

import pytest
from tests.fakes.beacon import Beacon, beacon
from tests.fakes.beacon_bench import beacons
from tests.fakes.examples import CHANGE_STATUS, ENVIRONMENT_STATUS, example
from tests.fakes.home import FakeHome, Run

from setpoint.api.meta import ObjectRef
from setpoint.cli import kinds as cli_kinds
from setpoint.runtime.recorder import EventRecord

__all__ = ["beacons"]

SHOP = ObjectRef("Environment", "default", "shop-prod")


def event(message: str, count: int = 1) -> EventRecord:
    now = dt.datetime.now(dt.UTC)
    hours = dt.timedelta(hours=3, minutes=5, seconds=30)
    return EventRecord(SHOP, "Warning", "DriftDetected", message, count, now - 2 * hours, now - hours)


def test_describe__environment__tells_its_story(run: Run, home: FakeHome) -> None:
    home.add(example("Environment", status=ENVIRONMENT_STATUS, labels={"team": "shop"}))
    home.add(example("Change", status=CHANGE_STATUS))
    home.add(example("Snapshot"))
    home.add(example("Snapshot", name="foreign", targetRef={"kind": "Environment", "name": "other"}))
    home.told = [event("1 resource differs"), event("2 resources differ", 3)]
    result = run("describe", "environment/shop-prod")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:3] == ["Name:          shop-prod", "Namespace:     default", "Kind:          Environment"]
    text = result.stdout
    assert "(3h5m ago)" in lines[3]
    assert "Labels:\n  team=shop\n" in text
    assert "Spec:\n  stage: prod\n" in text
    assert "  source:\n    path: ./infra\n" in text
    assert "Drift:\n  actionable 1, informational 2, pending 0, cascade 0\n  aws_instance.web\n" in text
    assert "State:         version 7, serial 9, 12 resources" in text
    assert "  Ready        False    ApprovalRequired" in text
    assert (
        "Change:\n  shop-prod-a1b2c3d4e506060606060606060606060606: +0 ~1 -0 (Drift)\n"
        "  Actions (what is there → what should be):\n" in text
    )
    assert '    ~   aws_instance.web\n          ~ tags.owner: "mallory" → "ada"\n' in text
    assert "  Way back:\n    can be undone" in text
    assert "    four-eyes (plan): Pending, blocks" in text
    assert "Snapshots:\n  NAME          STATE   RESOURCES   AGE\n  shop-prod-7   7       12          3h5m\n" in text
    assert "foreign" not in text
    assert "3h5m (x3 over 6h11m)   2 resources differ" in text


def test_describe__environment_with_nothing_yet__is_short(run: Run, home: FakeHome) -> None:
    home.add(example("Environment"))
    text = run("describe", "env", "shop-prod").stdout
    assert text.endswith("Events:        <none>\n")
    assert "Change:" not in text
    assert "Conditions:" not in text


@pytest.mark.usefixtures("beacons")
def test_describe__target_of_another_kind__tells_the_same(
    run: Run, home: FakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_kinds, "KINDS", (*cli_kinds.KINDS, Beacon))
    hold = {"reason": "ResetHold", "since": "2026-01-01T00:00:00Z", "generation": 2}
    drift = {"actionable": 1, "addresses": ["a"]}
    home.add(beacon(status={"hold": hold, "drift": drift, "change": "web-1"}, text="a=1"))
    text = run("describe", "beacon/shop-prod").stdout
    assert "  stage: dev\n" in text
    assert "  text: a=1\n" in text
    assert "Drift:\n  actionable 1, informational 0, pending 0, cascade 0\n  a\n" in text
    assert "Held:          since 2026-01-01T00:00:00Z (ResetHold)" in text
    assert "Change:        web-1, which is gone" in text


def test_describe__open_change_is_gone__says_so(run: Run, home: FakeHome) -> None:
    home.add(example("Environment", status=ENVIRONMENT_STATUS))
    assert "shop-prod-a1b2c3d4e506060606060606060606060606, which is gone" in run("describe", "env/shop-prod").stdout


def test_describe__held__says_how_to_go_on(run: Run, home: FakeHome) -> None:
    hold = {"reason": "ResetHold", "since": "2026-01-01T00:00:00Z", "generation": 2}
    home.add(example("Environment", status={"hold": hold}))
    assert "since 2026-01-01T00:00:00Z (ResetHold); 'setpoint resume' releases it" in run("describe", "env").stdout


def test_describe__change__shows_subject_way_back_and_approvals(run: Run, home: FakeHome) -> None:
    change = example("Change", status={**CHANGE_STATUS, "content": None})
    change["spec"]["resetPlan"] |= {
        "worst": "DataLoss",
        "drill": "Failed",
        "message": "the bucket is gone",
        "actions": [
            {"address": "aws_db_instance.a", "action": "create", "reversibility": "DataLoss", "note": "rows are lost"},
            {"address": "aws_instance.b", "action": "update", "reversibility": "Reversible"},
            {
                "address": "aws_sqs_queue.c",
                "action": "update",
                "reversibility": "Reversible",
                "classedBy": "*: Settings",
            },
        ],
    }
    change["spec"]["summary"] |= {"update": 3}
    home.add(change)
    home.hear(example("Approval"))
    text = run("describe", "change/shop-prod-a1b2c3d4e506060606060606060606060606").stdout
    assert f"Subject:       {change['spec']['subject']}" in text
    assert "... and 2 more" in text
    assert "Way back:\n  can NOT be undone: data is lost\n  the drill FAILED: nothing is applied\n" in text
    assert "  the bucket is gone\n  aws_db_instance.a can NOT be undone: data is lost: rows are lost\n" in text
    assert "aws_instance.b" not in text
    assert "  aws_sqs_queue.c can be undone (spec.protection.reversibility: *: Settings)\n" in text
    assert "Approvals:\n  1 of 1 approvals\n  Approved by ada, unproven, 3h5m ago\n" in text
    assert "  Gated   False    GateBlocked" in text


def test_describe__other_kinds__show_spec_status_and_conditions(run: Run, home: FakeHome) -> None:
    condition = {"type": "Ready", "status": "True", "reason": "PolicyLoaded", "message": "4 rules"}
    home.add(example("PolicySet", status={"conditions": [condition], "rules": [{"package": "setpoint.tags"}]}))
    text = run("describe", "pset/baseline").stdout
    assert "Namespace" not in text
    assert "Spec:\n  source:\n    builtin: baseline\n  params:\n    max_destroyed: 0\n" in text
    assert "Status:\n  rules:\n    - package: setpoint.tags\n" in text
    assert "  Ready   True     PolicyLoaded   <unknown>   4 rules\n" in text


def test_describe__deleted_and_orphans__are_said(run: Run, home: FakeHome) -> None:
    change = example("Change", status={"orphans": ["aws_instance.lost"]})
    change["metadata"]["finalizers"] = ["setpoint.dev/finalizer"]
    home.add(change)
    asyncio.run(home.cluster.delete(ObjectRef("Change", "default", "shop-prod-a1b2c3d4e506060606060606060606060606")))
    text = run("describe", "changes").stdout
    assert ", waits for its finalizers" in text
    assert "Orphans:\n  aws_instance.lost\n" in text


def test_describe__long_values__are_cut(run: Run, home: FakeHome) -> None:
    home.add(example("Environment", source={"inline": {"main.tf": "x" * 5000}}))
    text = run("describe", "env/shop-prod").stdout
    assert "x" * 200 + "... (5000 characters)" in text


def test_describe__kind_alone__tells_of_all(run: Run, home: FakeHome) -> None:
    home.add(example("Environment"))
    home.add(example("Environment", name="other"))
    assert run("describe", "environments").stdout.count("Name:  ") == 2


def test_describe__control_characters__are_made_visible(run: Run, home: FakeHome) -> None:
    home.add(example("Environment", variables={"a\x1b": ["b\x1b[31m"]}))
    assert "\x1b" not in run("describe", "env").stdout


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("env/nope",), 1, 'environments.setpoint.dev "nope" not found'),
        (("env", "nope"), 1, "not found"),
        (("resets",), 0, "No resources found in default namespace."),
        ((), 2, "Missing argument"),
    ],
)
def test_describe__nothing_there__says_so(run: Run, args: tuple[str, ...], code: int, message: str) -> None:
    result = run("describe", *args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
