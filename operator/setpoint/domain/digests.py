"""Owns canonical bytes and digests. Every digest in Setpoint is made here. Pure."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

_MAX_SAFE_INTEGER = 2**53 - 1


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value.

    Integers beyond 2^53, floats that are no JSON numbers (RFC 8785, 3.2.2.3) and text with half a surrogate pair, which
    has no UTF-8 form, are written as strings with a type mark, so that any JSON value has a digest.
    """
    return rfc8785.dumps(_tame(value))


def _tame(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return value if _is_unicode(value) else {"$text": _escaped(value)}
    if isinstance(value, int):
        return value if abs(value) <= _MAX_SAFE_INTEGER else {"$integer": str(value)}
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else {"$float": repr(value)}  # noqa: PLR0124 NaN
    if isinstance(value, Mapping):
        return {_tame_key(str(key)): _tame(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_tame(item) for item in value]
    msg = f"not a JSON value: {type(value).__name__}"
    raise TypeError(msg)


def _tame_key(key: str) -> str:
    return key if _is_unicode(key) else "$text:" + _escaped(key)


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").hex()


def digest(value: Any) -> str:
    """`sha256:<hex>` of the canonical bytes of a JSON value."""
    return digest_bytes(canonical(value))


def digest_bytes(data: bytes) -> str:
    """`sha256:<hex>` of bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def keyed_digest(key: bytes, data: bytes) -> str:
    """`sha256:<hex>` of HMAC-SHA-256: for secrets of low entropy that must be comparable within one home."""
    return "sha256:" + hmac.new(key, data, hashlib.sha256).hexdigest()
