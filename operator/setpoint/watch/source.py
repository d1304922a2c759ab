"""Owns kopf's life: its thread, its restarts, and the knowledge of whether it still sees anything.

kopf runs in a thread of its own, since it cancels whatever else runs in its event loop. Events cross over to ours by
`call_soon_threadsafe` and nothing else does. A dead kopf is started again in the process; workers don't notice.
"""

import asyncio
import contextlib
import dataclasses
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import kopf

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.errors import SetpointError
from setpoint.ports import ApiCredentials, WatchEvent
from setpoint.runtime.backoff import Backoff
from setpoint.runtime.manager import ends_within, first_of
from setpoint.watch.registry import build_registry, build_settings

_LOGGER = logging.getLogger(__name__)

_BACKOFF = (0.5, 6.0)
_HEALTHY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_CANCEL_SECONDS = 4.0
_CLOSING_SECONDS = 0.25

Seen = tuple[str, str]
"""An object's uid and resourceVersion."""


@dataclasses.dataclass(frozen=True, slots=True)
class WatchOptions:
    """The scope of a watch: the kinds, in all namespaces where none is named."""

    kinds: Sequence[str]
    namespaces: Sequence[str] = ()


class KopfSource:
    """Events of our kinds. `credentials` is called in kopf's thread, `deliver` in the loop that made this object."""

    def __init__(
        self,
        options: WatchOptions,
        *,
        credentials: Callable[[], Awaitable[ApiCredentials]],
        deliver: Callable[[WatchEvent], None],
        on_start: Callable[[], Awaitable[None]],
        count_restart: Callable[[Literal["died", "blind"]], None] = lambda _: None,
    ) -> None:
        self._options = options
        self._credentials = credentials
        self._deliver = deliver
        self._on_start = on_start
        self._count_restart = count_restart
        self._loop = asyncio.get_running_loop()
        self.begun = asyncio.Event()
        """Set each time that a watch begins; who looks whether it sees anything clears it."""
        self._seen: dict[ObjectRef, Seen] = {}
        self._blind = asyncio.Event()
        self._lives = False
        self._since = self._loop.time()

    def behind(self, objects: Mapping[ObjectRef, Seen]) -> dict[ObjectRef, Seen | None]:
        """Objects that differ in a list from what the watch had last, with what it had; None where it had nothing."""
        return {ref: self._seen.get(ref) for ref, seen in objects.items() if self._seen.get(ref) != seen}

    def is_stuck(self, behind: Mapping[ObjectRef, Seen | None]) -> bool:
        """True where anything of that has not moved since: what was behind half a minute ago proves a blind watch."""
        return any(self._seen.get(ref) == seen for ref, seen in behind.items())

    def gone(self, kind: str, objects: Mapping[ObjectRef, Seen]) -> list[ObjectRef]:
        """Objects that the watch still has and a list of the kind has no more: a deletion that kopf never told of."""
        return [ref for ref in self._seen if ref.kind == kind and ref not in objects]

    def forget(self, ref: ObjectRef) -> None:
        """The object is known to be gone."""
        self._seen.pop(ref, None)

    def restart(self) -> None:
        """Says that the watch has gone blind: it is begun anew."""
        self._blind.set()

    def seconds_dead(self) -> float:
        """For how long there has been no live watch; 0 while there is one."""
        return 0.0 if self._lives else self._loop.time() - self._since

    def seconds_alive(self) -> float:
        """For how long the live watch has been one; 0 while there is none."""
        return self._loop.time() - self._since if self._lives else 0.0

    async def run(self, ended: asyncio.Event) -> None:
        """Keeps a kopf running until `ended`."""
        backoff = Backoff(base=_BACKOFF[0], maximum=_BACKOFF[1])
        while not ended.is_set():
            began = self._loop.time()
            cause = await self._run_once(ended)
            if cause is None:
                return
            self._count_restart(cause)
            if self._loop.time() - began > _HEALTHY_SECONDS:
                backoff.forget("kopf")
            seconds = backoff.next("kopf")
            _LOGGER.warning("The watch %s; starting it again in %.1f s", _CAUSES[cause], seconds)
            await ends_within(ended, seconds)

    async def _run_once(self, ended: asyncio.Event) -> Literal["died", "blind"] | None:
        """One life of kopf: waits for the server, starts it, and says what it ended of; None where it was told to."""
        try:
            await self._on_start()
        except SetpointError as error:
            _LOGGER.warning("Not watching yet: %s", error.message)
            return "died"
        self._blind.clear()
        life = _Life(self._options, self._credentials, self._receive)
        self._turn(lives=True)
        try:
            await first_of(life.died, self._blind, ended)
        finally:
            self._turn(lives=False)
            await life.stop()
        if ended.is_set():
            return None
        return "blind" if self._blind.is_set() else "died"

    def _turn(self, *, lives: bool) -> None:
        self._lives = lives
        if lives:
            self.begun.set()
        self._since = self._loop.time()

    def _receive(self, raw_type: str | None, obj: JsonObject) -> None:
        ref = ObjectRef.of(obj)
        metadata = obj["metadata"]
        if raw_type == "DELETED":
            self._seen.pop(ref, None)
        else:
            self._seen[ref] = (metadata.get("uid", ""), metadata.get("resourceVersion", ""))
        self._deliver(WatchEvent(_TYPES[raw_type], obj))


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[..., Any], *arguments: Any) -> None:
    """In another thread's loop; nothing where that is closed, as where the process or the watch has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)


def _tell_of_fault(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A failure in a callback of kopf's loop concerns a watch that is over."""
    _LOGGER.debug("In kopf's loop: %s", context.get("message", ""), exc_info=context.get("exception"))


