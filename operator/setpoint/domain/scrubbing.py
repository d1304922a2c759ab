r"""Owns taking known secrets out of text, in every writing in which programs print them. Pure.

A writing is either searched for (the value, base64, hex) or read: escapes are undone first, whatever characters the
writer chose to escape. So `pa%73s`, `pa\u0073s` and the like are found without a list of all their forms. Readings
follow one another, since an error often quotes a command that quotes a value.

What code names is no secret, whatever it holds: a type or an address that is known stays as it is.

All forms are searched at once (Aho-Corasick), so that the time hardly depends on how many secrets there are. Make a
Scrubber once for a run, not for a text.
"""

import base64
import copy
import dataclasses
import functools
import itertools
import json
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from ahocorasick_rs import BytesAhoCorasick

from setpoint.domain.text_readings import BLANK, UTF8, Reading, Span, readings
from setpoint.domain.value_paths import MIN_SECRET, SENSITIVE

_INDEX = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')
_KEY = re.compile(r'\["(?:[^"\\]|\\.)*"\]|\[\d+\]')
_NAMED = re.compile(rb"[A-Za-z0-9_.-]")
_MAX_NAME, _MAX_WORD = 3, 1024
"""The parts of the longest name, `data.TYPE.NAME`, and the bytes of a word in which names are looked for."""
_HEAD = 64
"""Bytes by which a form is searched for, before all of it is compared."""
_LABEL = 12
"""Hex digits that tell hidden keys apart."""
_LETTER = re.compile(rb"[\w\x80-\xff]")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_OPENING = ("{", "[", '"')

Spare = Callable[[bytes, int, int], bool]
"""True for a span of a text that is no secret there, though it is written like one."""


