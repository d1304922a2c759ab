"""A trail that goes on from its head, and every way in which it may not."""

import re

import pytest

from setpoint.domain.audit import GENESIS, Head
from setpoint.domain.standing import SeenHead, contradiction, refusal

OURS, OTHER = b"a" * 32, b"b" * 32


@pytest.mark.parametrize(
    ("head", "newest", "there", "why"),
    [
        pytest.param(Head(0, GENESIS), Head(0, GENESIS), GENESIS, "", id="nothing yet"),
        pytest.param(Head(0, GENESIS), Head(7, OURS), GENESIS, "", id="it lags from the beginning"),
        pytest.param(Head(7, OURS), Head(7, OURS), OURS, "", id="the same"),
        pytest.param(Head(7, OURS), Head(9, OTHER), OURS, "", id="it lags"),
        pytest.param(Head(7, OURS), Head(5, OTHER), None, "had 7 rows and ends after 5", id="an older one"),
        pytest.param(Head(7, OURS), Head(0, GENESIS), None, "had 7 rows and ends after 0", id="an empty one"),
        pytest.param(Head(7, OURS), Head(9, OTHER), OTHER, "row 7 .* not the one that stood there", id="went on"),
        pytest.param(Head(0, OTHER), Head(9, OTHER), GENESIS, "row 0", id="a head of no trail"),
        pytest.param(Head(7, OURS, "t1"), Head(9, OTHER, "t1"), OURS, "", id="of one trail"),
        pytest.param(Head(7, OURS, "t2"), Head(9, OTHER, "t1"), OURS, "another audit trail", id="of another trail"),
        pytest.param(Head(7, OURS, "t2"), Head(9, OTHER), OURS, "another audit trail", id="of rows without seals"),
        pytest.param(Head(7, OURS), Head(9, OTHER, "t1"), OURS, "bears no seal", id="a head that lost its seal"),
        pytest.param(Head(2, OURS), Head(9, OTHER, "t1"), OURS, "", id="a head from before the seals"),
        pytest.param(None, Head(9, OTHER), None, "nothing vouches for the 9 rows .*: why", id="no head"),
    ],
)
def test_what_a_head_says_against_the_rows(head: Head | None, newest: Head, there: bytes | None, why: str) -> None:
    found = contradiction(SeenHead(head, "" if head else "why"), newest, there, since=3 if newest.trail else 0)
    assert bool(found) == bool(why)
    if why:
        assert re.search(why, found)
        assert "setpoint store accept --reason" in refusal(found)
