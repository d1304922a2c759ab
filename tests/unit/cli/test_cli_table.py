import datetime as dt

import click
import pytest

from setpoint.api.v1alpha1 import KINDS
from setpoint.cli.jsonpath import find_value, parse_path
from setpoint.cli.table import age, human_duration, plain, render

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        # The cases of k8s.io/apimachinery/pkg/util/duration/duration_test.go, TestHumanDuration.
        ({"seconds": -3}, "<invalid>"),
        ({"seconds": -1}, "0s"),
        ({"milliseconds": -999}, "0s"),
        ({}, "0s"),
        ({"milliseconds": 1999}, "1s"),
        ({"seconds": 70}, "70s"),
        ({"seconds": 119}, "119s"),
        ({"seconds": 120}, "2m"),
        ({"seconds": 190}, "3m10s"),
        ({"minutes": 9, "seconds": 59}, "9m59s"),
        ({"minutes": 10, "seconds": 5}, "10m"),
        ({"minutes": 70}, "70m"),
        ({"minutes": 179}, "179m"),
        ({"hours": 3}, "3h"),
        ({"hours": 3, "minutes": 5}, "3h5m"),
        ({"hours": 7, "minutes": 59}, "7h59m"),
        ({"hours": 10}, "10h"),
        ({"hours": 47}, "47h"),
        ({"hours": 48}, "2d"),
        ({"hours": 49}, "2d1h"),
        ({"hours": 191}, "7d23h"),
        ({"days": 8, "hours": 5}, "8d"),
        ({"days": 729}, "729d"),
        ({"days": 730}, "2y"),
        ({"days": 731}, "2y1d"),
        ({"days": 365 * 8 - 1}, "7y364d"),
        ({"days": 365 * 8 + 1}, "8y"),
    ],
    ids=str,
)
def test_human_duration__is_kubectls(duration: dict[str, float], text: str) -> None:
    assert human_duration(dt.timedelta(**duration)) == text


@pytest.mark.parametrize(
    ("instant", "text"),
    [("2025-12-31T23:00:00Z", "60m"), (None, "<unknown>"), ("", "<unknown>"), ("soon", "<invalid>")],
)
def test_age__of_an_instant(instant: str | None, text: str) -> None:
    assert age(instant, NOW) == text


def test_render__columns__are_padded_with_three_spaces_and_no_trailing_ones() -> None:
    assert render(("A", "LONG"), [("1", ""), ("three", "x")]) == "A       LONG\n1\nthree   x"


def test_render__no_rows__is_the_header() -> None:
    assert render(("A", "B"), []) == "A   B"


def test_render__colours__come_after_padding() -> None:
    shown = render(("READY", "X"), [("True", "1")])
    assert click.style("True ", fg="green") in shown
    assert click.unstyle(shown) == "READY   X\nTrue    1"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "true"), (3, "3"), (["a"], '["a"]'), ("a\tb\x00\u009b", "a b\\x00\\x9b"), ("é→", "é→")],
    ids=repr,
)
def test_plain__is_one_harmless_line(value: object, text: str) -> None:
    assert plain(value) == text


OBJECT = {
    "metadata": {"name": "n"},
    "status": {"conditions": [{"type": "A", "status": "1"}, {"type": "Ready", "status": "True"}], "list": [1, [2]]},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".metadata.name", "n"),
        ('.status.conditions[?(@.type=="Ready")].status', "True"),
        (".status.conditions[?(@.type=='A')].status", "1"),
        ('.status.conditions[?(@.type == "Ready")].status', "True"),
        ('.status.conditions[?(@.type=="Other")].status', None),
        (".status.conditions[0].type", "A"),
        (".status.list[1][0]", 2),
        (".status.list[9]", None),
        (".status.missing.deeper", None),
        (".metadata.name.deeper", None),
        ('.metadata[?(@.type=="Ready")]', None),
        ("", OBJECT),
    ],
)
def test_find_value__form_of_a_printer_column__is_found(path: str, value: object) -> None:
    assert find_value(OBJECT, path) == value


@pytest.mark.parametrize("path", ["a", "..a", ".a[*]", ".a[?(@.b>1)]", ".a b", "{.a}", ".a[-1]"])
def test_parse_path__other_forms__are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="JSONPath"):
        parse_path(path)


def test_parse_path__every_column__can_be_read() -> None:
    for kind in KINDS:
        for column in kind.META.columns:
            assert parse_path(column.json_path)
