"""The values that a secret's text stands for."""

import pytest

from setpoint.domain.secret_values import known_texts, variable_values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('["a"]', ["a"], id="array"),
        pytest.param(' {"a": [1]}\n', {"a": [1]}, id="object"),
        pytest.param("plain", "plain", id="text"),
        pytest.param("5", "5", id="number"),
        pytest.param('"a"', '"a"', id="quoted"),
        pytest.param("", "", id="empty"),
        pytest.param('{ a = "b" }', '{ a = "b" }', id="HCL"),
        pytest.param("[" * 100_000, "[" * 100_000, id="too deep"),
    ],
)
def test_the_value_of_a_structured_variable(text: str, value: object) -> None:
    assert variable_values({"v": text}, {"v"}) == {"v": value}
    assert variable_values({"v": text}, set()) == {"v": text}


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        pytest.param("plain", set(), id="text"),
        pytest.param('{"user": "ada", "keys": ["k-1", 1234567, null]}', {"ada", "k-1", "1234567"}, id="nested"),
        pytest.param("[" * 100_000, set(), id="too deep to read"),
        pytest.param("[" * 500 + "]" * 500, set(), id="too deep to follow"),
    ],
)
def test_all_that_a_secret_could_show_as_is_known(text: str, inner: set[str]) -> None:
    assert known_texts([text, "other"]) == {text, "other"} | inner
