"""Owns what an API server's refusal means: a Status object to an exception of domain.errors. Pure.

The table is the API conventions' ("Error codes", "Response Status Kind") with two corrections that were measured:
server-side apply answers 500 without a reason to a field that the schema lacks, in what is applied or what is stored,
and a 404 without a name means that the kind itself is not served.
"""

import json
import re
from typing import Any

from setpoint.api.conditions import Reason
from setpoint.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NamespaceTerminatingError,
    NotFoundError,
    SetpointError,
    TransientError,
)

_MAX_MESSAGE = 1000
_UNKNOWN_FIELD = re.compile(r'unknown field "([^"]{1,200})"')
_TYPED_PATCH = re.compile("failed to create typed (?:patch|live) object")
_PATH = re.compile(r"(?:^|\s)\.?((?:spec|status|metadata)[\w.\[\]-]*)")


def error_of(http_status: int, body: bytes, subject: str) -> SetpointError:
    """The exception for an answer that is no success. `subject` says what was asked for, as `environment/shop`."""
    status = _status(body)
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")[:_MAX_MESSAGE]
    details = status.get("details") or {}
    match http_status:
        case 404:
            return _absent(details, subject)
        case 409:
            exists = reason == "AlreadyExists"
            return AlreadyExistsError(f"{subject} exists already") if exists else ConflictError(f"{subject}: {message}")
        case 410:
            return GoneError(f"{subject}: {message or 'the version is no longer kept'}")
        case 403:
            return _forbidden(message or f"{subject}: forbidden", details)
        case 400 | 413 | 415 | 422:
            return _invalid(message, details)
        case _:
            return _invalid(message, details) if _TYPED_PATCH.search(message) else _unavailable(http_status, message)


def watch_error(status: dict[str, Any], subject: str) -> SetpointError:
    """The exception for an ERROR event of a watch."""
    return error_of(int(status.get("code") or 500), json.dumps(status).encode(), subject)


def retry_after(headers: Any) -> float:
    """Seconds that the server asks to wait; 0 where it does not say. Bounded to a minute."""
    try:
        return max(0.0, min(60.0, float(headers.get("Retry-After", 0))))
    except (TypeError, ValueError):
        return 0.0


def _status(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {"message": body[:200].decode(errors="replace").strip()}
    return found if isinstance(found, dict) else {}


def _forbidden(message: str, details: dict[str, Any]) -> ForbiddenError:
    """The error for a refusal by the rules, or by a namespace that ends (NamespaceLifecycle names it as a cause)."""
    ends = any(cause.get("reason") == "NamespaceTerminating" for cause in details.get("causes") or [])
    return NamespaceTerminatingError(message) if ends else ForbiddenError(message)


def _absent(details: dict[str, Any], subject: str) -> SetpointError:
    if details.get("name"):
        return NotFoundError(f"{subject} does not exist")
    return TransientError(Reason.API_UNAVAILABLE, f"{subject}: the API server does not serve this kind; apply the CRDs")


def _unavailable(http_status: int, message: str) -> TransientError:
    if http_status == 401:
        return TransientError(Reason.API_UNAVAILABLE, "the API server does not accept our credentials")
    return TransientError(Reason.API_UNAVAILABLE, f"the API server answered {http_status}: {message or 'no message'}")


def _invalid(message: str, details: dict[str, Any]) -> InvalidError:
    """The first cause's field and text; the whole message where the server names no field."""
    causes = details.get("causes") or []
    if causes and causes[0].get("field") not in {None, "", "<nil>"}:
        return InvalidError(str(causes[0].get("message") or message)[:_MAX_MESSAGE], field=str(causes[0]["field"]))
    if unknown := _UNKNOWN_FIELD.search(message):
        return InvalidError("unknown field", field=unknown.group(1))
    field = _PATH.search(message) if _TYPED_PATCH.search(message) else None
    return InvalidError(message, field=field.group(1) if field else "")
