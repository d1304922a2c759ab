"""Owns what a secret's text stands for: the value that a variable gets, and every text to be kept from sight. Pure."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from setpoint.domain.errors import InvalidError
from setpoint.domain.value_paths import leaves


def variable_values(secrets: Mapping[str, str], structured: Collection[str]) -> dict[str, Any]:
    """The values of secret variables: text, but what a JSON array or object says for those of a `structured` type.

    What does not parse stays text: what a value must be is for others to judge.
    """
    return {name: _parsed(text, text) if name in structured else text for name, text in secrets.items()}


def known_texts(secrets: Iterable[str]) -> frozenset[str]:
    """The texts by which these secrets could show: each as it is, and what stands in one that is JSON."""
    texts = frozenset(secrets)
    return texts.union(*(_inner_texts(text) for text in texts))


def plain_keys(annotation: object, secret: Mapping[str, str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The keys of a Secret that its annotation names as no secrets, and what it names beside them.

    Whoever may write the annotation may read the values, so any key may be named. Other names show nothing.
    """
    names = [name.strip() for name in annotation.split(",")] if isinstance(annotation, str) else []
    wrong = [name for name in names if name and name not in secret]
    if annotation is not None and not any(names):
        wrong.append("")
    return frozenset(names) & secret.keys(), tuple(dict.fromkeys(wrong))


def _inner_texts(text: str) -> set[str]:
    try:
        values = leaves(_parsed(text, None)).values()
    except InvalidError:
        return set()
    return {value if isinstance(value, str) else json.dumps(value) for value in values if isinstance(value, str | int)}


def _parsed(text: str, otherwise: Any) -> Any:
    """A JSON array or object; `otherwise` where the text is neither."""
    if text.lstrip()[:1] not in {"[", "{"}:
        return otherwise
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise
