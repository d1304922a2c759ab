"""States of a target: what may follow what."""

import hashlib

import pytest

from setpoint.adapters.store.state_versions import StateIdentity, identity, is_new_version
from setpoint.domain.errors import ConflictError
from setpoint.targets.environment.plan.state import StateFacts

HEAD = StateIdentity("l", 5, "aa")


@pytest.mark.parametrize(
    ("head", "new", "expected"),
    [
        (None, HEAD, True),
        (HEAD, HEAD, False),
        (HEAD, StateIdentity("l", 6, "bb"), True),
        (HEAD, StateIdentity("l", 60, "aa"), True),
        (HEAD, StateIdentity("l", 5, "bb"), "other content"),
        (HEAD, StateIdentity("l", 4, "bb"), "older"),
        (HEAD, StateIdentity("m", 6, "bb"), "belongs to something else"),
        (HEAD, StateIdentity("m", 5, "aa"), "belongs to something else"),
    ],
    ids=["first", "same again", "next", "jump", "same serial", "lower serial", "lineage", "lineage, same serial"],
)
def test_what_may_follow(head: StateIdentity | None, new: StateIdentity, expected: bool | str) -> None:
    if isinstance(expected, bool):
        assert is_new_version(head, new) is expected
    else:
        with pytest.raises(ConflictError, match=expected):
            is_new_version(head, new)


def test_identity_is_over_the_plain_bytes() -> None:
    facts = StateFacts("l", 3, "1.11.4", ())
    assert identity(facts, b"{}") == StateIdentity("l", 3, hashlib.sha256(b"{}").hexdigest())
