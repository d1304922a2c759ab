"""Owns reading a variable's declared type, and finding values of which Terraform would make a text in silence. Pure.

Where the code wants text, Terraform turns false into "false": `country: NO`, which YAML reads as a boolean, would be
applied as that. https://developer.hashicorp.com/terraform/language/expressions/type-constraints
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from setpoint.domain.kinds import Path

Type = str | tuple[str, "Type"] | Mapping[str, "Type"] | Sequence["Type"]
"""A primitive's name; ("each", type) of a list, set or map; types by name of an object; types in order of a tuple."""

_TOKEN = re.compile(r'\s+|#[^\n]*|//[^\n]*|/\*.*?\*/|("(?:[^"\\]|\\.)*"|[^\W\d][\w-]*|.)', re.DOTALL)
_EACH = frozenset({"list", "set", "map"})
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_ANY = "any"
_MAX_DEPTH = 32


def texts_misread(value: Any, declared: str) -> Iterator[tuple[Path, str]]:
    """The paths at which a value has a boolean or a number and the type wants text, each with what stands there."""
    yield from _misread(value, _Reader(declared).type(), ())


def _misread(value: Any, type_: Type, path: Path) -> Iterator[tuple[Path, str]]:
    if type_ == "string":
        if isinstance(value, (bool, int, float)):
            yield path, "a boolean" if isinstance(value, bool) else "a number"
    elif isinstance(type_, str):
        return
    elif isinstance(type_, tuple):
        for key, item in _items(value):
            yield from _misread(item, type_[1], (*path, key))
    elif isinstance(type_, Mapping):
        for name in type_.keys() & (value.keys() if isinstance(value, dict) else ()):
            yield from _misread(value[name], type_[name], (*path, name))
    else:
        for index, (item, inner) in enumerate(zip(value if isinstance(value, list) else (), type_, strict=False)):
            yield from _misread(item, inner, (*path, index))


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


class _Reader:
    """Reads one type constraint. What it does not understand is `any`: Terraform itself judges it."""

    def __init__(self, text: str) -> None:
        self._tokens = [match[1] for match in _TOKEN.finditer(text) if match[1]]
        self._at = 0

    def type(self, depth: int = 0) -> Type:
        """The type that begins here."""
        word = self._next().strip('"')
        if self._peek() != "(":
            return word
        if depth >= _MAX_DEPTH:
            self._skip()
            return _ANY
        self._next()
        read = self._arguments(word, depth + 1)
        self._leave()
        return read

    def _arguments(self, word: str, depth: int) -> Type:
        if word in _EACH:
            return "each", self.type(depth)
        if word == "optional":
            return self.type(depth)
        if word == "object" and self._peek() == "{":
            return self._object(depth)
        if word == "tuple" and self._peek() == "[":
            return self._tuple(depth)
        return _ANY

    def _object(self, depth: int) -> Mapping[str, Type]:
        self._next()
        fields: dict[str, Type] = {}
        while self._peek() not in {"", "}"}:
            name = self._next().strip('"')
            if self._peek() in {"=", ":"}:
                self._next()
                fields[name] = self.type(depth)
        self._next()
        return fields

    def _tuple(self, depth: int) -> Sequence[Type]:
        self._next()
        types: list[Type] = []
        while self._peek() not in {"", "]"}:
            if self._peek() == ",":
                self._next()
            else:
                types.append(self.type(depth))
        self._next()
        return types

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _leave(self) -> None:
        """Past the bracket that closes those around here, with what stands before it."""
        depth = 1
        while depth and self._peek():
            token = self._next()
            depth += (token in _OPEN) - (token in _CLOSE)

    def _skip(self) -> None:
        self._next()
        self._leave()
