"""Thousands of objects created at once: each is looked at, none is lost, memory stays bounded, people are served.

They are at least 1,500 in `make test`, and 5,000 with SETPOINT_TEST_SOAK=1, and come until the person is served.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.apiserver import NAMESPACE, ROOT, ApiServer, Cluster, UnavailableError
from tests.cluster.conftest import unavailable
from tests.cluster.operators import Operator, People, environment, running, until
from tests.soak import SOAKING
from tests.unit.api.test_admission import having

from setpoint.adapters.kube import KubeConnection, connect
from setpoint.adapters.kube.connection import KubeRequest
from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import FINALIZER, JsonObject

OBJECTS = 5000 if SOAKING else 1500
CLIENTS = 4
KIBIBYTES_EACH = 24
"""Of RSS while the storm lasts; measured are 5 to 9."""
SETTINGS = {"SETPOINT_API_WRITES": "2000", "SETPOINT_API_READS": "4000", "SETPOINT_WORKERS": "16"}
"""The limits that the API server is spared by would be all that is measured here."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server of its own: what is left in it at the end is in nobody's way."""
    folder = tmp_path_factory.mktemp("burst")
    try:
        made = ApiServer(folder)
    except UnavailableError as error:
        unavailable(error)
    try:
        made.start()
        made.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        made.kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))
        made.kubectl("create", "namespace", NAMESPACE)
        made.kubectl("create", "namespace", "people")
        yield made
    finally:
        made.stop()


def test_thousands_at_once(server: Cluster, tmp_path: Path) -> None:
    people = People(server, "people")
    with running(server, tmp_path, settings=SETTINGS) as operator:
        people.apply(environment("shop"))
        people.approve("shop")
        people.until_reason("shop", "AtSetpoint")
        before = memory_kib(operator)
        served = threading.Event()
        storm = Storm(server, served)
        storm.start()
        until(lambda: looked_at(operator) > OBJECTS / 20, lambda: looked_at(operator))
        people.apply(environment("shop", 'resource "terraform_data" "a" { input = "edited" }'))
        people.approve("shop")
        people.until_reason("shop", "AtSetpoint")
        served.set()
        storm.join()
        most = before

        def all_looked_at() -> bool:
            nonlocal most
            most = max(most, memory_kib(operator))
            return looked_at(operator) >= storm.made

        until(all_looked_at, lambda: looked_at(operator))
        assert storm.made >= OBJECTS
        assert (most - before) / storm.made < KIBIBYTES_EACH
        found = server.get("environments", "-n", NAMESPACE)["items"]
        assert len(found) == sum(map(is_environment, range(storm.made)))
        assert {one["status"]["conditions"][0]["reason"] for one in found} == {"Suspended"}


class Storm(threading.Thread):
    """Creates objects, many at a time, until somebody is served, and at least OBJECTS. `made` counts them."""

    def __init__(self, server: Cluster, served: threading.Event) -> None:
        super().__init__(daemon=True)
        self.made = 0
        self._server = server
        self._served = served

    def run(self) -> None:
        asyncio.run(self._create_all())

    async def _create_all(self) -> None:
        options = self._server.connection(reads_a_second=5000, writes_a_second=5000)
        async with connect(options) as connection, asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._create(connection))

    async def _create(self, connection: KubeConnection) -> None:
        while self.made < OBJECTS or not self._served.is_set():
            number, self.made = self.made, self.made + 1
            obj = suspended(number) if is_environment(number) else pointless(number)
            path = resource_of(obj["kind"]).collection(NAMESPACE)
            await connection.request(KubeRequest("POST", path, "it", body=obj))


def is_environment(number: int) -> bool:
    """Two of five are Environments."""
    return number % 5 < 2


def suspended(number: int) -> JsonObject:
    """An Environment that rests, under the finalizer that the operator would have to write first."""
    obj = environment(f"burst-{number}", suspend=True)
    obj["metadata"]["finalizers"] = [FINALIZER]
    return obj


def pointless(number: int) -> JsonObject:
    """A Reset of a target that does not exist: it is looked for."""
    target = {"targetRef": {"kind": "Environment", "name": f"burst-{number}"}, "snapshotRef": {"name": "none"}}
    obj = having("Reset", {"metadata.name": f"burst-{number}", "metadata.namespace": NAMESPACE})
    return {**obj, "spec": {**obj["spec"], **target}}


def looked_at(operator: Operator) -> float:
    """How many reconciles ended well: one for each of them, and a few for the edited one."""
    return sum(
        operator.metric(f'setpoint_reconcile_total{{controller="Environment",result="{result}"}}')
        for result in ("success", "requeue_after")
    )


def memory_kib(operator: Operator) -> int:
    """RSS of the operator, which a process of env became."""
    status = Path(f"/proc/{operator.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
