"""Owns how what a Change would do is written for people, and handed to programs. Returns lines; prints nothing."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from setpoint.cli.table import plain
from setpoint.cli.value_lines import Line, attribute_lines, literal
from setpoint.domain.shown_content import ShownContent, read_line

_VERBS = {
    ("create",): "create", ("update",): "update", ("delete",): "delete", ("forget",): "forget",
    ("delete", "create"): "replace", ("create", "delete"): "replace", ("create", "forget"): "replace",
}  # fmt: skip
_SYMBOLS = {
    "create": "+",
    "update": "~",
    "delete": "-",
    "replace": "-/+",
    "forget": ".",
    "import": "<",
    "move": ">",
    "unknown": "?",
}
_COLOURS = {"+": "green", "-": "red", "~": "yellow", "-/+": "red"}
_WHY = {
    "replace_because_tainted": "its last creation was not finished",
    "replace_because_cannot_update": "",
    "replace_by_request": "its replacement was asked for",
    "replace_by_triggers": "something that it is to be replaced with changes",
    "delete_because_no_resource_config": "the configuration no longer has it",
    "delete_because_no_module": "the configuration no longer has its module",
    "delete_because_wrong_repetition": "count or for_each came or went",
    "delete_because_count_index": "count is lower now",
    "delete_because_each_key": "for_each no longer has its key",
    "delete_because_no_move_target": "it was moved to what the configuration does not have",
}
_DRIFT = {"actionable": "it was changed outside", "cascade": "it follows from what was changed outside"}
_ELEMENT = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)
_FEW = 8
_MANY = 30
_MAX_NAME = 32


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One resource or output, and its attributes that differ."""

    header: Mapping[str, Any]
    attributes: tuple[Mapping[str, Any], ...]

    @property
    def verb(self) -> str:
        """The action, in a word."""
        actions = tuple(self.header.get("actions", ()))
        if "omitted" in self.header:
            return "unknown"
        if actions in _VERBS:
            return _VERBS[actions]
        return "import" if "importing" in self.header else "move"


def entries_of(content: ShownContent) -> list[Entry]:
    """The lines, by resource."""
    entries: list[Entry] = []
    for record in map(read_line, content.lines):
        if "path" in record and entries:
            entries[-1] = dataclasses.replace(entries[-1], attributes=(*entries[-1].attributes, record))
        else:
            entries.append(Entry(record, ()))
    return entries


def content_value(content: ShownContent) -> dict[str, Any]:
    """The content for programs."""
    changes = [
        {**entry.header, "action": entry.verb, "attributes": list(entry.attributes)} for entry in entries_of(content)
    ]
    return {"digest": content.digest, "complete": content.whole, "missingLines": content.more, "changes": changes}


def content_lines(content: ShownContent, causes: Mapping[str, str], *, full: bool = False) -> list[str]:
    """The lines on what would be done to each resource and output, with before and after of what differs.

    `causes` has the drift class of what is done to an address, as far as it is known.
    """
    entries = entries_of(content)
    brief = not full and len(entries) > _MANY
    return list(itertools.chain.from_iterable(_entry_lines(entry, causes, full=full, brief=brief) for entry in entries))


def _entry_lines(entry: Entry, causes: Mapping[str, str], *, full: bool, brief: bool) -> Iterator[str]:
    symbol = _SYMBOLS[entry.verb]
    address = entry.header.get("address", "")
    notes = "; ".join(filter(None, [*_notes(entry), _DRIFT.get(causes.get(address, ""), "")]))
    address = plain(address)
    yield click.style(f"{symbol:<3} {address}", fg=_COLOURS.get(symbol), bold=True) + (f"  ({notes})" if notes else "")
    whole = entry.verb in {"create", "delete", "forget"} and entry.header.get("kind") == "resource"
    if whole and brief:
        return
    chosen, note = _few(entry.attributes) if whole and not full else (entry.attributes, "")
    yield from map(_coloured, _attribute_lines(chosen, entry.header.get("replacePaths", ()), full=full))
    if note:
        yield f"      {note}"


