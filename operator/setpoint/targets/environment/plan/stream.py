"""Owns reading Terraform's machine-readable UI stream (`-json`): is a plan quiet, what has an apply done. Pure.

https://developer.hashicorp.com/terraform/internals/machine-readable-ui. Lines may be cut off or unknown: what is
not understood is never taken for good news.
"""

import dataclasses
import datetime as dt
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from setpoint.domain.model import ResourceProgress

Message = Mapping[str, Any]

_QUIET_TYPES = frozenset({"version", "refresh_start", "refresh_complete", "change_summary", "outputs"})
_HOOKS: Mapping[str, Literal["started", "completed", "failed"]] = {
    "apply_start": "started",
    "apply_complete": "completed",
    "apply_errored": "failed",
}
_BEGAN = frozenset({"refresh_start", "apply_start"})
_ANSWERED = frozenset({"refresh_complete", "apply_complete", "apply_errored"})
_BOX = "╷│╵ \t"
_ERROR = re.compile(r"^Error: (.*)$", re.MULTILINE)
_PLACE = re.compile(r"\bon (\S{1,500}?\.[a-z.]{2,9}) line (\d{1,9})\b(?:, in [^:\n]*)?:?")
_CHECK = re.compile(r'check "([^"]+)"')
_ASSERTION_FAILED = "Check block assertion failed"
_MAX_SECONDS = 10**9


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error or warning. `address` and `at` (file:line) are empty where Terraform gives none."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    at: str = ""

    def __str__(self) -> str:
        where = " ".join(part for part in (self.at, self.address) if part)
        text = f"{self.summary}: {self.detail}" if self.detail else self.summary
        return f"{where}: {text}" if where else text


def read_line(line: bytes | str) -> Message | None:
    """One message; None for what is none: half a line, or a provider's stray print."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, Mapping) and isinstance(message.get("type"), str) else None


def read_stream(text: bytes) -> Iterator[Message | None]:
    """All messages, None where a line is none."""
    return (read_line(line) for line in text.splitlines() if line.strip())


def is_quiet(messages: Iterable[Message | None], exit_code: int) -> bool:
    """True where a plan's stream proves that nothing differs, so that `show` need not be asked.

    One change summary of a plan, every output a no-op, nothing else but refreshing. The summary alone proves
    nothing: moves, forgets and output changes count 0/0/0.
    """
    summaries = 0
    for message in messages:
        if message is None or message["type"] not in _QUIET_TYPES:
            return False
        if message["type"] == "change_summary":
            changes = message.get("changes")
            if not isinstance(changes, Mapping) or not _is_empty(changes):
                return False
            summaries += 1
        if message["type"] == "outputs" and not _are_idle(message.get("outputs")):
            return False
    return exit_code == 0 and summaries == 1


def _is_empty(changes: Mapping[str, Any]) -> bool:
    counts = [value for key, value in changes.items() if key != "operation"]
    return changes.get("operation") == "plan" and bool(counts) and all(value == 0 for value in counts)


def _are_idle(outputs: Any) -> bool:
    return isinstance(outputs, Mapping) and all(
        isinstance(output, Mapping) and output.get("action") == "noop" for output in outputs.values()
    )


def hook_of(message: Message | None) -> ResourceProgress | None:
    """The step of an apply that a message tells of, if it does."""
    if message is None or message["type"] not in _HOOKS:
        return None
    hook = message.get("hook")
    resource = hook.get("resource") if isinstance(hook, Mapping) else None
    if not isinstance(hook, Mapping) or not isinstance(resource, Mapping):
        return None
    return ResourceProgress(
        address=_text(resource.get("addr")),
        action=_text(hook.get("action")),
        state=_HOOKS[message["type"]],
        seconds=_seconds(hook.get("elapsed_seconds")),
        id=_id(hook),
    )


def waits_in(messages: Iterable[Message | None], now: float) -> tuple[ResourceProgress, ...]:
    """Requests of a plan that no provider has answered yet, the longest wait first. `now` is in Unix time."""
    since: dict[str, float] = {}
    for message in messages:
        began = message is not None and message["type"] in _BEGAN
        if message is None or not (began or message["type"] in _ANSWERED):
            continue
        hook = message.get("hook")
        resource = hook.get("resource") if isinstance(hook, Mapping) else None
        address = _text(resource.get("addr")) if isinstance(resource, Mapping) else ""
        since.pop(address, None)
        if began and address:
            since[address] = _unix_time(message.get("@timestamp"), now)
    waits = (ResourceProgress(address, "read", "waiting", max(0.0, now - began)) for address, began in since.items())
    return tuple(sorted(waits, key=lambda wait: -wait.seconds))


def _unix_time(value: Any, now: float) -> float:
    """Now where it says no time: a wait that can't be told began just now."""
    try:
        return dt.datetime.fromisoformat(_text(value)).timestamp()
    except (ValueError, OverflowError):
        return now


