"""kopf's own high-level handlers, which do nothing, against the operator over resting objects: one server, one run.

    python benchmarks/cluster_kopf_handlers.py [OBJECTS] [EDITS]

Both see the same suspended Environments, for which nothing is to be done: kopf for the first time, then at another
start, as the operator does. Then some are edited, one after another: first an annotation, which asks nothing of either;
then the spec, which the operator answers with the status that says so, and kopf's handler with nothing. Requests are
from the server's audit log, but for those to Leases. CPU and RSS are of the process; at a start they are over those of
the same process started with no object.
"""

import asyncio
import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import _cluster
from _kopf_handlers import HANDLED
from tests.cluster.apiserver import ApiServer
from tests.cluster.processes import Process, Reaper

from setpoint.adapters.kube.connection import KubeRequest
from setpoint.api.meta import JsonObject

_SETTLE = 6.0
"""Seconds after the last object was seen: kopf writes its annotations, and its Events, after its handler."""
_EDITS_A_SECOND = 15.0
"""Fewer than the writes that the operator allows itself."""
_OURS = ("setpoint", "kopf")
"""Our watch is kopf's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Of one phase: CPU-seconds, requests, and how many of them were writes; RSS at its end."""

    cpu: float
    requests: int
    writes: int
    rss: int

    def over(self, other: "Cost", each: int) -> "Cost":
        """The cost beyond that of another, by object or edit."""
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        return Cost(*((more - less) / each for more, less in zip(mine, others, strict=True)))


