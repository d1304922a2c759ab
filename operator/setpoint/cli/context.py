"""Owns what a command works with: the home, the wiring behind it, and how a command reaches them.

The protocols here are all that the commands know of the composition root; `setpoint.wiring` fulfils them, and is
imported only when a command needs it, so that the others start at once.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import stat
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from setpoint.domain.errors import NotFoundError, SetpointError

if TYPE_CHECKING:
    import asyncio

    from setpoint.api.meta import JsonObject, ObjectRef
    from setpoint.domain.model import ResourceProgress
    from setpoint.pipeline.preview import PlanReport
    from setpoint.ports import AuditLog, ClusterClient
    from setpoint.ports.commands import Answer, Check, Verb
    from setpoint.runtime.recorder import EventRecord
    from setpoint.wiring.home import VerifyReport
    from setpoint.wiring.manager import RunReport

DONE, FAILED, USAGE, ATTENTION, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes; 130 is the shell's for Ctrl-C."""

HOME_FOLDER = ".setpoint"
_MAX_LISTED = 10


# --- What the composition root gives ------------------------------------------------------------------------------


class Progress(Protocol):
    """Hears what happens while it happens, on the event loop. `resource` is given while a change is applied."""

    def __call__(self, ref: ObjectRef, step: str, /, resource: ResourceProgress | None = None) -> None:
        """Called with the target, the step of the pipeline, and the resource that moved."""
        ...


class Store(Protocol):
    """The store of a home, be it the one that stood here or not."""

    async def store_problem(self) -> str:
        """The reason against the store being the one that stood here, as a clause; empty where there is none."""
        ...

    async def accept_store(self, reason: str) -> str:
        """Goes on with the store as it is, on record; returns what spoke against it."""
        ...


class Home(Store, Protocol):
    """One open home. It works with and without a manager running on it."""

    @property
    def root(self) -> Path:
        """The folder of the manifests."""
        ...

    @property
    def cluster(self) -> ClusterClient:
        """The objects."""
        ...

    @property
    def audit(self) -> AuditLog:
        """The trail."""
        ...

    @property
    def proves_users(self) -> bool:
        """True where somebody else than this machine vouches for who works here."""
        ...

    def user(self) -> str:
        """The one who works here: the operating system's user, or the API server's word."""
        ...

    async def manager(self) -> str | None:
        """The one who manages it now; empty where nobody does, None where that can't be seen from here."""
        ...

    async def sync(self) -> Sequence[object]:
        """Reads the manifests now; returns what is wrong with them, each shown with `str`."""
        ...

    async def events(self, ref: ObjectRef) -> Sequence[EventRecord]:
        """The events of an object, oldest first."""
        ...

    async def plan(self, ref: ObjectRef, progress: Progress) -> PlanReport:
        """Computes what would be done, and changes nothing."""
        ...

    async def content(self, digest: str) -> bytes | None:
        """A Change's content from the store; None where the store is out of reach. Raises NotFoundError, StoreError."""
        ...

    async def perform(self, verb: Verb, ref: ObjectRef, **arguments: Any) -> Answer:
        """Does what a verb does that the target's kind has alone. Raises SetpointError."""
        ...

    async def verify_audit(self) -> VerifyReport:
        """Checks every row of the trail."""
        ...


class ClusterHome(Home, Protocol):
    """A home that is a cluster, where operators lead."""

    async def leaders(self, namespace: str, on_wait: Callable[[str], None]) -> Sequence[str]:
        """The leaders there now; `on_wait` is told what it waits for. Raises ForbiddenError, TransientError."""
        ...


class Wiring(Protocol):
    """The functions that `setpoint.wiring` offers."""

    def open_home(self, root: Path, *, create: bool = False) -> AbstractAsyncContextManager[Home]:
        """Opens the home of a folder; makes its `.setpoint/` first where asked."""
        ...

    async def run_manager(
        self,
        root: Path,
        *,
        once: bool,
        due: bool,
        metrics_address: str | None,
        log_format: str | None,
        progress: Progress,
        stop: asyncio.Event,
    ) -> RunReport:
        """Runs the manager until `stop` is set and all work is drained, or, `once`, until no target has work left.

        The settings decide where address and format are None. Cancelling the task stops it at once.
        """
        ...

    def open_operator_store(self) -> AbstractAsyncContextManager[Store]:
        """Opens the store that the operator's settings name, beside the operator that runs on it."""
        ...

    async def doctor(self, root: Path | None) -> Sequence[Check]:
        """Lists what this machine has and lacks; checks a home, too, where there is one."""
        ...


# --- How a command reaches it -------------------------------------------------------------------------------------


def load_wiring() -> Wiring:
    """The composition root. Importing it costs what Setpoint costs: late is early enough."""
    from setpoint import wiring  # noqa: PLC0415

    return wiring


def open_cluster(context: str) -> AbstractAsyncContextManager[ClusterHome]:
    """The cluster of a context, the current one's where it is empty."""
    # The Kubernetes client takes a second to import, and no local home needs it.
    from setpoint.wiring.cluster_home import open_cluster_home  # noqa: PLC0415

    return open_cluster_home(context or None)


class ObjectMissingError(NotFoundError):
    """There is no such object, nearly in kubectl's words."""

    def __init__(self, ref: ObjectRef) -> None:
        from setpoint.cli.kinds import resource_name  # noqa: PLC0415

        super().__init__(f'error: {resource_name(ref.kind)} "{ref.name}" not found')


