"""The meaning of a look after an apply."""

from typing import Any

import pytest
from tests.fakes.plans import analyse_plan, change, plan, recorded, update

from setpoint.api.conditions import Reason
from setpoint.api.v1alpha1.change import ActionSummary
from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.targets.environment.plan.verification import verify_plan


def applied(*addresses: str) -> list[ActionSummary]:
    return [ActionSummary(address=address, action="update") for address in addresses]


@pytest.mark.parametrize(
    ("document", "ignore"),
    [
        pytest.param(None, [], id="a quiet plan"),
        pytest.param(recorded("at_setpoint"), [], id="nothing differs"),
        pytest.param(recorded("drift_unnoticed"), [], id="informational"),
        pytest.param(recorded("drift_restored"), [IgnoreRule(address="*", paths=["size"])], id="ignored"),
    ],
)
def test_verified(document: Any, ignore: list[IgnoreRule]) -> None:
    analysis = analyse_plan(document, ignore) if document else None
    assert verify_plan(analysis, applied("fakecloud_bucket.logs")).ok


def test_what_was_applied_and_still_differs_does_not_converge() -> None:
    found = verify_plan(analyse_plan(recorded("drift_and_spec")), applied("terraform_data.other"))
    assert (found.ok, found.reason, found.paths) == (False, Reason.NOT_CONVERGING, ("terraform_data.other",))
    assert found.message == "still differs after it was applied: terraform_data.other (input)"


def test_an_output_that_is_never_the_same_does_not_converge() -> None:
    document = plan(outputs={"now": {"actions": ["update"], "before": 1, "after_unknown": True}})
    found = verify_plan(analyse_plan(document), applied())
    assert (found.reason, found.paths) == (Reason.NOT_CONVERGING, ("output.now",))


def test_what_differs_elsewhere_is_new() -> None:
    found = verify_plan(analyse_plan(recorded("drift_gone")), applied("fakecloud_bucket.other"))
    assert (found.ok, found.reason) == (False, Reason.DRIFT_DETECTED)
    assert found.message.startswith("differs anew: fakecloud_bucket.base; fakecloud_bucket.follower (name)")


def test_a_deposed_object_that_stays_is_told_from_the_one_in_use() -> None:
    left = plan(change("t.a", ["delete"], {"x": 0}, deposed="01234567"))
    deposed = ActionSummary(address="t.a", action="delete", deposed="01234567")
    found = verify_plan(analyse_plan(left), [deposed])
    assert (found.reason, found.paths) == (Reason.NOT_CONVERGING, ("t.a (deposed 01234567)",))
    assert verify_plan(analyse_plan(left), applied("t.a")).reason == Reason.DRIFT_DETECTED


def test_a_long_list_is_cut() -> None:
    found = verify_plan(analyse_plan(plan(*(update(f"t.a{n}", {"x": 1}, {"x": 2}) for n in range(7)))), applied())
    assert found.message.endswith("t.a4 (x) and 2 more")
    assert len(found.paths) == 7
