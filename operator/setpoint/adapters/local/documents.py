"""Owns turning the text of a YAML or JSON file into JSON values with the line of each. Knows no manifest.

YAML is read from the parser's events, so that nothing is built before it is known to be in bounds: depth, number of
values, and what aliases expand to. Values are JSON's alone: no dates, no objects, no numbers that mean something
else to another reader. What is wrong in a document that could still be read to its end is in its `problems`, for
not every document in a folder is ours to complain about; what ends the reading is a DocumentError.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from setpoint.domain.kinds import Path, Problem

MAX_BYTES = 1 << 20
MAX_DOCUMENTS = 1000
MAX_DEPTH = 64
MAX_SIZE = 4 << 20
"""Values plus characters of one document, with its aliases written out."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset({None, "!", f"{_CORE}str", f"{_CORE}map", f"{_CORE}seq"})
_VALUE_TAGS = frozenset({f"{_CORE}{name}" for name in ("null", "bool", "int", "float")})
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_BOOLEANS = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_BASED = re.compile(r"[-+]?0(x[0-9a-fA-F][0-9a-fA-F_]*|o[0-7][0-7_]*|b[01][01_]*)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 200
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


class DocumentError(Exception):
    """The file can't be read from here on. `blind`: not even its text is at hand."""

    def __init__(self, message: str, *, line: int = 0, blind: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.blind = blind


@dataclasses.dataclass(slots=True)
class Document:
    """One document. `lines` has the line of every value by its path; an alias's content has the alias's line."""

    line: int
    value: Any = None
    lines: dict[Path, int] = dataclasses.field(default_factory=dict, repr=False)
    problems: list[Problem] = dataclasses.field(default_factory=list)

    def line_of(self, path: Path) -> int:
        """The line of a value, or of the nearest one above it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)


def parse(data: bytes, *, json: bool = False) -> Iterator[Document]:
    """The documents of a file, empty ones left out. Raises DocumentError where reading ends early."""
    text = _decode(data)
    if json:
        text = _SURROGATES.sub(_join_surrogates, text)
    for count, document in enumerate(_documents(text)):
        if count >= MAX_DOCUMENTS:
            raise DocumentError(f"more than {MAX_DOCUMENTS} documents", line=document.line)
        if document.value is not None:
            yield document


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise DocumentError("larger than 1 MiB", blind=True)
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError("not UTF-8 text", line=line, blind=True) from None


def _join_surrogates(match: re.Match[str]) -> str:
    pair = bytes.fromhex(match[2] + match[3]).decode("utf-16-be")
    return match[1] + pair


def _documents(text: str) -> Iterator[Document]:
    builder: _Builder | None = None
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                builder = _Builder(_line(event))
            elif isinstance(event, yaml.DocumentEndEvent) and builder is not None:
                yield builder.document
                builder = None
            elif builder is not None:
                builder.add(event)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 0
        raise DocumentError("a character that is not allowed in YAML", line=line) from None
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        # `context` and `problem` are the parser's own words; its snippet of the text is left out.
        raise DocumentError(_words(error), line=mark.line + 1 if mark else 0) from None


def _words(error: yaml.MarkedYAMLError) -> str:
    return "not YAML: " + (" ".join(filter(None, (error.context, error.problem))) or "it can't be read")


def _is_merge(event: yaml.ScalarEvent) -> bool:
    """True where it is YAML's merge key, which in quotes is a key like any other."""
    return bool(event.implicit[0]) and event.value == "<<"


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 0


@dataclasses.dataclass(slots=True)
class _Open:
    """A map or list that is being read. `size` is what it comes to with its aliases written out."""

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_line: int = 0
    merges: bool = False
    inherited: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class _Builder:
    """Builds one document from events."""

    def __init__(self, line: int) -> None:
        self.document = Document(line)
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}

    def add(self, event: yaml.Event) -> None:
        """Takes the next event."""
        if isinstance(event, yaml.AliasEvent):
            self._add_alias(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._add_scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(event)

    def _add_alias(self, event: yaml.AliasEvent) -> None:
        self._refuse_as_key(event)
        if event.anchor not in self._anchors:
            raise DocumentError("an alias of nothing that stands before it", line=_line(event))
        value, size = self._anchors[event.anchor]
        self._put(value, size, event)

    def _add_scalar(self, event: yaml.ScalarEvent) -> None:
        if self._awaits_key():
            self._set_key(self._key(event), event)
            self._open[-1].merges = _is_merge(event)
            return
        path = self._path()
        value = self._scalar(event, path)
        size = 1 + len(event.value)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, size)
        self._put(value, size, event)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise DocumentError(f"nested more than {MAX_DEPTH} levels deep", line=_line(event))
        self._refuse_as_key(event)
        path = self._path()
        self.document.lines.setdefault(path, _line(event))
        if event.tag not in _PLAIN_TAGS:
            self._wrong("a tag that has no meaning here", event)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._open.append(_Open(value, path, event.anchor))

    def _end(self, event: yaml.CollectionEndEvent) -> None:
        done = self._open.pop()
        if isinstance(done.value, dict):
            for inherited in done.inherited:
                done.value |= {key: value for key, value in inherited.items() if key not in done.value}
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, done.size)
        self._put(done.value, done.size, event, begun=True)

    def _put(self, value: Any, size: int, event: yaml.Event, *, begun: bool = False) -> None:
        """Puts a whole value where it belongs."""
        if not self._open:
            self.document.value = value
            return
        into = self._open[-1]
        into.size += size
        if into.size > MAX_SIZE:
            raise DocumentError("aliases that expand without bounds", line=_line(event))
        if not begun:
            self.document.lines.setdefault(self._path(), into.key_line or _line(event))
        if isinstance(into.value, list):
            into.value.append(value)
        elif into.merges:
            self._inherit(into, value, event)
        else:
            into.value[str(into.key)] = value
        into.key, into.key_line, into.merges = None, 0, False

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _refuse_as_key(self, event: yaml.Event) -> None:
        if self._awaits_key():
            raise DocumentError("a key must be text", line=_line(event))

    def _path(self) -> Path:
        """The path of the next value."""
        if not self._open:
            return ()
        into = self._open[-1]
        return (*into.path, len(into.value) if isinstance(into.value, list) else str(into.key))

    def _set_key(self, key: str, event: yaml.Event) -> None:
        into = self._open[-1]
        into.key, into.key_line = key, _line(event)
        into.size += len(key)
        if key in into.value:
            self._wrong("stands here twice", event)
        self.document.lines.setdefault((*into.path, key), into.key_line)

    def _key(self, event: yaml.ScalarEvent) -> str:
        if event.implicit[0] and not _is_merge(event) and not isinstance(_resolve(event.value)[0], str):
            into = self._open[-1]
            self._wrong("a key must be text: put it in quotes", event, path=(*into.path, event.value[:40]))
        return str(event.value)

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        plain = event.implicit[0] or event.tag in _VALUE_TAGS
        if event.tag not in _PLAIN_TAGS | _VALUE_TAGS:
            self._wrong("a tag that has no meaning here", event, path=path)
        if not plain or event.tag in _PLAIN_TAGS - {None}:
            return event.value
        value, problem = _resolve(event.value)
        if problem:
            self._wrong(problem, event, path=path)
        return value

    def _inherit(self, into: _Open, value: Any, event: yaml.Event) -> None:
        """A merge key: what the map itself says comes first, then the first of those that it names."""
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            self._wrong("must be a map or a list of maps", event)
            return
        into.inherited += sources

    def _wrong(self, message: str, event: yaml.Event, *, path: Path | None = None) -> None:
        where = self._path() if path is None else path
        self.document.lines[where] = _line(event)
        self.document.problems.append(Problem(where, message))


def _resolve(text: str) -> tuple[Any, str]:
    """The value of a plain scalar, and what is wrong with it, as kubectl reads it; dates and times are text."""
    if text in _NULLS:
        return None, ""
    if text in _BOOLEANS:
        return _BOOLEANS[text], ""
    if not (text[0] in "+-." or text[0].isdigit()):
        return text, ""
    return _number(text)


def _number(text: str) -> tuple[Any, str]:
    if _LEADING_ZERO.fullmatch(text):
        return text, "a number that begins with 0 means different things to different readers: put it in quotes"
    if _NOT_FINITE.fullmatch(text):
        return text, "not a number of JSON: put it in quotes"
    digits = text.replace("_", "")
    read = _reader(text)
    if read is None:
        return text, ""
    if len(digits) > _MAX_DIGITS or math.isinf(float(read(digits))):
        return text, "a number that is too large: put it in quotes"
    return read(digits), ""


def _reader(text: str) -> Callable[[str], int | float] | None:
    """The reader of this number; None for what is text."""
    if _INTEGER.fullmatch(text):
        return int
    if _BASED.fullmatch(text):
        return lambda digits: int(digits, 0)
    return float if _FLOAT.fullmatch(text) else None