def _id(hook: Mapping[str, Any]) -> str:
    """The value of the attribute `id`. A `name`, which Terraform tells where there is none, proves no identity."""
    value = _text(hook.get("id_value")) if hook.get("id_key") == "id" else ""
    return value if value.isprintable() else ""


def _seconds(value: Any) -> float:
    """0 for what can't be the length of a run."""
    return float(value) if isinstance(value, (int, float)) and 0 <= value < _MAX_SECONDS else 0.0


def addresses(messages: Iterable[Message | None]) -> frozenset[str]:
    """The addresses that Terraform itself tells, in fields of their own."""
    fields = itertools.product(messages, ("hook", "change", "diagnostic"))
    told = [_part(message or {}, name) for message, name in fields]
    found = (_text(_part(one, "resource").get("addr")) or _text(one.get("address")) for one in told)
    return frozenset(filter(None, found))


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, Mapping) else {}


def diagnostics(messages: Iterable[Message | None]) -> tuple[Diagnostic, ...]:
    """Errors and warnings, in the order in which they came."""
    found = (message.get("diagnostic") for message in messages if message and message["type"] == "diagnostic")
    return tuple(_diagnostic(one) for one in found if isinstance(one, Mapping))


def warnings(messages: Iterable[Message | None]) -> tuple[str, ...]:
    """The warnings of a plan, each once; a failed check by its name, as in `check.NAME: MESSAGE`."""
    told = (message.get("diagnostic") for message in messages if message and message["type"] == "diagnostic")
    found = (one for one in told if isinstance(one, Mapping) and one.get("severity") == "warning")
    return tuple(dict.fromkeys(map(_warning, found)))


def _warning(diagnostic: Mapping[str, Any]) -> str:
    snippet, one = diagnostic.get("snippet"), _diagnostic(diagnostic)
    check = _CHECK.fullmatch(_text(snippet.get("context"))) if isinstance(snippet, Mapping) else None
    if check is None:
        return str(one)
    asserted = one.summary == _ASSERTION_FAILED and one.detail
    return f"check.{check[1]}: {one.detail if asserted else dataclasses.replace(one, at='')}"


def read_errors(text: str) -> tuple[Diagnostic, ...]:
    """The errors of a command that has no `-json`, out of the boxes that Terraform draws."""
    plain = "\n".join(line.strip(_BOX) for line in text.splitlines())
    _, *parts = _ERROR.split(plain)
    return tuple(_plain_error(summary, body) for summary, body in zip(parts[::2], parts[1::2], strict=True))


def _plain_error(summary: str, body: str) -> Diagnostic:
    place = _PLACE.search(body)
    detail = body[: place.start()] + body[place.end() :] if place else body
    at = f"{place[1]}:{place[2]}" if place else ""
    return Diagnostic("error", _one_line(summary), _one_line(detail), at=at)


def _diagnostic(one: Mapping[str, Any]) -> Diagnostic:
    return Diagnostic(
        severity=_text(one.get("severity")) or "error",
        summary=_one_line(one.get("summary")),
        detail=_one_line(one.get("detail")),
        address=_text(one.get("address")),
        at=_place(one.get("range")),
    )


def _place(range_: Any) -> str:
    if not isinstance(range_, Mapping) or not isinstance(range_.get("filename"), str):
        return ""
    start = range_.get("start")
    line = start.get("line") if isinstance(start, Mapping) else None
    return f"{range_['filename']}:{line}" if isinstance(line, int) else str(range_["filename"])


def _one_line(text: Any) -> str:
    return " ".join(_text(text).split())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
