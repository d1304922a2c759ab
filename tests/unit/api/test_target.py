"""The parts that every target has, the list of their kinds, and references to them."""

import pytest
from pydantic import ValidationError

from setpoint.api.meta import ObjectRef
from setpoint.api.target import TARGET_KINDS, Target, TargetReference, TargetSpec, TargetStatus, target_type
from setpoint.api.v1alpha1 import KINDS

SHOP = ObjectRef("Environment", "default", "shop")


def test_the_list_names_every_kind_that_is_a_target() -> None:
    listed = {kind: target_type(kind) for kind in TARGET_KINDS}
    assert listed == {kind.__name__: kind for kind in KINDS if issubclass(kind, Target)}


@pytest.mark.parametrize("kind", TARGET_KINDS)
def test_each_of_them_extends_what_every_target_has(kind: str) -> None:
    fields = target_type(kind).model_fields
    assert issubclass(fields["spec"].annotation, TargetSpec)
    assert issubclass(fields["status"].annotation, TargetStatus)


def test_a_reference_and_its_target_name_each_other() -> None:
    reference = TargetReference.to(SHOP)
    assert reference.as_json() == {"kind": "Environment", "name": "shop"}
    assert reference.within("default") == SHOP


@pytest.mark.parametrize(
    ("given", "message"),
    [({"name": "shop"}, "Field required"), ({"kind": "Secret", "name": "shop"}, "must be 'Environment'")],
    ids=["no kind", "a kind that is no target"],
)
def test_a_reference_names_a_kind_of_target(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TargetReference.model_validate(given)
