"""An API server that still boots, at ten moments, and other days that an operator of its own is put through."""

import contextlib
import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.cluster.apiserver import PATIENT, ApiServer, Cluster
from tests.cluster.ledgers import edited, reaches, settles
from tests.cluster.meddler import Answer, Asked, Fault, Hang, Meddler, Reset, meddling
from tests.cluster.operators import Operator, People, running, until

RESTING_SECONDS = 3
BOOT_SECONDS = 3
RESYNC_SECONDS = 5
RECONCILES = "setpoint_reconcile_total"
BLIND = 'setpoint_watch_restarts_total{cause="blind"}'
UNAVAILABLE = Answer(503, "ServiceUnavailable")


@dataclasses.dataclass(frozen=True)
class Boot:
    """The answer of a server for a while after it was asked first, where it answers so: the moment of a start."""

    name: str
    fault: Fault
    where: Callable[[Asked], bool] = lambda _: True

    def begin(self, meddler: Meddler) -> None:
        """Boots on."""
        began: list[float] = []

        def meddle(asked: Asked) -> Fault:
            began[:] = began or [time.monotonic()]
            return self.fault if time.monotonic() - began[0] < BOOT_SECONDS and self.where(asked) else None

        meddler.meddle = meddle


def _is_ours(asked: Asked) -> bool:
    return asked.path.startswith("/apis/setpoint.dev/v1alpha1/")


FORBIDDEN = Answer(403, "Forbidden")
ABSENT = Answer(404, "NotFound")
NO_GROUPS = Answer(200, raw=b'{"kind":"APIGroupList","apiVersion":"v1","groups":[]}')
NO_KINDS = Answer(
    200, raw=b'{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"setpoint.dev/v1alpha1","resources":[]}'
)
BOOTS = [
    Boot("resets", Reset()),
    Boot("hangs", Hang(), lambda asked: asked.path == "/readyz"),
    Boot("is not ready", Answer(500), lambda asked: asked.path == "/readyz"),
    Boot("is unavailable", UNAVAILABLE),
    Boot("has no rights yet", FORBIDDEN),
    Boot("does not serve our kinds yet", ABSENT, _is_ours),
    Boot("lists no groups", NO_GROUPS, lambda asked: asked.path == "/apis"),
    Boot("has a group without kinds", NO_KINDS, lambda asked: asked.path == "/apis/setpoint.dev/v1alpha1"),
    Boot("has no rights to watch yet", FORBIDDEN, lambda asked: asked.follows),
    Boot("is ready, and knows nobody yet", Answer(401, "Unauthorized"), lambda asked: asked.path != "/readyz"),
]


def test_operators_start_at_ten_moments_of_a_boot(
    api_server: ApiServer, crds: None, namespace: str, tmp_path: Path
) -> None:
    people = People(api_server, namespace)
    people.apply(edited(tmp_path / "ledger", 1))
    with contextlib.ExitStack() as stack:
        early = [stack.enter_context(_started(boot, api_server, namespace, tmp_path)) for boot in BOOTS]
        for boot, meddler, operator in early:
            until(lambda one=meddler: len(one.streams("environments")) == 1, lambda name=boot.name: name)
            until(operator.ready, lambda name=boot.name: name)
        reaches(people, tmp_path / "ledger", 1)
        # Each looks again, and would begin its watch anew where that had not told of the edit: at most three rounds.
        blind = [operator.metric(BLIND) for _, _, operator in early]
        time.sleep(3.2 * RESYNC_SECONDS)
        assert [operator.metric(BLIND) for _, _, operator in early] == blind
        assert all(operator.ready() for _, _, operator in early)
        api_server.kubectl("delete", "environment", "shop", "-n", namespace, PATIENT)


@contextlib.contextmanager
def _started(boot: Boot, server: ApiServer, namespace: str, folder: Path) -> Iterator[tuple[Boot, Meddler, Operator]]:
    name = boot.name.replace(" ", "-").replace(",", "")
    folder = folder / name
    folder.mkdir()
    meddler = Meddler(server, folder)
    boot.begin(meddler)
    settings = {"SETPOINT_RESYNC_SECONDS": str(RESYNC_SECONDS), "SETPOINT_LEASE_NAMESPACE": namespace}
    operator = Operator(meddler, folder, name, settings=settings)  # type: ignore[arg-type]
    try:
        meddler.start()
        operator.process.start()
        yield boot, meddler, operator
    finally:
        operator.process.kill()
        operator.close()
        meddler.close()


def test_the_wall_clock_jumps_forth_and_back(cluster: Cluster, namespace: str, crds: None, tmp_path: Path) -> None:
    ahead, ledger, people = tmp_path / "ahead", tmp_path / "ledger", People(cluster, namespace)
    ahead.write_text("0")
    program = ("tests.cluster.clockwork", str(ahead))
    settings = {"SETPOINT_LEASE_NAMESPACE": namespace}
    with running(cluster, tmp_path, "clock", program=program, settings=settings) as operator:
        reaches(people, ledger, 1)
        for number, seconds in enumerate((3600, 0), start=2):
            set_clock(ahead, seconds)
            reaches(people, ledger, number)
            stamp = dt.datetime.fromisoformat(people.condition("shop")["lastTransitionTime"])
            assert abs((stamp - dt.datetime.now(dt.UTC)).total_seconds() - seconds) < 600, "its clock was set"
            done = operator.total(RECONCILES)
            time.sleep(RESTING_SECONDS)
            assert operator.total(RECONCILES) - done <= 2, "at rest there is next to nothing to do"
        assert "Lost the Lease" not in operator.process.log.read_text()
        people.cluster.kubectl("delete", "environment", "shop", "-n", namespace, PATIENT)


def set_clock(ahead: Path, seconds: int) -> None:
    """In one step, so that no reader sees half of it."""
    new = ahead.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(ahead)


def test_whom_an_approval_concerns_can_not_be_read_at_once(
    api_server: ApiServer, crds: None, namespace: str, tmp_path: Path
) -> None:
    people, ledger = People(api_server, namespace), tmp_path / "ledger"
    settings = {"SETPOINT_LEASE_NAMESPACE": namespace, "SETPOINT_RESYNC_SECONDS": "300"}
    with (
        meddling(api_server, tmp_path) as meddler,
        running(meddler, tmp_path, settings=settings) as operator,  # type: ignore[arg-type]
    ):
        people.apply(edited(ledger, 1))
        people.until_reason("shop", "ApprovalRequired")
        with meddler.fault(lambda asked: UNAVAILABLE if f"{namespace}/changes/" in asked.path else None):
            people.approve("shop")
            until(lambda: "is routed again" in operator.process.log.read_text())
        settles(people, ledger, 1)
        api_server.kubectl("delete", "environment", "shop", "-n", namespace, PATIENT)
