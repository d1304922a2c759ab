"""Owns reading what policies answered. Anything but sets of messages is an error, never an absence of violations."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from setpoint.domain.policies import PackageIndex, PolicyResult, Severity, Violation

_SEVERITIES = get_args(Severity)
_MAX_VIOLATIONS = 20_000


class AnswerError(ValueError):
    """An answer that is no set of messages."""


class PackageDefaults:
    """Holds what the METADATA of one package says, for violations that do not say it themselves."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        about = described.get("about") or {}
        self.index = PackageIndex(
            package=described["package"],
            title=about.get("title", ""),
            description=about.get("description", ""),
            severity=about.get("severity") or "medium",
            remediation=about.get("remediation", ""),
            unfit=described["unfit"],
        )
        self._rules: Mapping[str, Any] = described["rules"]

    def severity(self, kind: str) -> Severity:
        """Of the only rule of that kind, else of the package."""
        severity: Severity = (self._rules.get(kind) or {}).get("severity") or self.index.severity
        return severity

    def remediation(self, kind: str) -> str:
        """Of the only rule of that kind, else of the package."""
        return (self._rules.get(kind) or {}).get("remediation") or self.index.remediation


def read_answers(text: bytes, packages: Mapping[str, PackageDefaults]) -> PolicyResult:
    """The violations in the worker's answer: a list of [package, kind, messages]. Never raises.

    Their texts are whole: one that is cut in the middle of a secret would show its beginning.
    """
    try:
        return PolicyResult(tuple(_violations(json.loads(text), packages)))
    except AnswerError as error:
        return PolicyResult(error=str(error))
    except (ValueError, RecursionError):
        return PolicyResult(error="the answer is not readable")


def _violations(answers: Any, packages: Mapping[str, PackageDefaults]) -> Iterator[Violation]:
    if not isinstance(answers, list):
        msg = "a rule is undefined"
        raise AnswerError(msg)
    count = 0
    for package, kind, messages in answers:
        if not isinstance(messages, list):
            msg = f"{package}.{kind} is no set"
            raise AnswerError(msg)
        count += len(messages)
        if count > _MAX_VIOLATIONS:
            msg = f"more than {_MAX_VIOLATIONS} violations"
            raise AnswerError(msg)
        yield from (_violation(message, kind, packages[package]) for message in messages)


def _violation(message: Any, kind: str, defaults: PackageDefaults) -> Violation:
    where = f"{defaults.index.package}.{kind}"
    fields = {"msg": message} if isinstance(message, str) else message
    if not isinstance(fields, dict):
        msg = f"{where}: a message is a text or an object with msg"
        raise AnswerError(msg)
    severity = fields.get("severity", defaults.severity(kind))
    if severity not in _SEVERITIES:
        msg = f"{where}: severity is one of {', '.join(_SEVERITIES)}"
        raise AnswerError(msg)
    if not isinstance(fields.get("unknown", False), bool):
        msg = f"{where}: unknown is true or false"
        raise AnswerError(msg)
    return Violation(
        rule=_text(fields, "rule", where) or defaults.index.package,
        message=_text(fields, "msg", where, needed=True),
        resource=_text(fields, "resource", where),
        severity=severity,
        remediation=_text(fields, "remediation", where) or defaults.remediation(kind),
        kind="warn" if kind == "warn" else "deny",
        unknown=fields.get("unknown", False),
    )


def _text(fields: Mapping[str, Any], name: str, where: str, *, needed: bool = False) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str) or (needed and not value):
        msg = f"{where}: {name} is no text"
        raise AnswerError(msg)
    return value
