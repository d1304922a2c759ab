"""Terraform state files: what is read, what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.soak import dear_examples

from setpoint.domain.errors import InvalidError
from setpoint.targets.environment.plan import state
from setpoint.targets.environment.plan.state import ResourceInstance, StateFacts


def document(**changes: Any) -> dict[str, Any]:
    return {"version": 4, "terraform_version": "1.11.4", "serial": 3, "lineage": "l", "resources": [], **changes}


def text(**changes: Any) -> bytes:
    return json.dumps(document(**changes)).encode()


def resource(*instances: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"mode": "managed", "type": "t", "name": "n", "provider": "p", "instances": list(instances), **changes}


def one(address: str, **facts: Any) -> ResourceInstance:
    return ResourceInstance(address, type="t", **facts)


@pytest.mark.parametrize("indent", [None, 2], ids=["compact", "indented"])
def test_facts(indent: int | None) -> None:
    data = json.dumps(document(outputs={"resources": [1]}, check_results=None), indent=indent).encode() + b"\n"
    assert state.parse(data) == StateFacts("l", 3, "1.11.4", ())


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (resource({}), [one("t.n")]),
        (resource({"index_key": 0}, {"index_key": 1}), [one("t.n[0]"), one("t.n[1]")]),
        (resource({"index_key": 'a"b${c}'}), [one('t.n["a\\"b$${c}"]')]),
        (resource({}, module='module.m["x"]'), [one('module.m["x"].t.n')]),
        (resource({}, {"deposed": "00000001"}), [one("t.n"), one("t.n", deposed="00000001")]),
        (resource({"attributes": {"id": "i-1"}}), [one("t.n", id="i-1")]),
        (resource({"attributes_flat": {"id": "i-1"}}), [one("t.n", id="i-1")]),
        (resource({"attributes": {"id": 7}}), [one("t.n")]),
        (resource({"attributes": None, "status": "tainted"}), [one("t.n", tainted=True)]),
        (resource({}, mode="data"), []),
        (resource(), []),
    ],
    ids=[
        "single",
        "count",
        "for_each",
        "module",
        "deposed",
        "id",
        "old id",
        "other id",
        "tainted",
        "data source",
        "no instance",
    ],
)
def test_instances(found: dict[str, Any], expected: list[ResourceInstance]) -> None:
    assert list(state.parse(text(resources=[found])).instances) == expected


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", ""),
        (b"null", ""),
        (b"[]", ""),
        (b"\xff", ""),
        (b'{"version": 4', ""),
        (text() + b"x", ""),
        (text()[:-1] + b",}", ""),
        (b'{"serial":1,' + text()[1:], ""),
        (text(resources=[1]), ""),
        (text(resources=[{"mode": "managed"}]), ""),
        (b'{"version":4,"resources":[{},]}', ""),
        (b'{"version":4,"resources":[' + b"[" * 100_000, ""),
        (b'{"version":' + b"9" * 5000 + b"}", ""),
        (text(version=3), "version"),
        (b"{}", "version"),
        (text(lineage=""), "lineage"),
        (text(lineage=1), "lineage"),
        (text(lineage="x" * 256), "lineage"),
        (text(serial=-1), "serial"),
        (text(serial=True), "serial"),
        (text(serial="1"), "serial"),
        (text(serial=2**63), "serial"),
        (text(terraform_version=None), "terraform_version"),
    ],
    ids=[
        "nothing", "null", "list", "bytes", "torn", "trailing", "comma", "key twice", "resource", "resource fields",
        "resource comma", "deep", "long number", "format", "empty", "no lineage", "lineage type", "long lineage",
        "negative serial", "bool serial", "text serial", "huge serial", "no version",
    ],
)  # fmt: skip
def test_what_is_no_state_is_refused(data: bytes, field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        state.parse(data)
    assert caught.value.field == field


def test_an_error_does_not_hold_the_document() -> None:
    """It would end up in a log, with the secrets in it."""
    with pytest.raises(InvalidError) as caught:
        state.parse(text(outputs={"x": "hunter2"})[:-1])
    assert "hunter2" not in caught.value.message
    assert caught.value.__suppress_context__


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=dear_examples(30))
@given(
    extra=st.dictionaries(st.text().filter(lambda name: name not in document()), JSON),
    indent=st.sampled_from([None, 0, 2]),
)
def test_the_scan_agrees_with_a_json_parser(extra: dict[str, Any], indent: int | None) -> None:
    data = json.dumps(document(**extra, resources=[resource({})]), indent=indent)
    assert state.parse(data.encode()) == StateFacts("l", 3, "1.11.4", (one("t.n"),))


@given(st.binary())
def test_arbitrary_bytes_are_refused_and_nothing_else(data: bytes) -> None:
    with pytest.raises(InvalidError):
        state.parse(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{"lineage": "", "serial": 0}', {"lineage": "new", "serial": 4}, id="never saved"),
        pytest.param(b'{"lineage": "old", "serial": 3}', {"lineage": "old", "serial": 3}, id="has a history"),
    ],
)
def test_a_state_that_was_never_saved_gets_the_lineage_that_it_lacks(data, expected):
    assert json.loads(state.with_lineage(data, lineage="new", serial=4)) == expected


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"serial": 1}'])
def test_what_is_no_state_is_left_as_it_is(data):
    assert state.with_lineage(data, lineage="new", serial=4) == data
