"""Every condition and reason says what it means, and belongs to a kind."""

import itertools
import re

from setpoint.api.conditions import CONDITION_MEANING, EVENT_REASONS, REASON_MEANING, ConditionType, Reason
from setpoint.api.kind_conditions import KIND_CONDITIONS
from setpoint.api.v1alpha1 import KINDS


def test_meanings__cover_every_type_and_reason() -> None:
    assert CONDITION_MEANING.keys() == set(ConditionType)
    assert REASON_MEANING.keys() == set(Reason)


def test_names__follow_the_api_conventions() -> None:
    assert [name for name in [*ConditionType, *Reason] if not re.fullmatch(r"[A-Z][A-Za-z]{2,62}", name)] == []


def test_kinds__list_every_condition_and_reason() -> None:
    reasons = itertools.chain.from_iterable(types.values() for types in KIND_CONDITIONS.values())
    listed = set(itertools.chain.from_iterable(reasons))
    assert KIND_CONDITIONS.keys() == {kind.__name__ for kind in KINDS}
    assert set(itertools.chain.from_iterable(KIND_CONDITIONS.values())) == set(ConditionType)
    assert listed | set(EVENT_REASONS) == set(Reason)
    assert not listed & set(EVENT_REASONS)


def test_kinds__with_conditions__have_a_status() -> None:
    for kind in KINDS:
        assert ("status" in kind.model_fields) == bool(KIND_CONDITIONS[kind.__name__])
