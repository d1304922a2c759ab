"""The view that an approver has of a Change, from the store or its status, and what is said where it can't be shown."""

import json
from typing import Any

import pytest
from tests.fakes.examples import CONTENT, example
from tests.fakes.home import FakeHome, Run

CHANGE = "shop-prod-a1b2c3d4e506060606060606060606060606"
KEPT = "sha256:" + "ab" * 32
OTHER = CONTENT.as_bytes().replace(b"ada", b"eve")
DIFF = '~ tags.owner: "mallory" → "ada"'


@pytest.fixture
def home(home: FakeHome) -> FakeHome:
    """A home that keeps the content of the example."""
    home.contents = {KEPT: CONTENT.as_bytes()}
    return home


def kept(**status: Any) -> dict[str, Any]:
    return example("Change", content=KEPT, status={"content": None, **status})


def first(size: int) -> dict[str, Any]:
    part = CONTENT.first(size, 4096)
    return {"lines": list(part.lines), "more": part.more, "rest": part.rest}


@pytest.mark.parametrize("verb", ["describe", "approve"])
def test_what_the_store_keeps_is_shown(run: Run, home: FakeHome, verb: str) -> None:
    home.add(kept())
    result = run(verb, f"change/{CHANGE}")
    assert result.exit_code == 0, result.stderr
    assert DIFF in result.stdout
    assert "Done as well" not in result.stdout


def test_what_was_seen_is_not_called_unseen(run: Run, home: FakeHome) -> None:
    home.add(kept())
    assert run("approve", CHANGE, "--unseen", "--reason", "r").exit_code == 0
    assert "unseen" not in home.cluster.audit[0].payload


@pytest.mark.parametrize("verb", ["describe", "approve"])
def test_where_no_store_is_in_reach_the_status_tells(run: Run, home: FakeHome, verb: str) -> None:
    home.contents = None
    home.add(kept(content=first(9999)))
    result = run(verb, f"change/{CHANGE}")
    assert result.exit_code == 0, result.stderr
    assert DIFF in result.stdout


REACHES = {
    "only the beginning": (None, {"content": first(90)}, "only its beginning is at hand: 1 more lines are not shown"),
    "gone": ({}, {}, "the store no longer holds what this Change would do, until its target is"),
    "gone, with a beginning": ({}, {"content": first(90)}, "until its target is observed again: 1 more lines"),
    "damaged": ({KEPT: b"{}"}, {}, "can't be read: not the content of a Change"),
    "superseded": (
        None,
        {"outcome": "Superseded"},
        "this Change was superseded, and only the store keeps what it would have done",
    ),
    "of an older version": (None, {}, "this Change was made before contents were kept"),
}


@pytest.mark.parametrize("name", REACHES)
def test_what_can_not_be_shown_whole_says_so_and_is_not_approved_unseen(run: Run, home: FakeHome, name: str) -> None:
    home.contents, status, said = REACHES[name]
    home.add(kept(**status))
    described = run("describe", f"change/{CHANGE}")
    assert described.exit_code == 0
    assert "NOT SHOWN: " in described.stdout
    assert said in described.stdout
    assert "~   aws_instance.web" in described.stdout
    refused = run("approve", CHANGE)
    assert refused.exit_code == 1
    assert said in refused.stderr
    assert "--unseen --reason" in refused.stderr
    assert home.objects("Approval") == []
    assert run("approve", CHANGE, "--unseen").exit_code == 2
    assert run("approve", CHANGE, "--unseen", "--reason", "read the plan in CI").exit_code == 0
    assert home.objects("Approval")[0]["spec"]["reason"] == "read the plan in CI"
    assert home.cluster.audit[0].payload["unseen"] is True


def test_what_is_done_though_nobody_decides_on_it_is_named(run: Run, home: FakeHome) -> None:
    change = kept()
    change["spec"]["summary"]["actions"].append(
        {"address": "aws_instance.noisy", "action": "update", "paths": ["etag"]}
    )
    change["spec"]["summary"]["update"] = 2
    home.add(change)
    text = run("describe", f"change/{CHANGE}").stdout
    assert "nobody decides on it (spec.drift.ignore, or drift that is only noted):" in text
    assert "~   aws_instance.noisy (etag)" in text


def test_a_rejection_needs_no_sight(run: Run, home: FakeHome) -> None:
    home.contents = {}
    home.add(kept())
    assert run("reject", CHANGE, "--reason", "what is it?").exit_code == 0


@pytest.mark.parametrize("where", ["store", "status"])
@pytest.mark.parametrize("args", [(), ("--unseen", "--reason", "r")], ids=["plain", "unseen"])
def test_what_is_not_the_changes_content_is_never_approved(
    run: Run, home: FakeHome, where: str, args: tuple[str, ...]
) -> None:
    home.contents = {KEPT: OTHER} if where == "store" else None
    home.add(kept(content={"lines": [line.replace("ada", "eve") for line in CONTENT.lines]}))
    described = run("describe", f"change/{CHANGE}")
    assert described.exit_code == 1
    assert "WRONG: what is kept of this Change is not what it would do" in described.stdout
    assert "eve" not in described.stdout
    refused = run("approve", CHANGE, *args)
    assert refused.exit_code == 1
    assert "no approval is given" in refused.stderr
    assert home.objects("Approval") == []


@pytest.mark.parametrize("forged", [{"before": "forged"}, {"bytes": "forged"}, {"path": ["forged"]}])
def test_a_line_that_stands_for_a_longer_one_says_nothing_else(
    run: Run, home: FakeHome, forged: dict[str, Any]
) -> None:
    home.contents = None
    lines = [json.dumps(json.loads(line) | forged) for line in CONTENT.first(9999, 1).lines]
    home.add(kept(content={"lines": lines}))
    result = run("describe", f"change/{CHANGE}")
    assert result.exit_code == 1
    assert "forged" not in result.stdout


def test_long_lines_are_named_where_they_are_not_at_hand(run: Run, home: FakeHome) -> None:
    home.contents = None
    home.add(kept(content={"lines": list(CONTENT.first(9999, 1).lines)}))
    text = run("describe", f"change/{CHANGE}").stdout
    assert "?   aws_instance.web  (what is done to it is not at hand here)" in text
    size = len(CONTENT.lines[1].encode())
    assert f"~ tags.owner: (a value of {size} bytes, which is not at hand here)" in text
    assert "NOT SHOWN: only its beginning is at hand: long values are not shown" in text


def test_programs_get_data(run: Run, home: FakeHome) -> None:
    home.add(kept())
    value = json.loads(run("describe", f"change/{CHANGE}", "-o", "json").stdout)
    assert value["kind"] == "Change"
    assert value["content"]["complete"]
    assert value["content"]["changes"] == [
        {
            "kind": "resource",
            "address": "aws_instance.web",
            "actions": ["update"],
            "action": "update",
            "attributes": [{"path": "tags.owner", "before": "mallory", "after": "ada"}],
        }
    ]


def test_programs_hear_what_is_wrong(run: Run, home: FakeHome) -> None:
    home.contents = {KEPT: OTHER}
    home.add(kept())
    result = run("describe", f"change/{CHANGE}", "-o", "json")
    assert result.exit_code == 1
    assert "is not what it would do" in json.loads(result.stdout)["content"]["problem"]