def _is_news(record: logging.LogRecord) -> bool:
    """Kopf warns that it handles no signals: it is not meant to."""
    return "OS signals are ignored" not in record.getMessage()


logging.getLogger("kopf").setLevel(logging.WARNING)
logging.getLogger("kopf._core.reactor.running").addFilter(_is_news)

_CAUSES = {"died": "ended", "blind": "missed changes"}
_TYPES: Mapping[str | None, Literal["ADDED", "MODIFIED", "DELETED"]] = {
    None: "ADDED",
    "ADDED": "ADDED",
    "MODIFIED": "MODIFIED",
    "DELETED": "DELETED",
}


class _Life:
    """One kopf in one thread. `died` is set once it watches no more; its thread may need longer, or never end."""

    def __init__(
        self,
        options: WatchOptions,
        credentials: Callable[[], Awaitable[ApiCredentials]],
        receive: Callable[[str | None, JsonObject], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._receive = receive
        self._stop = threading.Event()
        self._current = True
        self._cancel: Callable[[], None] = lambda: None
        self.died = asyncio.Event()
        self._gone = asyncio.Event()
        over = functools.partial(_call_in, self._loop, self.died.set)
        self._registry = build_registry(options.kinds, self._cross, credentials, over)
        self._thread = threading.Thread(target=self._run, name="setpoint-kopf", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Ends it; events that are still on their way are dropped."""
        self._current = False
        self._stop.set()
        if await ends_within(self._gone, _STOP_SECONDS):
            return
        # A watcher of kopf's can wait for helpers that kopf has cancelled with it, and takes no cancellation meanwhile:
        # the end of its event loop cancels what it waits in.
        self._cancel()
        if not await ends_within(self._gone, _CANCEL_SECONDS):
            _LOGGER.warning("The old watch does not end; its thread is left behind")

    def _cross(self, raw_type: str | None, obj: Any) -> None:
        """In kopf's thread."""
        _call_in(self._loop, self._take, raw_type, dict(obj))

    def _take(self, raw_type: str | None, obj: JsonObject) -> None:
        if self._current:
            self._receive(raw_type, obj)

    def _run(self) -> None:
        try:
            asyncio.run(self._operate())
        except BaseException:
            _LOGGER.debug("kopf ended", exc_info=True)
        finally:
            _call_in(self._loop, self.died.set)
            _call_in(self._loop, self._gone.set)

    async def _operate(self) -> None:
        namespaces = self._options.namespaces
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_tell_of_fault)
        operating = asyncio.ensure_future(
            kopf.operator(
                registry=self._registry,
                settings=build_settings(scan=not namespaces),
                standalone=True,
                clusterwide=not namespaces,
                namespaces=tuple(namespaces),
                stop_flag=self._stop,
            )
        )
        self._cancel = functools.partial(_call_in, loop, operating.cancel)
        try:
            await operating
        finally:
            # kopf's thread waits for its stop flag even after its operator died.
            self._stop.set()
            # aiohttp's TLS connections close a moment after their session does.
            await asyncio.sleep(_CLOSING_SECONDS)