class Scrubber:
    """Knows secrets by all their writings. Those under six characters are left: they would be found everywhere.

    `label` makes a short name of what stands in an address; it is keyed, so that nobody can guess what it stands for.
    `blind`: the secrets are not known, so that every key of an address may be one. `words` are secrets as short as
    they may be, which are taken out only where they stand apart. `sparing` has more about names.
    """

    def __init__(
        self,
        secrets: Iterable[str] = (),
        *,
        label: Callable[[bytes], str] | None = None,
        blind: bool = False,
        words: Iterable[str] = (),
    ) -> None:
        self._secrets = frozenset(map(str, secrets))
        self._words = frozenset(word for text in words if 0 < len(word := text.strip()) < MIN_SECRET)
        self._label = label
        self._blind = blind
        self.names: frozenset[bytes] = frozenset()
        """Names that stay as they are."""
        wholes = {whole for secret in self._secrets if len(whole := secret.strip()) >= MIN_SECRET}
        plain = [_Form(text.encode(*UTF8)) for text in _texts(wholes)]
        plain += [_Form(word.encode(*UTF8), apart=True) for word in self._words]
        encoded = list(itertools.chain.from_iterable(_encodings(whole.encode(*UTF8)) for whole in wholes))
        self._plain, self._encoded = _by_head(plain), _by_head(encoded)

    def __bool__(self) -> bool:
        return bool(self._plain)

    def with_secrets(self, secrets: Iterable[str]) -> "Scrubber":
        """One that knows these, too."""
        more = self._secrets.union(secrets)
        if more == self._secrets:
            return self
        known = Scrubber(more, label=self._label, blind=self._blind, words=self._words)
        known.names = self.names
        return known

    def sparing(self, addresses: Iterable[str]) -> "Scrubber":
        """One that leaves the types, names and modules of these addresses in a text, where a secret is a part of one.

        These stand in the code, which no secret can reach. Keys do not, and a secret that is a whole word is one.
        """
        names = {name.encode(*UTF8) for name in static_names(addresses)} - self.names
        if not self._touches(b"\0".join(names)):
            return self
        known = copy.copy(self)
        known.names = self.names.union(filter(self._touches, names))
        return known

    def _touches(self, data: bytes) -> bool:
        return bool(self) and next(self._spans(data), None) is not None

    def lacks(self, secrets: Iterable[str]) -> frozenset[str]:
        """Those that it does not know."""
        return frozenset(secrets) - self._secrets

    def finds(self, text: str) -> bool:
        """True where the text holds a secret."""
        return self._touches(text.encode(*UTF8))

    def scrub(self, text: str, spare: Spare | None = None, also: "Scrubber | None" = None) -> str:
        """The text with a mask in place of each secret but those to spare. What was JSON stays JSON.

        `also` knows more secrets: to make one scrubber of two takes longer than to use both.
        """
        knowing = [one for one in (self, also) if one]
        data = text.encode(*UTF8)
        found = (one._unspared(data, spare) for one in knowing)  # noqa: SLF001 one of its own kind
        spans = _merged(itertools.chain.from_iterable(found))
        if not spans:
            return text
        scrubbed = _mask(data, spans).decode(*UTF8)
        if text[:1] in _OPENING and _is_json(text) and not _is_json(scrubbed):
            for one in knowing:
                text = one._scrub_json(text)  # noqa: SLF001 one of its own kind
            return text
        return scrubbed

    def scrub_values(self, value: Any) -> Any:
        """The value with the secrets taken out of its strings, numbers and keys."""
        if not self:
            return value
        if isinstance(value, Mapping):
            return {self.scrub(str(key)): self.scrub_values(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.scrub_values(item) for item in value]
        if isinstance(value, str):
            return self.scrub(value)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return SENSITIVE if is_number and self.finds(str(value)) else value

    def address(self, address: str) -> str:
        """The address as people may see it: keys that hold a secret are hidden, yet told apart where a label can."""
        return _INDEX.sub(self._hide_key, address) if (self or self._blind) and '["' in address else address

    def _hide_key(self, match: re.Match[str]) -> str:
        if match[1].startswith(SENSITIVE) or not (self._blind or self.finds(match[1])):
            return match[0]
        label = f"#{self._label(match[1].encode(*UTF8))[-_LABEL:]}" if self._label else ""
        return f'["{SENSITIVE}{label}"]'

    def _scrub_json(self, text: str) -> str:
        """By value, since a secret that looks like a part of the structure would tear it."""
        scrubbed = json.dumps(self.scrub_values(json.loads(text)), ensure_ascii=False)
        left = next(self._unspared(scrubbed.encode(*UTF8)), None)
        return scrubbed if left is None else json.dumps(SENSITIVE)

    def _unspared(self, data: bytes, spare: Spare | None = None) -> Iterator[Span]:
        for span in self._spans(data):
            if not ((spare and spare(data, *span)) or (self.names and _is_within(self.names, data, span))):
                yield span

    def _spans(self, data: bytes) -> Iterator[Span]:
        for reading in readings(data):
            yield from _found(self._all, reading, data)
            joined = Reading(BLANK.undo(reading.text), reading, BLANK)
            if len(joined.text) < len(reading.text):
                yield from _found(self._wrapped, joined, data)

    @functools.cached_property
    def _all(self) -> "_Search":
        return _Search({**self._plain, **self._encoded})

    @functools.cached_property
    def _wrapped(self) -> "_Search":
        """For text without its blanks: `base64` breaks lines, and a dump puts a space between bytes."""
        return _Search(self._encoded)


# --- Forms --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Form:
    """Bytes sure to be in a writing. `before` and `after`: a character there mixes the secret's bits with others.

    `apart`: it is a secret only where no letter or digit stands on either side.
    """

    core: bytes
    before: bool = False
    after: bool = False
    apart: bool = False


def _texts(wholes: Iterable[str]) -> set[str]:
    """Each whole, on one line, and line by line, as errors break and join lines."""
    lines = map(str.strip, itertools.chain.from_iterable(re.split("[\r\n]+", whole) for whole in wholes))
    on_one_line = {" ".join(whole.split()) for whole in wholes}
    return {text for text in (*wholes, *lines, *on_one_line) if len(text) >= MIN_SECRET}


def _encodings(data: bytes) -> Iterator[_Form]:
    """Hex in both cases; base64 in both alphabets, wherever in an encoded text the secret begins."""
    yield _Form(data.hex().encode())
    yield _Form(data.hex().upper().encode())
    for alignment in range(3):
        encoded = base64.b64encode(b"\0" * alignment + data).rstrip(b"=")
        after = (alignment + len(data)) % 3 != 0
        core = encoded[(0, 2, 3)[alignment] : len(encoded) - after]
        yield _Form(core, before=alignment > 0, after=after)
        yield _Form(core.translate(_URL_SAFE), before=alignment > 0, after=after)


def _by_head(forms: Iterable[_Form]) -> dict[bytes, tuple[_Form, ...]]:
    found: dict[bytes, tuple[_Form, ...]] = {}
    for form in dict.fromkeys(forms):
        found[form.core[:_HEAD]] = (*found.get(form.core[:_HEAD], ()), form)
    return found


class _Search:
    """Finds forms by their heads, all at once: a secret may be as long as a file."""

    def __init__(self, forms: Mapping[bytes, tuple[_Form, ...]]) -> None:
        self._forms = tuple(forms.values())
        self._heads = BytesAhoCorasick(list(forms))

    def find(self, text: bytes) -> Iterator[tuple[_Form, int]]:
        """Each form that stands in the text, and where it begins."""
        for number, start, _ in self._heads.find_matches_as_indexes(text, overlapping=True):
            yield from ((form, start) for form in self._forms[number] if text.startswith(form.core, start))


def _found(search: _Search, reading: Reading, data: bytes) -> Iterator[Span]:
    """The spans at which forms stand in the first text, `data`."""
    for form, start in search.find(reading.text):
        if form.apart and _joins(reading.text, start, start + len(form.core)):
            continue
        first, last = reading.origin(start, start + len(form.core))
        if form.before and data[first - 1 : first] in _BASE64:
            first -= len(data[first - 1 : first])
        if form.after and data[last : last + 1] in _BASE64:
            last += len(data[last : last + 1])
        yield first, last


def _joins(text: bytes, start: int, end: int) -> bool:
    """True where a letter or a digit stands right before or after."""
    return any(_LETTER.match(text, at) is not None for at in (start - 1, end) if at >= 0)


# --- Masks --------------------------------------------------------------------------------------------------------


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Without overlaps, in order."""
    merged: list[Span] = []
    for start, end in sorted(set(spans)):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _mask(data: bytes, spans: Iterable[Span]) -> bytes:
    pieces, at = [], 0
    for start, end in spans:
        pieces += [data[at:start], SENSITIVE.encode()]
        at = end
    return b"".join([*pieces, data[at:]])


# --- Names --------------------------------------------------------------------------------------------------------


def static_names(addresses: Iterable[str]) -> frozenset[str]:
    """The names in these addresses that come from code: `TYPE`, `TYPE.NAME` and `module.NAME`; keys are left out."""
    found: set[str] = set()
    for address in addresses:
        parts = _KEY.sub("", address).split(".")
        while parts[:1] == ["module"]:
            found.add(".".join(parts[:2]))
            parts = parts[2:]
        if len(parts) in {2, _MAX_NAME}:
            found.update((".".join(parts), parts[-2]))
    return frozenset(found)


def _is_within(names: Container[bytes], data: bytes, span: Span) -> bool:
    """True for a part of one of the names, which stands there as a word."""
    start, end = span
    while start > 0 and span[0] - start < _MAX_WORD and _NAMED.match(data, start - 1):
        start -= 1
    while end < len(data) and end - span[1] < _MAX_WORD and _NAMED.match(data, end):
        end += 1
    cuts = [start - 1, *(at for at in range(start, end) if data[at : at + 1] == b"."), end]
    for first, cut in enumerate(cuts):
        for last in cuts[first + 1 : first + 1 + _MAX_NAME]:
            covers = cut < span[0] and span[1] <= last and last - cut - 1 > span[1] - span[0]
            if covers and data[cut + 1 : last] in names:
                return True
    return False


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def label_keys(target: str, digest: Callable[[bytes], str]) -> Callable[[bytes], str]:
    """Names the hidden keys of one target's addresses: who may plan another learns nothing by comparing them."""
    return lambda key: digest(b"key of an address\0" + target.encode() + b"\0" + key)


NO_SECRETS = Scrubber()