@dataclasses.dataclass(slots=True)
class Invocation:
    """One call of the command: its global options, and the way to a home."""

    home: Path | None = None
    context: str | None = None
    verbose: bool = False
    wiring: Callable[[], Wiring] = load_wiring
    cluster: Callable[[str], AbstractAsyncContextManager[ClusterHome]] = open_cluster

    def root(self) -> Path:
        """The home's folder: `--home`, SETPOINT_HOME, or what `find_home` finds. Raises UsageError."""
        if self.home is not None:
            return self.home
        found = find_home(Path.cwd())
        if found is None:
            raise click.UsageError(_no_home(Path.cwd()))
        return found

    def run(self, action: Callable[[Home], Awaitable[int]], *, create: bool = False) -> int:
        """Opens the home, reads its manifests, and runs a command on it; returns the exit code.

        `create` makes a home of a folder that was named and is none yet.
        """
        if self.context is not None:
            return self.run_on_cluster(action, otherwise="")
        root = self.root()
        is_home = (root / HOME_FOLDER).is_dir()
        if not is_home and not create:
            msg = f"{root} is no Setpoint home yet; make it one with 'setpoint up {shlex.quote(str(root))}'"
            raise SetpointError(msg)
        import asyncio  # noqa: PLC0415 a third of the start-up time of `setpoint version`

        return asyncio.run(self._run(root, action, create=not is_home))

    def run_on_cluster(self, action: Callable[[ClusterHome], Awaitable[int]], *, otherwise: str) -> int:
        """Runs a command on a cluster; returns the exit code. Where none is named, raises `otherwise`."""
        if self.context is None:
            raise SetpointError(otherwise)
        import asyncio  # noqa: PLC0415 as above

        return asyncio.run(self._run_on_cluster(self.context, action))

    async def _run(self, root: Path, action: Callable[[Home], Awaitable[int]], *, create: bool) -> int:
        async with self.wiring().open_home(root, create=create) as home:
            for problem in await home.sync():
                click.echo(f"warning: {problem}", err=True)
            return await action(home)

    async def _run_on_cluster(self, context: str, action: Callable[[ClusterHome], Awaitable[int]]) -> int:
        async with self.cluster(context) as home:
            return await action(home)

    def how_it_goes_on(self, what: str, manager: str | None = None) -> str:
        """A sentence on who does it, and how where nobody is there to; `manager` is what the home says of who runs."""
        if self.context is not None:
            return f"The operator {what}, if one runs."
        once = self.command("up", str(self.root()), "--once", root=self.root())
        if manager:
            return f"The manager that runs ({manager}) {what} now."
        if manager is None:
            return f"A running manager {what} now; without one: {once}"
        return f"No manager runs on this home: {once} {what}."

    def command(self, *words: str, root: Path | None = None) -> str:
        """A command to type next, with `--home` where the home would not be found without."""
        if self.context is not None:
            return shlex.join(["setpoint", *(["--context", self.context] if self.context else []), *words])
        root = root or self.root()
        named = not os.environ.get("SETPOINT_HOME") and find_home(Path.cwd()) != root.resolve()
        return shlex.join(["setpoint", *(["--home", str(root)] if named else []), *words])


def find_home(start: Path) -> Path | None:
    """The nearest folder at or above `start` that is a home, else the only one right below it."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if _is_own_home(folder):
            return folder
    below = _homes_below(start)
    return below[0] if len(below) == 1 else None


def _homes_below(start: Path) -> list[Path]:
    return sorted(folder for folder in start.iterdir() if _is_own_home(folder))


def _no_home(start: Path) -> str:
    if below := _homes_below(start):
        names = ", ".join(folder.name for folder in below)
        return f"several Setpoint homes right below {start}: {names}; name one with --home DIR or SETPOINT_HOME."
    return (
        f"no Setpoint home at or above {start}; make one with 'setpoint up DIR', "
        "or name one with --home DIR or SETPOINT_HOME."
    )


def _is_own_home(folder: Path) -> bool:
    """True for a home of this user. Another's is never taken by chance: its manifests say what is run here."""
    try:
        found = (folder / HOME_FOLDER).stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


async def fetch(home: Home, ref: ObjectRef) -> JsonObject:
    """One object. Raises ObjectMissingError."""
    try:
        return await home.cluster.get(ref)
    except NotFoundError:
        raise ObjectMissingError(ref) from None


async def fetch_by_prefix(home: Home, ref: ObjectRef) -> JsonObject:
    """One object by its name, or by the beginning of it where no other of the kind begins so. For what people type.

    Raises ObjectMissingError, SetpointError where several begin so.
    """
    try:
        return await home.cluster.get(ref)
    except NotFoundError:
        listed = await home.cluster.list(ref.kind, namespace=ref.namespace or None)
    found = [item for item in listed.items if item["metadata"]["name"].startswith(ref.name)]
    if not found:
        raise ObjectMissingError(ref) from None
    if len(found) > 1:
        names = ", ".join(sorted(item["metadata"]["name"] for item in found)[:_MAX_LISTED])
        msg = f"{len(found)} names begin with {ref.name!r}: {names}; write more of the one that you mean"
        raise SetpointError(msg)
    return found[0]