_NOTHING = Cost(0, 0, 0, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Contestant:
    """A process, how many objects it says to have seen, how often it worked, and as whom it asks."""

    process: Process
    seen: Callable[[], float]
    worked: Callable[[], float]
    agents: tuple[str, ...]


Start = Callable[[ApiServer, Path, str], "contextlib.AbstractContextManager[Contestant]"]


@contextlib.contextmanager
def kopf_handlers(server: ApiServer, folder: Path, name: str) -> Iterator[Contestant]:
    reaper, script, log = Reaper(), Path(__file__).with_name("_kopf_handlers.py"), folder / f"{name}.log"
    command = ["env", f"KUBECONFIG={server.kubeconfig()}", sys.executable, str(script)]
    process = Process(name, command, log, lambda: True, reaper)

    def handled() -> int:
        return log.read_text(errors="replace").count(f"{HANDLED} ") if log.exists() else 0

    try:
        yield Contestant(process, handled, handled, ("kopf",))
    finally:
        process.stop()
        reaper.close()


@contextlib.contextmanager
def our_operator(server: ApiServer, folder: Path, name: str) -> Iterator[Contestant]:
    operator = _cluster.operator(server, folder, name)
    looked = 'setpoint_reconcile_total{controller="Environment",result="requeue_after"}'

    def seen() -> int:
        return operator.series("setpoint_target_info{") if _cluster.has_led(operator) else -1

    try:
        yield Contestant(operator.process, seen, lambda: operator.metric(looked), _OURS)
    finally:
        operator.close()


def started(server: ApiServer, one: Contestant, objects: int) -> Cost:
    """A start over that many objects."""
    return spent(server, one, one.process.start, lambda: one.seen() >= objects)


def noted(server: ApiServer, one: Contestant, names: list[str], word: str) -> Cost:
    """An annotation of each of these objects, one after another."""
    body = {"metadata": {"annotations": {"example.com/note": word}}}
    return spent(server, one, lambda: asyncio.run(edit(server, names, body)), lambda: True)


def edited(server: ApiServer, one: Contestant, names: list[str], word: str) -> Cost:
    """An edit of the spec of each of these objects, one after another."""
    goal, body = one.worked() + len(names), {"spec": {"variables": {"word": word}}}
    return spent(server, one, lambda: asyncio.run(edit(server, names, body)), lambda: one.worked() >= goal)


async def edit(server: ApiServer, names: list[str], body: JsonObject) -> None:
    async with _cluster.people(server) as (_, connection):
        for name in names:
            path = f"/apis/setpoint.dev/v1alpha1/namespaces/default/environments/{name}"
            await connection.request(
                KubeRequest("PATCH", path, name, body=body, content_type="application/merge-patch+json")
            )
            await asyncio.sleep(1 / _EDITS_A_SECOND)


def spent(server: ApiServer, one: Contestant, act: Callable[[], None], done: Callable[[], bool]) -> Cost:
    """The cost of an act to a process, up to some seconds after it is done with it."""
    requests = _cluster.Requests(server)
    before = _cluster.cpu(one.process)[0] if one.process.running else 0.0
    act()
    _cluster.wait_until(done, one.process, every=0.5)
    time.sleep(_SETTLE)
    cpu = _cluster.cpu(one.process)[0] - before
    asked, written = requests.of(*one.agents), requests.of(*one.agents, writes=True)
    return Cost(cpu, asked, written, _cluster.rss(one.process))


def measure(server: ApiServer, folder: Path, start: Start, names: list[str], edits: int) -> list[Cost]:
    """A start over all objects, and both kinds of edit."""
    with start(server, folder, f"{start.__name__}-again") as one:
        began = started(server, one, len(names))
        return [began, *(act(server, one, names[:edits], start.__name__) for act in (noted, edited))]


def start_alone(server: ApiServer, folder: Path, start: Start, name: str, objects: int) -> Cost:
    """A start, and no more."""
    with start(server, folder, name) as one:
        return started(server, one, objects)


def compare(server: ApiServer, folder: Path, objects: int, edits: int) -> int:
    empty = [
        start_alone(server, folder, start, f"{start.__name__}-empty", 0) for start in (our_operator, kopf_handlers)
    ]
    names = [f"rest-{number:05d}" for number in range(objects)]
    asyncio.run(create(server, names))
    ours = measure(server, folder, our_operator, names, edits)
    first = start_alone(server, folder, kopf_handlers, "first", objects)
    theirs = measure(server, folder, kopf_handlers, names, edits)
    starts = [full[0].over(none, objects) for full, none in zip((ours, theirs), empty, strict=True)]
    notes, changes = ([full[at].over(_NOTHING, edits) for full in (ours, theirs)] for at in (1, 2))
    report(objects, edits, empty, [*starts, first.over(empty[1], objects)], notes, changes)
    return 0


def report(
    objects: int, edits: int, empty: list[Cost], starts: list[Cost], notes: list[Cost], changes: list[Cost]
) -> None:
    print(f"{objects} objects, {edits} edits{'operator':>20}{'kopf':>12}{'kopf at first sight':>22}")
    table: list[tuple[str, list[float]]] = [
        ("RSS with no object, MiB", [one.rss / 2**20 for one in empty]),
        ("RSS an object, KiB", [one.rss / 2**10 for one in starts]),
        ("start: CPU ms an object", [1e3 * one.cpu for one in starts]),
        ("start: requests an object", [one.requests for one in starts]),
        ("start: writes an object", [one.writes for one in starts]),
        ("annotation: CPU ms", [1e3 * one.cpu for one in notes]),
        ("annotation: requests", [one.requests for one in notes]),
        ("spec: CPU ms", [1e3 * one.cpu for one in changes]),
        ("spec: requests", [one.requests for one in changes]),
        ("spec: writes", [one.writes for one in changes]),
    ]
    for what, figures in table:
        print(f"{what:32}" + "".join(f"{figure:12.2f}" for figure in figures))
    print("For RESULTS.md:")
    our, their, first = starts
    print(
        f"| A start over {objects} resting objects, each: CPU, requests, RSS; kopf's own handlers: "
        f"{1e3 * their.cpu:.1f} ms, {their.requests:.1f}, {their.rss / 2**10:.0f} KiB "
        f"({1e3 * first.cpu:.1f} ms, {first.requests:.1f} at first sight) | less | {1e3 * our.cpu:.1f} ms, "
        f"{our.requests:.1f}, {our.rss / 2**10:.0f} KiB | `python benchmarks/cluster_kopf_handlers.py` |"
    )
    for what, (ours, theirs) in (("an annotation, which asks nothing", notes), ("the spec", changes)):
        told = f"kopf's own handlers: {1e3 * theirs.cpu:.1f} ms, {theirs.requests:.1f}"
        seen = f"{1e3 * ours.cpu:.1f} ms, {ours.requests:.1f}"
        print(f"| An edit of {what}: CPU, requests; {told} | less | {seen} | the same |")


async def create(server: ApiServer, names: list[str]) -> None:
    async with _cluster.people(server) as (cluster, _):
        await _cluster.create_resting(cluster, names)


def main(objects: int = 500, edits: int = 120) -> int:
    with _cluster.serving() as (server, folder):
        return compare(server, folder, objects, edits)


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
