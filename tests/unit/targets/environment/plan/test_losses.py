"""A resource that was deleted outside is made anew without its data."""

from typing import Any

import pytest
from tests.fakes.plans import analyse_plan, change, plan

from setpoint.domain.scrubbing import Scrubber
from setpoint.targets.environment.plan.losses import Lost, notes_of_losses


def deleted(address: str, before: dict[str, Any], **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The planned change, and the drift, of a resource that was deleted outside."""
    made = change(address, ["create"], after={"name": before.get("name")}, after_unknown={"id": True})
    return made, change(address, ["delete"], before, **more)


def lost(*pairs: tuple[dict[str, Any], dict[str, Any]], secrets: Scrubber | None = None) -> tuple[Lost, ...]:
    document = plan(*(made for made, _ in pairs), drift=[drift for _, drift in pairs])
    return analyse_plan(document, (), secrets or Scrubber(())).lost


def test_what_is_made_anew_is_told_with_the_id_that_a_renaming_would_change() -> None:
    schema = deleted("pg_schema.billing", {"id": "shop.billing", "name": "billing"})
    network = deleted("aws_vpc.main", {"id": "vpc-1", "name": "main"})
    assert lost(schema, network) == (
        Lost("aws_vpc.main", "aws_vpc"),
        Lost("pg_schema.billing", "pg_schema", "shop.billing"),
    )


def test_what_is_new_or_only_changed_or_not_put_back_is_not_lost() -> None:
    _, gone = deleted("t.gone", {"id": "gone", "name": "gone"})
    changed = change("t.set", ["update"], {"size": 2}, {"size": 1})
    drift = [gone, change("t.set", ["update"], {"size": 1}, {"size": 2})]
    assert analyse_plan(plan(change("t.new", ["create"], after={}), changed, drift=drift)).lost == ()


@pytest.mark.parametrize(
    ("before", "more"),
    [
        ({"id": "a-secret-name", "name": "a-secret-name"}, {}),
        ({"id": "masked", "name": "masked"}, {"before_sensitive": {"id": True}}),
        ({"id": "masked", "name": "masked"}, {"before_sensitive": {"name": True}}),
        ({"id": "a\x1b[2Jb", "name": "a"}, {}),
        ({"id": "n" * 300, "name": "n"}, {}),
        ({"id": ["n"], "name": "n"}, {}),
        ({"id": "n", "name": ""}, {}),
        ({"name": "n"}, {}),
    ],
)
def test_an_id_that_may_not_be_shown_or_says_nothing_is_left_out(before: dict[str, Any], more: dict[str, Any]) -> None:
    assert lost(deleted("t.a", before, **more), secrets=Scrubber({"a-secret-name"})) == (Lost("t.a", "t"),)


def test_only_what_held_data_is_told() -> None:
    found = [Lost("table.a", "table", "shop.a"), Lost("rule.b", "rule", "b"), Lost("table.c", "table")]
    assert notes_of_losses(found, "table".__eq__) == (
        "deleted outside and made anew, empty; what it held is gone: table.a, table.c",
        "if it was only renamed, it is still there: rename it back before this is applied. table.a was shop.a",
    )
    assert notes_of_losses(found[2:], "table".__eq__) == (
        "deleted outside and made anew, empty; what it held is gone: table.c",
    )
    assert notes_of_losses(found[1:2], "table".__eq__) == ()


def test_many_losses_are_told_in_short() -> None:
    found = [Lost(f"table.{'x' * 900}{index}", "table", f"id{index}") for index in range(9)]
    notes = notes_of_losses(found, lambda _: True)
    assert all(len(note) <= 1024 for note in notes)
    assert notes_of_losses([Lost(f"t.{n}", "t") for n in range(7)], lambda _: True)[0].endswith("t.4 and 2 more")
