"""The resources that a Change must not destroy."""

import dataclasses
import time

import pytest

from setpoint.api.meta import ObjectRef
from setpoint.api.target import Protection
from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary
from setpoint.domain.model import Change
from setpoint.domain.protection import check_protection


def make_change(address: str, action: str, **summary: int) -> Change:
    counts = {action: 1} if action in {"delete", "replace"} and not summary else summary
    return Change(
        target=ObjectRef("Environment", "default", "shop"),
        cause="SpecChanged",
        digest="",
        base="1",
        configuration="",
        generation=1,
        actions=(ActionSummary(address=address, action=action),),  # type: ignore[arg-type]
        summary=ChangeSummary(**counts),
        types={address: address.partition(".")[0]},
    )


@pytest.mark.parametrize(
    ("pattern", "address", "protected"),
    [
        pytest.param("a.b", "a.b", True, id="exact"),
        pytest.param("a.b", "a.bc", False, id="no-prefix"),
        pytest.param("a.b", "a.b[0]", True, id="covers-instances"),
        pytest.param("module.db", "module.db.a.b", True, id="covers-a-module"),
        pytest.param("module.db", "module.dbx.a.b", False, id="not-another-module"),
        pytest.param("*.b", "module.x.a.b", True, id="star-at-the-start"),
        pytest.param("a.*", "a.x", True, id="star-at-the-end"),
        pytest.param("module.*.aws_db_instance.*", "module.x.module.y.aws_db_instance.m", True, id="stars-within"),
        pytest.param("a*a", "a", False, id="parts-do-not-overlap"),
        pytest.param("a.[b]", "a.b", False, id="nothing-else-is-special"),
        pytest.param("*", "a.b", True, id="all"),
    ],
)
def test_addresses(pattern: str, address: str, protected: bool) -> None:
    found = check_protection(make_change(address, "delete"), Protection(addresses=[pattern]))
    assert bool(found) is protected


@pytest.mark.parametrize(
    ("action", "protected"),
    [("delete", True), ("replace", True), ("update", False), ("create", False), ("forget", False), ("move", False)],
)
def test_actions_that_destroy(action: str, protected: bool) -> None:
    assert bool(check_protection(make_change("t.a", action), Protection(types=["t"]))) is protected


def test_an_address_that_is_not_shown_is_protected_by_what_it_is() -> None:
    change = dataclasses.replace(
        make_change('a.b["(sensitive)"]', "delete"), real_addresses={'a.b["(sensitive)"]': 'a.b["pa55word"]'}
    )
    (message,) = check_protection(change, Protection(addresses=['*["pa55word"]']))
    assert message.startswith('delete of a.b["(sensitive)"], which spec.protection.addresses protects; ')
    assert check_protection(change, Protection(addresses=['*["(sensitive)"]'])) == ()


@pytest.mark.parametrize("protection", [Protection(addresses=["a.b"]), Protection(types=["a"])], ids=str)
def test_what_an_interrupted_replacement_left_is_not_the_object_in_use(protection: Protection) -> None:
    left = ActionSummary(address="a.b", action="delete", deposed="01234567")
    change = dataclasses.replace(make_change("a.b", "delete"), actions=(left,))
    assert check_protection(change, protection) == ()
    both = dataclasses.replace(
        change, actions=(left, ActionSummary(address="a.b", action="delete")), summary=ChangeSummary(delete=2)
    )
    assert len(check_protection(both, protection)) == 1


def test_other_types_are_not_protected() -> None:
    assert check_protection(make_change("t.a", "delete"), Protection(types=["u"])) == ()


def test_what_is_not_listed_can_not_be_ruled_out() -> None:
    change = make_change("t.a", "delete", delete=2)
    assert check_protection(change, Protection()) == ()
    (message,) = check_protection(change, Protection(types=["u"]))
    assert "more than it lists" in message


def test_a_hostile_pattern_takes_no_time() -> None:
    pattern, address = "*a" * 400 + "b", "a" * 1000
    before = time.process_time()
    assert check_protection(make_change(address, "delete"), Protection(addresses=[pattern])) == ()
    assert time.process_time() - before < 1


def test_what_is_of_no_known_type_can_not_be_ruled_out() -> None:
    change = dataclasses.replace(make_change("t.a", "delete"), types={})
    assert check_protection(change, Protection(addresses=["u.*"])) == ()
    (message,) = check_protection(change, Protection(types=["u"]))
    assert "no type is known" in message


def test_a_type_is_what_the_kind_of_target_says() -> None:
    change = dataclasses.replace(make_change("docs/a.md", "delete"), types={"docs/a.md": "file"})
    assert check_protection(change, Protection(types=["docs/a"])) == ()
    (message,) = check_protection(change, Protection(types=["file"]))
    assert message.startswith("delete of docs/a.md, whose type spec.protection.types protects")
