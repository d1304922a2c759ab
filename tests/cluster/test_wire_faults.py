"""What goes wrong between the operator and its API server: it ends at the setpoint, once, and loses nothing."""

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, ApiServer, Cluster
from tests.cluster.meddler import Answer, Fault, Meddler
from tests.cluster.operators import Operator, People, environment, running, until

pytestmark = pytest.mark.timeout(300)

RESYNC_SECONDS = 5
CONFLICT = Answer(409, "Conflict")
BUSY = Answer(429, "TooManyRequests", {"Retry-After": "1"})
GONE = Answer(410, "Expired")
BLIND = 'setpoint_watch_restarts_total{cause="blind"}'


@pytest.fixture(scope="module")
def meddler(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meddler]:
    if not isinstance(cluster, ApiServer):
        pytest.skip("its proxy speaks as the server's own admin")
    made = Meddler(cluster, tmp_path_factory.mktemp("meddler"))
    made.start()
    yield made
    made.close()


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
    cluster.kubectl("delete", "environments", "--all", "-n", namespace, "--timeout=90s", seconds=120)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Where each create leaves the number of the edit that asked for it."""
    path = tmp_path / "ledger"
    path.touch()
    return path


def edited(ledger: Path, number: int) -> dict[str, object]:
    """An Environment, each edit of which replaces what it had."""
    main = f"""
resource "terraform_data" "a" {{
  triggers_replace = {number}
  provisioner "local-exec" {{
    command = "echo {number} >> {ledger}"
  }}
}}
"""
    return environment("shop", main)


def reaches(people: People, ledger: Path, number: int, *, given: bool = False) -> None:
    """An edit is made unless it is, and approved; at its end, each edit so far was applied once."""
    if not given:
        people.apply(edited(ledger, number))
    generation = people.get("environment", "shop")["metadata"]["generation"]
    until(lambda: people.get("environment", "shop").get("status", {}).get("observedGeneration") == generation)
    people.approve("shop")
    settles(people, ledger, number)


def settles(people: People, ledger: Path, number: int) -> None:
    people.until_reason("shop", "AtSetpoint")
    assert ledger.read_text().split() == [str(one) for one in range(1, number + 1)]


def test_conflict_on_every_write_for_a_while(people: People, meddler: Meddler, ledger: Path) -> None:
    people.apply(edited(ledger, 1))
    people.until_reason("shop", "ApprovalRequired")
    with meddler.fault(lambda asked: CONFLICT if asked.writes else None):
        people.approve("shop")
        time.sleep(10)
    assert meddler.count("409", writes=True)
    settles(people, ledger, 1)


def test_429_500_and_503_in_bursts(people: People, operator: Operator, meddler: Meddler, ledger: Path) -> None:
    answers = itertools.cycle([BUSY, Answer(500, "InternalError"), Answer(503, "ServiceUnavailable"), BUSY])
    # A second and a half of each three: half of all renewals of the Lease fail, reads and writes alike.
    with meddler.fault(lambda _: next(answers) if time.monotonic() % 3.0 < 1.5 else None):
        reaches(people, ledger, 1)
    assert all(meddler.count(code) for code in ("429", "500", "503"))
    assert meddler.count("500", writes=True)
    assert operator.leads()
    assert "Lost the Lease" not in operator.process.log.read_text()


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
    until(lambda: meddler.streams("environments") == 1)
    blind = operator.metric(BLIND)
    answers = iter([answer] * 5)
    with meddler.fault(lambda asked: next(answers, None) if asked.follows else None):
        assert meddler.cut(last) > 1
        until(lambda: meddler.streams("environments") == 0)
        people.apply(edited(ledger, 1) | {"metadata": {"name": "shop", "labels": {"made": "meanwhile"}}})
        until(lambda: meddler.streams("environments") == 1)
    reaches(people, ledger, 1)
    assert operator.metric(BLIND) == blind, "the watch went on by itself"


def test_the_watch_falls_silent(people: People, operator: Operator, meddler: Meddler, ledger: Path) -> None:
    reaches(people, ledger, 1)
    until(lambda: meddler.streams("environments") == 1)
    blind = operator.metric(BLIND)
    assert meddler.mute() > 1
    reaches(people, ledger, 2)
    until(lambda: operator.metric(BLIND) == blind + 1)
    until(lambda: meddler.streams("environments") == 1)
    until(operator.ready)
    reaches(people, ledger, 3)


def test_credentials_expire_and_are_rotated(people: People, operator: Operator, meddler: Meddler, ledger: Path) -> None:
    people.apply(edited(ledger, 1))
    people.until_reason("shop", "ApprovalRequired")
    meddler.token = "second"  # noqa: S105
    meddler.cut()
    before = meddler.count("401")
    people.approve("shop")
    time.sleep(5)
    assert meddler.count("401") > before
    meddler.token_file.write_text("second\n")
    settles(people, ledger, 1)
    until(lambda: meddler.streams("environments") == 1)
    reaches(people, ledger, 2)
