"""Faults between the operator and its API server: it ends at the setpoint, once, and loses nothing."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, PATIENT, ApiServer, Cluster
from tests.cluster.ledgers import edited, reaches, settles
from tests.cluster.meddler import Answer, Asked, Fault, Meddler, meddling
from tests.cluster.operators import Operator, People, running, until

RESYNC_SECONDS = 5
EDITS = 2
CONFLICT = Answer(409, "Conflict")
BUSY = Answer(429, "TooManyRequests", {"Retry-After": "1"})
GONE = Answer(410, "Expired")
ERROR = Answer(500, "InternalError")
UNAVAILABLE = Answer(503, "ServiceUnavailable")
BLIND = 'setpoint_watch_restarts_total{cause="blind"}'


@pytest.fixture(scope="module")
def meddler(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meddler]:
    if not isinstance(cluster, ApiServer):
        pytest.skip("its proxy speaks as the server's own admin")
    with meddling(cluster, tmp_path_factory.mktemp("meddler")) as made:
        yield made


@pytest.fixture(scope="module")
def operator(cluster: Cluster, meddler: Meddler, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    cluster.kubectl("create", "namespace", NAMESPACE, check=False)
    settings = {"SETPOINT_RESYNC_SECONDS": str(RESYNC_SECONDS)}
    with running(meddler, tmp_path_factory.mktemp("operator"), settings=settings) as operator:  # type: ignore[arg-type]
        until(operator.leads)
        yield operator


@pytest.fixture
def people(cluster: Cluster, namespace: str, operator: Operator) -> Iterator[People]:
    yield People(cluster, namespace)
    cluster.kubectl("delete", "environments", "--all", "-n", namespace, PATIENT)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The file where each create leaves the number of the edit that asked for it."""
    path = tmp_path / "ledger"
    path.touch()
    return path


def watches(meddler: Meddler) -> int:
    """The number of the watch of Environments, which is open."""
    until(lambda: len(meddler.streams("environments")) == 1)
    return meddler.streams("environments")[0]


@pytest.mark.parametrize("renewals", [True, False], ids=["renewals-too", "renewals-pass"])
def test_conflict_on_every_write_for_a_while(
    people: People, operator: Operator, meddler: Meddler, ledger: Path, renewals: bool
) -> None:
    """An operator whose renewals fail, too, has lost its Lease in the end; one that leads goes on to try."""
    people.apply(edited(ledger, 1))
    people.until_reason("shop", "ApprovalRequired")
    said, before = len(operator.process.log.read_text()), meddler.count("409", writes=True)

    def refused(asked: Asked) -> Fault:
        return CONFLICT if asked.writes and (renewals or "/leases/" not in asked.path) else None

    def lost() -> bool:
        return "Lost the Lease" in operator.process.log.read_text()[said:]

    with meddler.fault(refused):
        people.approve("shop")
        until(lost if renewals else lambda: meddler.count("409", writes=True) > before + 5)
    settles(people, ledger, 1)
    assert lost() is renewals


class Bursts:
    """Four in a row of twenty reads are refused, and of twenty writes by themselves; at renewals every other.

    By number and not by time, so that no rhythm of the operator's can pass between them. Renewals are apart since their
    deadline is for a server that is away.
    """

    def __init__(self) -> None:
        row = [BUSY, ERROR, UNAVAILABLE, BUSY, *[None] * 16]
        self._renewals = itertools.cycle([None, BUSY, None, ERROR, None, UNAVAILABLE])
        self._rows = {writes: itertools.cycle(row) for writes in (False, True)}
        self.left = set(itertools.product(self._rows, (429, 500, 503)))

    def __call__(self, asked: Asked) -> Fault:
        if "/leases/" in asked.path:
            return next(self._renewals)
        answer = next(self._rows[asked.writes])
        if answer:
            self.left.discard((asked.writes, answer.code))
        return answer


def test_429_500_and_503_in_bursts(people: People, operator: Operator, meddler: Meddler, ledger: Path) -> None:
    said = len(operator.process.log.read_text())
    bursts = Bursts()
    with meddler.fault(bursts):
        meddler.cut()  # kopf's own requests, too
        for number in range(1, EDITS + 1):
            reaches(people, ledger, number)
    assert not bursts.left
    watches(meddler)
    assert "Lost the Lease" not in operator.process.log.read_text()[said:]


@pytest.mark.parametrize(
    ("last", "answer"),
    [
        pytest.param(b"", None, id="reset"),
        pytest.param(b'{"type":"MODIFIED","object":{"apiVersion":"setp', None, id="half-a-line"),
        pytest.param(json.dumps({"type": "ERROR", "object": GONE.status()}).encode() + b"\n", None, id="error-event"),
        pytest.param(b"", GONE, id="answered-410"),
    ],
)
def test_the_watch_is_cut(
    people: People, operator: Operator, meddler: Meddler, ledger: Path, last: bytes, answer: Fault
) -> None:
    people.apply(edited(ledger, 1))
    people.until_reason("shop", "ApprovalRequired")
    watch = watches(meddler)
    blind = operator.metric(BLIND)
    answers = iter([answer] * 5)
    with meddler.fault(lambda asked: next(answers, None) if asked.follows else None):
        assert meddler.cut(last) > 1
        until(lambda: meddler.streams("environments") not in ([], [watch]))
    reaches(people, ledger, 1)
    assert operator.metric(BLIND) == blind, "the watch went on by itself"


def test_the_watch_falls_silent(people: People, operator: Operator, meddler: Meddler, ledger: Path) -> None:
    reaches(people, ledger, 1)
    watches(meddler)
    blind = operator.metric(BLIND)
    assert meddler.mute() > 1
    reaches(people, ledger, 2)
    until(lambda: operator.metric(BLIND) == blind + 1)
    watches(meddler)
    until(operator.ready)
    reaches(people, ledger, 3)


def test_credentials_expire_and_are_rotated(people: People, operator: Operator, meddler: Meddler, ledger: Path) -> None:
    people.apply(edited(ledger, 1))
    people.until_reason("shop", "ApprovalRequired")
    meddler.token = "second"
    meddler.cut()
    before = meddler.count("401")
    people.approve("shop")
    until(lambda: meddler.count("401") > before + 5)
    meddler.token_file.write_text("second\n")
    settles(people, ledger, 1)
    watches(meddler)
    reaches(people, ledger, 2)
