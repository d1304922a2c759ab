"""Owns tables with the kubectl look: columns, ages, colours. Returns text; prints nothing."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import click

from setpoint.api.meta import JsonObject, KubeObject, PrinterColumn
from setpoint.api.model import parse_time
from setpoint.cli.jsonpath import find_value
from setpoint.domain.visible import visible

GAP = "   "

_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
"""A digest is shown by its first digits; `-o wide` and `-o json` have them all."""
_BREAKS = str.maketrans("\t\n\r", "   ")
_COLOURS = {
    "True": "green", "False": "red", "Unknown": "yellow",
    "GatesPassed": "green", "GatesPending": "yellow", "GateBlocked": "red", "GateError": "red",
    "at the setpoint": "green", "released": "green", "held": "yellow", "needs attention": "yellow", "failed": "red",
    "ok": "green", "missing": "red", "Warning": "yellow",
    "Applied": "green", "Failed": "red", "Blocked": "red", "NotVerified": "red", "Waiting": "yellow",
    "Applying": "yellow",
}  # fmt: skip


def plain(value: Any) -> str:
    """A value as text on one line. Names and messages come from outside: control characters are made visible."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict | list) else str(value)
    return visible(text.translate(_BREAKS))


def render(header: Sequence[str], rows: Iterable[Sequence[str]], *, widths: Sequence[int] = ()) -> str:
    """A table with aligned columns and no lines, as kubectl's. No newline at the end.

    `widths` are least widths; an empty `header` leaves it out, so that a table can go on.
    """
    lines = [list(map(plain, row)) for row in rows]
    if header:
        lines.insert(0, list(header))
    least = widths or [0] * max(map(len, lines), default=0)
    widest = [max(low, *(len(line[index]) for line in lines)) for index, low in enumerate(least)] if lines else []
    return "\n".join(_line(line, widest) for line in lines)


def column_widths(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[int]:
    """How wide each column of a table is."""
    lines = [header, *rows]
    return [max(len(plain(line[index])) for line in lines) for index in range(len(header))]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    padded[-1] = cells[-1]
    return GAP.join(_coloured(cell) for cell in padded).rstrip()


def _coloured(cell: str) -> str:
    colour = _COLOURS.get(cell.rstrip())
    return click.style(cell, fg=colour) if colour else cell


def shown_columns(kind: type[KubeObject], *, wide: bool) -> tuple[PrinterColumn, ...]:
    """The columns of a kind, those for `-o wide` last and only then."""
    return tuple(column for column in kind.META.columns if wide or not column.wide)


def object_cells(
    obj: JsonObject, columns: Iterable[PrinterColumn], now: dt.datetime, *, wide: bool = False
) -> list[str]:
    """The cells of one object below its columns; `wide` shows digests whole."""
    return [_cell(column, find_value(obj, column.json_path), now, wide=wide) for column in columns]


def _cell(column: PrinterColumn, value: Any, now: dt.datetime, *, wide: bool) -> str:
    if column.type == "date":
        return age(value, now)
    return plain(_DIGEST.sub(r"\1", value) if isinstance(value, str) and not wide else value)


def age(instant: str | None, now: dt.datetime) -> str:
    """Time since an RFC 3339 instant as kubectl writes it; `<unknown>` where there is none."""
    if not instant:
        return "<unknown>"
    try:
        return human_duration(now - parse_time(instant))
    except ValueError:
        return "<invalid>"


def human_duration(duration: dt.timedelta) -> str:
    """A duration in about two digits of precision: k8s.io/apimachinery/pkg/util/duration, HumanDuration."""
    seconds = int(duration.total_seconds())
    if seconds < -1:
        return "<invalid>"
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    return _minutes(seconds) if seconds < 3 * 3600 else _hours(seconds // 60) if seconds < 48 * 3600 else _days(seconds)


def _minutes(seconds: int) -> str:
    return _two(seconds // 60, "m", seconds % 60, "s") if seconds < 600 else f"{seconds // 60}m"


def _hours(minutes: int) -> str:
    return _two(minutes // 60, "h", minutes % 60, "m") if minutes < 8 * 60 else f"{minutes // 60}h"


def _days(seconds: int) -> str:
    days, hours = divmod(seconds // 3600, 24)
    if days < 8:
        return _two(days, "d", hours, "h")
    if days < 365 * 2:
        return f"{days}d"
    years, rest = divmod(days, 365)
    return _two(years, "y", rest, "d") if years < 8 else f"{years}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"