def _notes(entry: Entry) -> Iterator[str]:
    header = entry.header
    if entry.verb == "unknown":
        yield "what is done to it is not at hand here"
    if "deposed" in header:
        yield f"the deposed object {plain(header['deposed'])}, which an interrupted replacement left"
    if "previousAddress" in header:
        yield f"moved from {plain(header['previousAddress'])}"
    if "importing" in header:
        yield "imported with " + ", ".join(
            f"{plain(key)} {literal(value)}" for key, value in header["importing"].items()
        )
    if entry.verb == "forget":
        yield "stays, and is no longer managed"
    if entry.verb == "replace":
        order = (
            "made anew, then the old one is destroyed"
            if header["actions"][0] == "create"
            else "destroyed, then made anew"
        )
        yield "made anew; the old one stays" if "forget" in header["actions"] else order
    if forcing := [path for path in header.get("replacePaths", ()) if not _shows(entry.attributes, path)]:
        yield f"forced by {', '.join(map(plain, forcing))}"
    if why := _WHY.get(header.get("reason", ""), ""):
        yield why


def _few(attributes: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], str]:
    """The first attributes of what is made or goes as a whole that say something, and a note on the others."""
    telling = [record for record in attributes if _tells(record)]
    unknown = sum("unknown" in record for record in attributes)
    parts = [f"{len(telling) - _FEW} more"] if len(telling) > _FEW else []
    parts += [f"{unknown} known after apply"] if unknown else []
    return telling[:_FEW], f"… {', '.join(parts)}; --full shows all" if parts else ""


def _tells(record: Mapping[str, Any]) -> bool:
    if "unknown" in record:
        return False
    values = [record[side] for side in ("before", "after") if side in record]
    return "sensitive" in record or "omitted" in record or any(value not in (None, [], {}, "") for value in values)


# --- Attributes -----------------------------------------------------------------------------------------------------


def _attribute_lines(attributes: Sequence[Mapping[str, Any]], forcing: Sequence[str], *, full: bool) -> Iterator[Line]:
    attributes = _folded(attributes, full=full)
    names = [_name(record["path"]) for record in attributes]
    width = min(max(map(len, names), default=0), _MAX_NAME) + 1
    for parent, group in itertools.groupby(attributes, _list_of):
        records = list(group)
        moved = list(_moved(records)) if parent else []
        if moved:
            yield Line("~", 0, f"{_name(parent)}:")
            yield from moved
            continue
        for record in records:
            note = "  # forces replacement" if _forces(record["path"], forcing) else ""
            yield from attribute_lines(f"{_name(record['path'])}:".ljust(width), record, note=note, full=full)


def _folded(attributes: Sequence[Mapping[str, Any]], *, full: bool) -> list[Mapping[str, Any]]:
    """Without the values below an attribute that will only be known after the apply: they say nothing of what comes."""
    tops = [record["path"] for record in attributes if "unknown" in record and "before" not in record]
    folded: dict[str, int] = {}
    kept: list[Mapping[str, Any]] = []
    for record in attributes:
        top = next((top for top in tops if record["path"].startswith((f"{top}.", f"{top}["))), None)
        if top is None or full:
            kept.append(record)
        else:
            folded[top] = folded.get(top, 0) + 1
    return [{**record, "folded": folded[record["path"]]} if record["path"] in folded else record for record in kept]


def _name(path: str) -> str:
    return plain(path) or "value"


def _shows(attributes: Sequence[Mapping[str, Any]], forcing: str) -> bool:
    """True where the note stands beside an attribute."""
    return any(_forces(record["path"], [forcing]) for record in attributes)


def _forces(path: str, forcing: Sequence[str]) -> bool:
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in forcing)


def _list_of(record: Mapping[str, Any]) -> str:
    """The list that a plain element is of; empty for any other attribute."""
    match = _ELEMENT.fullmatch(str(record["path"]))
    simple = match and not {"unknown", "sensitive", "omitted"} & record.keys()
    return match[1] if match and simple else ""


def _moved(records: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """Elements that came and went, where others only moved up or down; nothing where none moved."""
    old = [literal(record["before"]) for record in records if "before" in record]
    new = [literal(record["after"]) for record in records if "after" in record]
    if not set(old) & set(new):
        return
    for tag, first, last, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield from (Line("-", 1, text) for text in old[first:last])
            yield from (Line("+", 1, text) for text in new[start:end])


def _coloured(line: Line) -> str:
    indent, colour = f"      {'    ' * line.depth}", _COLOURS.get(line.sign)
    if not line.after:
        return f"{indent}{click.style(f'{line.sign} {line.text}'.rstrip(), fg=colour)}{line.note}"
    values = f"{click.style(line.before, fg='red')} → {click.style(line.after, fg='green')}"
    return f"{indent}{click.style(line.sign, fg=colour)} {line.text} {values}{line.note}"
