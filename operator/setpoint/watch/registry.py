"""Owns what kopf is told: which kinds, one `on.event` handler that hands events on, and how it connects.

`on.event` alone: kopf's high-level handlers write to each object, its timers and finalizers cost tasks and stuck
deletions, and no level-triggered loop needs them.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

import kopf

from setpoint.api.meta import GROUP, VERSION
from setpoint.api.v1alpha1 import KINDS
from setpoint.ports import ApiCredentials

PAGE = 100
_CREDENTIALS_SECONDS = 60.0
_IDLE_SECONDS = 0.05
"""How long kopf keeps a task and the body of each object that moved: 5 s by default, so all of a first list at once."""
_SAME_CREDENTIALS_PAUSE = 1.0

Deliver = Callable[[str | None, dict[str, Any]], None]
"""Takes kopf's raw type (None for an object of the first list) and the object."""


class EndlessBackoffs(Iterable[float]):
    """1, 1, 2, 3, 5, 5, ... seconds: a request of kopf's is never given up, which would end its watch for good."""

    def __iter__(self) -> Iterator[float]:
        yield from (1.0, 1.0, 2.0, 3.0)
        while True:
            yield 5.0


def build_registry(
    kinds: Sequence[str],
    deliver: Deliver,
    credentials: Callable[[], Awaitable[ApiCredentials]],
    on_end: Callable[[], None] = lambda: None,
) -> kopf.OperatorRegistry:
    """A registry of its own, so that nothing global is shared with other operators in the process.

    `on_end` is called once kopf watches no more, before it waits for what is left of it.
    """
    registry = kopf.OperatorRegistry()

    # kopf passes everything by keyword and swallows what a handler raises: this one does nothing that can fail.
    async def on_event(event: Any, **_: Any) -> None:
        deliver(event["type"], event["object"])

    for kind in KINDS:
        if kind.__name__ in kinds:
            kopf.on.event(GROUP, VERSION, kind.META.plural, registry=registry, id=kind.META.plural)(on_event)

    async def end(**_: Any) -> None:
        on_end()

    kopf.on.cleanup(registry=registry, id="end")(end)
    kopf.on.login(registry=registry, id="login", errors=kopf.ErrorsMode.TEMPORARY, backoff=1.0)(_login(credentials))
    return registry


def build_settings(*, scan: bool) -> kopf.OperatorSettings:
    """Settings under which kopf only watches: no peering, no events, no writes, no end of retries."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = not scan
    settings.watching.chunk_size = PAGE
    settings.queueing.idle_timeout = _IDLE_SECONDS
    settings.networking.error_backoffs = EndlessBackoffs()
    settings.process.ultimate_exiting_timeout = None
    return settings


def _login(credentials: Callable[[], Awaitable[ApiCredentials]]) -> Callable[..., Awaitable[kopf.ConnectionInfo]]:
    previous: list[ApiCredentials] = []

    async def login(**_: Any) -> kopf.ConnectionInfo:
        found = await credentials()
        if previous and previous[-1] == found:
            # Asked again after a 401 with nothing new to say: kopf would take equal credentials for invalid ones.
            await asyncio.sleep(_SAME_CREDENTIALS_PAUSE)
            found = await credentials()
        previous[:] = [found]
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_path,
            ca_data=found.ca_data,
            insecure=found.insecure,
            token=found.token,
            certificate_path=found.certificate_path,
            private_key_path=found.private_key_path,
            # A fresh expiration each time makes them differ, and has them read again as tokens rotate.
            expiration=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=_CREDENTIALS_SECONDS),
        )

    return login
