"""Owns which values of credentials are secrets: their Secret also holds hosts, users and regions. Pure.

A value is shown only where both its name and its form are harmless, or where the Secret names its key as plain. What
is in doubt is a secret.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from setpoint.domain.errors import InvalidError
from setpoint.domain.plan_values import leaves

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL|AUTH|PRIVATE|CERT|SIGNATURE|SESSION|COOKIE|BEARER|JWT|LICEN[CS]E|WEBHOOK|DSN"
    r"|CONN\w*STR|PIN$|SALT|SEED|HMAC|OTP",
    re.IGNORECASE,
)
_SAID = re.compile(rf"(?:{_SECRET_NAME.pattern})\w*\s*[=:]", re.IGNORECASE)
"""A secret by its name within a value: a connection string, a header, the query of a URL."""
_LOGIN = re.compile(r"://([^/?#\s@:]*)@|://[^/?#\s@:]*:([^/?#\s]*)@|^[^/\s@:]*:([^/\s@]+)@")
"""A token in place of a user, or a password behind one."""
_SPOKEN = re.compile(r"secret|passw|token|credential", re.IGNORECASE)
_MAX_PLAIN = 200
_MAX_DIGITS = 12
"""As many as the number of an AWS account has."""
_MAX_SWITCHES = 3
_CHARACTERS = re.compile(r"[A-Za-z0-9._:/@,=+~ -]*")
_WORD = re.compile(r"[A-Za-z0-9]+")
_HARMLESS_WORD = re.compile(
    r"\d+|[a-z]+\d*[a-z]{0,2}|\d[a-z]{1,3}|[A-Z]{1,12}|(?:[A-Z]?[a-z]{2,})(?:[A-Z][a-z]{2,}){0,3}"
)
_UNSPEAKABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}", re.IGNORECASE)
_SWITCH = re.compile(r"[a-z]\d|\d[a-z]")


def secret_texts(environment: Mapping[str, str], plain: Collection[str] = ()) -> frozenset[str]:
    """The texts of credentials that are kept from sight; `plain` are keys that somebody named as no secrets."""
    found: set[str] = set()
    for key, value in environment.items():
        if key not in plain and (_SECRET_NAME.search(key) or not is_harmless(value)):
            found.update((value, *_parts(value)))
    return frozenset(filter(None, found))


def is_harmless(value: str) -> bool:
    """True for a value with the form of a host, a name, a number, a path or a URL, and without a login in it."""
    if len(value) > _MAX_PLAIN or not _CHARACTERS.fullmatch(value):
        return False
    if _SAID.search(value) or _SPOKEN.search(value) or _LOGIN.search(value):
        return False
    words = _WORD.findall(value)
    if sum(len(word) for word in words if word.isdigit()) > _MAX_DIGITS:
        return False
    return len(_SWITCH.findall(value)) <= _MAX_SWITCHES and all(map(_is_harmless_word, words))


def _is_harmless_word(word: str) -> bool:
    return len(word) <= _MAX_PLAIN // 8 and bool(_HARMLESS_WORD.fullmatch(word)) and not _UNSPEAKABLE.search(word)


def _parts(value: str) -> Iterator[str]:
    """What in a secret value is a secret by itself: the passwords of URLs, and in JSON what looks like one."""
    for login in _LOGIN.finditer(value):
        yield from (text for part in login.groups() if part for text in (part, unquote(part)))
    for path, leaf in _json_leaves(value).items():
        name = next((part for part in reversed(path) if isinstance(part, str)), "")
        if isinstance(leaf, str) and (_SECRET_NAME.search(name) or not is_harmless(leaf)):
            yield leaf


def _json_leaves(value: str) -> Mapping[tuple[str | int, ...], Any]:
    if value.lstrip()[:1] not in {"[", "{"}:
        return {}
    try:
        return leaves(json.loads(value))
    except (ValueError, RecursionError, InvalidError):
        return {}
