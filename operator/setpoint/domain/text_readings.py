"""Owns what a text says once its escapes are undone, and where in the text each part of that stands. Pure."""

import dataclasses
import functools
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

UTF8 = ("utf-8", "surrogatepass")
Span = tuple[int, int]
_MAX_READINGS = 24
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a", b"e": b"\x1b"}
_BYTES = {b"%02x" % byte: bytes([byte]) for byte in range(256)}
_BLANKS, _BAR = b" \t\r\n\v\f", re.compile("╷|│|╵".encode())


@dataclasses.dataclass(frozen=True, slots=True)
class _Decoding:
    """An escape, and what it stands for. A text without any of the `marks` holds none."""

    marks: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    meaning: Callable[[re.Match[bytes]], bytes]

    def undo(self, text: bytes) -> bytes:
        """The text without the escapes."""
        return self.pattern.sub(self.meaning, text) if any(mark in text for mark in self.marks) else text


class _Joining(_Decoding):
    """Blanks stand for nothing; much faster than by the pattern."""

    def undo(self, text: bytes) -> bytes:
        """The text without blanks."""
        if _BAR.search(text):
            text = _BAR.sub(b"", text)
        return text.translate(None, _BLANKS)


def _unescape(match: re.Match[bytes]) -> bytes:
    digits = match["unicode"] or match["long"]
    if digits:
        pair = match["low"]
        point = int(digits, 16) if not pair else 0x10000 + ((int(digits, 16) & 0x3FF) << 10 | int(pair, 16) & 0x3FF)
        return chr(point).encode(*UTF8) if point <= 0x10FFFF else match[0]
    if match["byte"]:
        return bytes([int(match["byte"], 16)])
    if match["octal"]:
        return bytes([int(match["octal"], 8) & 0xFF])
    return _CONTROLS.get(match["other"], match["other"])


_ESCAPE = re.compile(
    rb"\\(?:u(?P<unicode>[0-9a-fA-F]{4})(?:(?<=[dD][89abAB]..)\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2}))?"
    rb"|U(?P<long>[0-9a-fA-F]{8})|x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})|(?P<other>.))",
    re.DOTALL,
)
_BACKSLASH = _Decoding((b"\\",), _ESCAPE, _unescape)
"""As JSON, HCL, C and Go escape, and as a shell does (`printf %q`)."""
_CHARACTER = _Decoding(
    (b"\\x",), _ESCAPE, lambda match: chr(int(match["byte"], 16)).encode() if match["byte"] else _unescape(match)
)
r"""As Python and YAML do, for whom `\xe9` is no byte but a character."""
_QUOTE = _Decoding(
    (b"''", b"'\\''", b"'\"'\"'", b"$${", b"%%{"),
    re.compile(rb"""'\\''|'"'"'|''|\$\$(?=\{)|%%(?=\{)"""),
    lambda match: match[0][:1],
)
"""As single quotes are written within single quotes, in a shell and in YAML; and HCL's `${`."""
_PERCENT = _Decoding((b"%",), re.compile(rb"%([0-9a-fA-F]{2})"), lambda match: _BYTES[match[1].lower()])
_FIELD = _Decoding(
    (b"+",), re.compile(rb"%([0-9a-fA-F]{2})|\+"), lambda match: _BYTES[match[1].lower()] if match[1] else b" "
)
"""As the fields of a form are written."""
_NESTED = (_BACKSLASH, _CHARACTER, _BACKSLASH, _QUOTE, _BACKSLASH, _PERCENT, _FIELD, _PERCENT)
"""The order in which quotings stand within one another, the outermost first; any of them may be missing."""
_SIGNS = re.compile(rb"[\\'%+$]")
"""The signs of which every escape has one."""
BLANK = _Joining((), re.compile(rb"(?:\s|\xe2\x94\x82|\xe2\x95[\xb5\xb7])+"), lambda _: b"")
"""Blanks, and the bars of the box that a program draws around an error."""


class Reading:
    """A text, and which part of the first one each part of it stands for."""

    def __init__(self, text: bytes, parent: "Reading | None" = None, decoding: _Decoding | None = None) -> None:
        self.text = text
        self._parent = parent
        self._decoding = decoding

    def origin(self, start: int, end: int) -> Span:
        """The span of a part in the first text."""
        if self._parent is None:
            return start, end
        starts, origins, literal = self._cuts
        first, last = bisect_right(starts, start) - 1, bisect_right(starts, end - 1) - 1
        begins = origins[first] + (start - starts[first] if literal[first] else 0)
        ends = origins[last] + end - starts[last] if literal[last] else origins[last + 1]
        return self._parent.origin(begins, ends)

    @functools.cached_property
    def _cuts(self) -> tuple[list[int], list[int], list[bool]]:
        """The places where its pieces begin, here and in the parent, and a flag for each that is as it was there."""
        starts, origins, literal = [0], [0], [True]
        if self._parent is None or self._decoding is None:
            return starts, origins, literal
        for match in self._decoding.pattern.finditer(self._parent.text):
            at = starts[-1] + match.start() - origins[-1]
            starts += [at, at + len(self._decoding.meaning(match))]
            origins += [match.start(), match.end()]
            literal += [False, True]
        return starts, origins, literal


def readings(data: bytes) -> Iterator[Reading]:
    """The text itself, and what it says once escapes are undone, several times over."""
    found, seen, tried = [Reading(data)], {data}, set[tuple[int, int]]()
    yield found[0]
    if not _SIGNS.search(data):
        return
    for decoding in _NESTED:
        for number, reading in enumerate(tuple(found)):
            if (number, id(decoding)) in tried or len(found) == _MAX_READINGS:
                continue
            tried.add((number, id(decoding)))
            text = decoding.undo(reading.text)
            if text not in seen:
                seen.add(text)
                found.append(Reading(text, reading, decoding))
                yield found[-1]
