"""Values that Terraform would make a text of in silence."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.targets.environment.plan.variable_types import texts_misread

NESTED = """object({
    name = string // of it
    zones = optional(list(string), ["a"])
    limits = map(number), "note" : string /* ) */
    pair = tuple([string, bool])
    deep = object({ on = bool, text = string })
})"""


@pytest.mark.parametrize(
    ("value", "declared", "found"),
    [
        pytest.param(False, "string", [((), "a boolean")], id="NO"),
        pytest.param(1, "string", [((), "a number")], id="number"),
        pytest.param(1.5, '"string"', [((), "a number")], id="quoted type"),
        pytest.param("NO", "string", [], id="text"),
        pytest.param(None, "string", [], id="null"),
        pytest.param(False, "bool", [], id="boolean"),
        pytest.param(1, "number", [], id="a number for a number"),
        pytest.param(False, "any", [], id="any"),
        pytest.param(False, "", [], id="no type"),
        pytest.param(["SE", False], "list(string)", [((1,), "a boolean")], id="list"),
        pytest.param(["SE", False], "set( string )", [((1,), "a boolean")], id="set"),
        pytest.param({"a": 1, "b": "x"}, "map(string)", [(("a",), "a number")], id="map"),
        pytest.param({"a": 1}, "map(any)", [], id="map of any"),
        pytest.param([[1]], "list(list(string))", [((0, 0), "a number")], id="nested"),
        pytest.param(False, "list(string)", [], id="no list: Terraform says so"),
        pytest.param({"name": True, "limits": {"a": 1}}, NESTED, [(("name",), "a boolean")], id="object"),
        pytest.param({"zones": ["a", 2]}, NESTED, [(("zones", 1), "a number")], id="optional"),
        pytest.param(
            {"note": 1, "pair": [1, True]}, NESTED, [(("note",), "a number"), (("pair", 0), "a number")], id="more"
        ),
        pytest.param({"deep": {"on": True, "text": True}}, NESTED, [(("deep", "text"), "a boolean")], id="deep"),
        pytest.param({"other": True}, NESTED, [], id="what the type has not"),
        pytest.param(True, "list(" * 200 + "string" + ")" * 200, [], id="too deep to follow"),
    ],
)
def test_what_would_become_a_text(value: Any, declared: str, found: list) -> None:
    assert sorted(texts_misread(value, declared)) == sorted(found)


@given(
    st.text(alphabet='abjectlistringmpu(){}[]=,:# \n"\\', max_size=60),
    st.one_of(st.booleans(), st.lists(st.booleans())),
)
def test_no_type_is_too_odd_to_read(declared: str, value: Any) -> None:
    list(texts_misread(value, declared))
