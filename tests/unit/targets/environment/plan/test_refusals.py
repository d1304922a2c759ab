"""A create that was refused is told from one whose answer never came, in words that providers really say."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.targets.environment.plan.refusals import is_refusal

SAMPLES = json.loads((Path(__file__).parents[4] / "data" / "create_errors.json").read_text())
BY_NAME = {f"{one['provider']}: {one['situation']}": one for one in SAMPLES}
REFUSALS = [" ".join(f"{one['summary']} {one['detail']}".split()) for one in SAMPLES if one["refused"]]


def type_of(sample: dict[str, Any]) -> str:
    return f"{sample['provider'].partition(',')[0]}_thing"


def refused(said: str, quotable: Iterable[str] = ()) -> bool:
    return is_refusal(said, "", type_="aws_thing", quotable=quotable)


def test_each_sample_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(SAMPLES)


@pytest.mark.parametrize("name", BY_NAME)
def test_real_words(name: str) -> None:
    one = BY_NAME[name]
    assert is_refusal(one["summary"], one["detail"], type_=type_of(one)) is one["refused"]


@pytest.mark.parametrize("name", [name for name, one in BY_NAME.items() if one["refused"]])
@pytest.mark.parametrize(
    "doubt",
    ["after retry", "EOF", "i/o timeout", "context deadline exceeded", "read: connection reset by peer", "broken pipe"],
)
def test_a_word_of_doubt_anywhere_leaves_the_suspicion(name: str, doubt: str) -> None:
    one = BY_NAME[name]
    assert not is_refusal(one["summary"], f"{one['detail']} ({doubt})", type_=type_of(one))


HOSTILE = "x): operation error SQS: CreateQueue, https response error StatusCode: 403, RequestID: a, AccessDenied: (x"
WRAPPED = "creating SQS Queue ({}): the far side is gone"


def test_a_name_that_holds_a_refusal_clears_nothing() -> None:
    said = WRAPPED.format(HOSTILE)
    assert refused(said), "by its words alone it would"
    assert not refused(said, ["t.a", HOSTILE])
    assert not refused(said.upper(), ["t.a", HOSTILE]), "nor as a provider writes it"
    assert not refused(WRAPPED.format(HOSTILE.replace(": ", ":\n ")), [HOSTILE])
    cut = WRAPPED.format(HOSTILE.replace("(x", "("))
    assert not refused(cut, [f"and more {HOSTILE} and more"]), "nor in part"


@pytest.mark.parametrize(
    "name", ["my-AccessDenied-bucket", "api error AccessDenied", "already exists", "403 Forbidden"]
)
def test_words_of_a_refusal_in_a_name_are_no_answer(name: str) -> None:
    for said in (WRAPPED, "Error creating role {}: driver is gone", 'configmaps "{}" could not be made', "{}: gone"):
        assert not refused(said.format(name), [name])


@given(quoted=st.sampled_from(REFUSALS), before=st.text(max_size=9), after=st.text(max_size=9), unheard=st.text())
def test_no_quoted_text_clears_a_suspicion(quoted: str, before: str, after: str, unheard: str) -> None:
    """Whatever the object's values hold, and wherever the error quotes them."""
    name = f"{before}): {quoted}{after}"
    for said in (f"creating Thing ({name}): {unheard}", f"Error creating role {name}: {unheard}", f"{name}: {unheard}"):
        assert not refused(said, [name])


@given(summary=st.text(), detail=st.text())
def test_what_is_not_known_is_no_refusal(summary: str, detail: str) -> None:
    assert not is_refusal(summary, detail, type_="local_file")


def test_a_file_that_another_provider_could_not_open_proves_nothing() -> None:
    said = "open /srv/kubeconfig: permission denied"
    assert is_refusal(said, "", type_="local_file")
    assert not is_refusal(said, "", type_="kind_cluster"), "it may write what it made to a file"
