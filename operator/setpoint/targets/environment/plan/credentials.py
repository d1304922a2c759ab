"""Owns which values of credentials are secrets: their Secret also holds hosts, users and regions. Pure.

A value is shown only where both its name and its form are harmless, where its name is known for what it is, or where
the Secret names its key as plain. What is in doubt is a secret.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from setpoint.domain.errors import InvalidError
from setpoint.domain.value_paths import leaves

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL|AUTH|PRIVATE|CERT|SIGNATURE|SESSION|COOKIE|BEARER|JWT|LICEN[CS]E|WEBHOOK|DSN"
    r"|CONN\w*STR|PIN$|SALT|SEED|HMAC|OTP",
    re.IGNORECASE,
)
_SAID = re.compile(rf"(?:{_SECRET_NAME.pattern})\w*\s*[=:]", re.IGNORECASE)
"""A secret by its name within a value: a connection string, a header, the query of a URL."""
_LOGIN = re.compile(r"://([^\s@:]*)@|://[^\s@:]*:(\S*)@|^[^/\s@:]*:(?!//)(\S+)@")
"""A token in place of a user, or a password behind one."""
_SPOKEN = re.compile(r"secret|passw|token|credential", re.IGNORECASE)
_PLAIN_NAMES = frozenset(
    {
        "PGHOST",
        "PGHOSTADDR",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGSSLMODE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "ARM_SUBSCRIPTION_ID",
        "ARM_TENANT_ID",
        "ARM_CLIENT_ID",
        "ARM_ENVIRONMENT",
        "GOOGLE_PROJECT",
        "GOOGLE_REGION",
        "GOOGLE_ZONE",
        "KUBE_HOST",
        "GITEA_BASE_URL",
        "GITHUB_OWNER",
        "GITHUB_BASE_URL",
        "GITLAB_BASE_URL",
        "VAULT_ADDR",
    }
)
"""Names by which providers, and their documentation, know what is no secret. Its form may be that of one."""
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
        if key not in plain and not _may_be_shown(key, value):
            found.update((value, *_parts(value)))
    return frozenset(filter(None, found))


def _may_be_shown(key: str, value: str) -> bool:
    if key in _PLAIN_NAMES:
        return _is_clean(value)
    return not _SECRET_NAME.search(key) and is_harmless(value)


def is_harmless(value: str) -> bool:
    """True for a value with the form of a host, a name, a number, a path or a URL, and without a login in it."""
    words = _WORD.findall(value)
    digits = sum(len(word) for word in words if word.isdigit())
    few = digits <= _MAX_DIGITS and len(_SWITCH.findall(value)) <= _MAX_SWITCHES
    return _is_clean(value) and few and all(map(_is_harmless_word, words))


def _is_clean(value: str) -> bool:
    """True for one short line that says of nothing that it is a secret."""
    said = _SAID.search(value) or _SPOKEN.search(value) or _LOGIN.search(value)
    return len(value) <= _MAX_PLAIN and bool(_CHARACTERS.fullmatch(value)) and not said


def _is_harmless_word(word: str) -> bool:
    return len(word) <= _MAX_PLAIN // 8 and bool(_HARMLESS_WORD.fullmatch(word)) and not _UNSPEAKABLE.search(word)


def _parts(value: str) -> Iterator[str]:
    """The secrets within a secret value: the passwords of URLs, and in JSON what looks like one."""
    for login in _LOGIN.finditer(value):
        for part in filter(None, login.groups()):
            yield part
            yield unquote(part)
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
