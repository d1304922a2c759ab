"""Durations and times of the API."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.api.model import MAX_DURATION, format_duration, format_time, parse_duration, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("8760h", 8760 * 3600)],
)
def test_parse_duration__go_text__is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", ["", "10", "1d", "-1s", "1h 30m", "0s", "8761h", "9" * 31 + "h", "1h" * 20, 600, 1.5, None, True]
)
def test_parse_duration__anything_else__is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)


@given(st.timedeltas(min_value=dt.timedelta(milliseconds=1), max_value=MAX_DURATION))
def test_format_duration__and_back__is_the_same_to_the_millisecond(duration: dt.timedelta) -> None:
    rounded = dt.timedelta(milliseconds=max(1, round(duration.total_seconds() * 1000)))
    assert parse_duration(format_duration(rounded)) == rounded


@given(st.datetimes(timezones=st.just(dt.UTC), min_value=dt.datetime(2000, 1, 1)))  # noqa: DTZ001 hypothesis adds it
def test_format_time__and_back__is_the_same_to_the_second(instant: dt.datetime) -> None:
    assert parse_time(format_time(instant)) == instant.replace(microsecond=0)


def test_parse_time__without_a_zone__is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        parse_time("2026-01-01T00:00:00")
