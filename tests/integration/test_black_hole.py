"""A real Terraform and provider on an endpoint that takes connections and never answers."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.deadlines import Deadlines
from tests.fixtures.terraform import TARGET, open_rig

from setpoint.api.conditions import Reason
from setpoint.domain.errors import TransientError
from setpoint.targets.environment.terraform import process, progress, session

CODE = """
terraform {
  required_providers {
    kubectl = { source = "gavinbunney/kubectl" }
  }
}
variable "host" { type = string }
provider "kubectl" {
  host             = var.host
  load_config_file = false
}
data "kubectl_server_version" "cluster" {}
output "version" { value = data.kubectl_server_version.cluster.version }
"""


class BlackHole:
    """A port of this machine that takes connections and says nothing."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._swallow, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached.set()
        try:
            while await reader.read(4096):
                pass
        finally:
            writer.close()


class Pauses:
    """Takes the place of the pauses between two looks: they end when a test says so."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        assert seconds > 0
        await self._over.wait()
        self._over.clear()

    def end(self) -> None:
        self._over.set()


@pytest.fixture(scope="module")
def mirror() -> Path:
    folder = Path(os.environ.get("SETPOINT_TERRAFORM_MIRROR", "nowhere"))
    if not list(folder.glob("*/gavinbunney/kubectl")):
        (pytest.fail if os.environ.get("SETPOINT_REQUIRE_CLUSTER") == "1" else pytest.skip)("no provider kubectl")
    return folder


async def test_a_plan_says_what_it_waits_for_and_is_cut(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines, pauses, hole = Deadlines(), Pauses(), BlackHole()
    told: asyncio.Queue = asyncio.Queue()
    async with hole.open() as host, open_rig(tmp_path, mirror) as rig:
        inputs = rig.inputs(variables={"host": host})
        bundle = await rig.bundle(CODE, inputs)
        async with rig.adapter.session(TARGET) as opened:
            monkeypatch.setattr(process, "start_deadline", deadlines)
            monkeypatch.setattr(session, "READING_GRACE", 0.2)
            monkeypatch.setattr(progress, "pause", pauses)
            planning = asyncio.create_task(opened.plan(bundle, inputs, progress=told.put_nowait))
            reached = asyncio.create_task(hole.reached.wait())
            await asyncio.wait({planning, reached}, return_when=asyncio.FIRST_COMPLETED)
            assert not planning.done(), planning.exception()
            pauses.end()
            wait = await told.get()
            await deadlines.expire()
            with pytest.raises(TransientError) as cut:
                await planning
    assert (wait.address, wait.state) == ("data.kubectl_server_version.cluster", "waiting")
    assert cut.value.reason is Reason.TIMED_OUT
    assert cut.value.message.endswith("was stopped; no answer came for data.kubectl_server_version.cluster")
    assert not list((tmp_path / "home" / "runs").iterdir())
