"""Owns the words of a plan that say how it is built: never secrets, whatever a Secret holds. Pure.

A Secret's value is often an ordinary word, such as `postgres`. Taken out of types and addresses it would make them
unreadable, and hide nothing: the code and the provider say them to everybody. Keys of addresses are data, not words.
"""

import functools
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_KEYS = re.compile(r'\["(?:[^"\\]|\\.)*"\]|\[\d+\]')
_NAMES = ("address", "previous_address", "provider_name")
_PARTS = re.compile(r"[./]")
_INSIDE = re.compile(rb"[\w\x80-\xff-]")


class Structure:
    """The types, names, addresses without their keys, providers and attributes of a plan."""

    def __init__(self, addresses: Collection[str] = (), names: Collection[str] = ()) -> None:
        self.addresses = frozenset(addresses)
        self._names = names

    @functools.cached_property
    def _phrases(self) -> frozenset[str]:
        phrases = (_KEYS.sub("\0", address).split("\0") for address in self.addresses)
        return frozenset(itertools.chain.from_iterable(phrases))

    @functools.cached_property
    def _words(self) -> frozenset[str]:
        return self._phrases.union(self._names, *map(_PARTS.split, self._phrases))

    @functools.cached_property
    def _joined(self) -> str:
        return "\0".join(sorted(self._phrases))

    @classmethod
    def of(cls, document: Mapping[str, Any], providers: Collection[str] = ()) -> "Structure":
        """That of a document which `analyse_plan` took, whose configuration names these providers."""
        items = [*(document.get("resource_changes") or ()), *(document.get("resource_drift") or ())]
        named = [item.get(key) for item, key in itertools.product(items, _NAMES)]
        outputs = document.get("output_changes") or {}
        phrases = {text for text in (*named, *providers) if isinstance(text, str)}
        return cls(phrases, {*outputs, *_attributes(items)})

    def holds(self, data: bytes, start: int, end: int) -> bool:
        """True where this span of a text is a word of the structure, a part of one, or several as an address joins."""
        while start > 0 and _INSIDE.match(data, start - 1):
            start -= 1
        while end < len(data) and _INSIDE.match(data, end):
            end += 1
        text = data[start:end].decode(errors="replace")
        if text in self._words:
            return True
        bounded = rf"(?<![\w-]){re.escape(text)}(?![\w-])"
        return bool(_PARTS.search(text)) and re.search(bounded, self._joined) is not None


def _attributes(items: Collection[Mapping[str, Any]]) -> Iterator[str]:
    """The names at the top level of values: further down, a map's keys can't be told from an attribute's name."""
    for item in items:
        for side in ("before", "after"):
            value = item["change"].get(side)
            yield from value if isinstance(value, dict) else ()


NO_STRUCTURE = Structure()
