"""Owns how log lines look, what they carry of the running reconcile, and that no known secret is in them.

Modules log through `logging.getLogger(__name__)`, with values in `extra` (keys lowerCamelCase, kinds as they are
written). Nobody but `configure_logging` touches handlers.
"""

import contextvars
import dataclasses
import datetime as dt
import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from setpoint.api.meta import ObjectRef
from setpoint.domain.scrubbing import NO_SECRETS, Spare
from setpoint.domain.visible import visible


@dataclasses.dataclass(frozen=True, slots=True)
class ReconcileContext:
    """The reconcile that runs in this task: goes into each of its log lines."""

    reconcile_id: str
    ref: ObjectRef


reconcile_context: contextvars.ContextVar[ReconcileContext | None] = contextvars.ContextVar(
    "reconcile_context", default=None
)
"""Set by the controller around each reconcile; tasks that the reconcile starts inherit it."""


class SecretFilter:
    """The secret values that are known, and their removal from text. Any thread may call it."""

    def __init__(self) -> None:
        self._known = NO_SECRETS

    def add(self, values: Iterable[str]) -> None:
        """Registers secrets, for ever: rotated ones stay secret. Values under six characters are not secrets."""
        self._known = self._known.with_secrets(values)

    def spare(self, addresses: Iterable[str]) -> None:
        """Registers addresses, whose types and names stay as they are where a secret is a part of one."""
        self._known = self._known.sparing(addresses)

    def redact(self, text: str, spare: Spare | None = None) -> str:
        """The text with a mask in place of every known secret, however it is written, but for what is to be spared."""
        return self._known.scrub(text, spare)


class _ConsoleFormatter(logging.Formatter):
    """`12:03:04 WARNING environment/shop-prod Message key=value [1c2d3e4f]`, one line and then the traceback."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        context = reconcile_context.get()
        words = [
            dt.datetime.fromtimestamp(record.created, tz=dt.UTC).astimezone().strftime("%H:%M:%S"),
            f"{record.levelname:<7}",
            str(context.ref) if context else "",
            record.getMessage(),
            *(f"{key}={value}" for key, value in _extra(record).items()),
            f"[{context.reconcile_id}]" if context else "",
        ]
        # Names and messages come from outside: a line break in one must not look like another line.
        line = visible(" ".join(filter(None, words)))
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return self._redact(line)


class _JsonFormatter(JsonFormatter):
    """One JSON object a line."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
            json_default=str,
        )
        self._redact = redact

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        context = reconcile_context.get()
        if context is None:
            return log_data
        ref = context.ref
        return log_data | {
            "reconcileID": context.reconcile_id,
            "kind": ref.kind,
            "namespace": ref.namespace,
            "name": ref.name,
        }

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


_CHATTY = ("alembic", "watchfiles", "aiohttp.access")
"""Libraries that tell at INFO what only they care about."""
_TERSE = ("kopf",)
"""Libraries that are begun anew where they fail: people are told so, and how it came about only at DEBUG."""


def _shorten(record: logging.LogRecord) -> bool:
    """A handler's filter. Leaves the error's own words of a traceback that nobody is to act on."""
    if (
        record.exc_info
        and record.name.partition(".")[0] in _TERSE
        and not logging.getLogger().isEnabledFor(logging.DEBUG)
    ):
        record.msg, record.args = "%s (%r)", (record.getMessage(), record.exc_info[1])
        record.exc_info = record.exc_text = None
    return True


def configure_logging(
    *,
    format: Literal["console", "json"] = "console",  # noqa: A002 the word that users know from --log-format
    level: int | str = logging.INFO,
    stream: TextIO | None = None,
    secrets: SecretFilter | None = None,
) -> SecretFilter:
    """Sends all log lines to one stream (standard error where None); a later call replaces an earlier one.

    Returns the filter whose secrets are removed from every line: `secrets`, or a new one.
    """
    secrets = secrets or SecretFilter()
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter((_JsonFormatter if format == "json" else _ConsoleFormatter)(secrets.redact))
    handler.addFilter(_shorten)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    return secrets


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in RESERVED_ATTRS and not key.startswith("_")}
