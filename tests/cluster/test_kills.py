"""The operator killed with -9 at each step of the pipeline, and what is left of the world.

The world is a log: each resource that is made writes a line, by a provisioner. SETPOINT_TEST_ALL_KILLS=1 kills at
every crash point; else at every fourth, the first and the last included.
"""

import collections
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.apiserver import ApiServer, Cluster
from tests.cluster.operators import Operator, People, environment, until

from setpoint.adapters.store import NAME, AuditTrail, open_sqlite
from setpoint.domain.audit import Phase, Verdict
from setpoint.wiring.foundation import SystemClock

ROOT = Path(__file__).parents[2]
NEVER = 1_000_000
STRIDE = 1 if os.environ.get("SETPOINT_TEST_ALL_KILLS") else 4
AT_ONCE = 3
CODE = """
resource "terraform_data" "made" {{
  count = 2
  provisioner "local-exec" {{
    command = "echo ${{count.index}} >> {log}"
  }}
}}
"""


class World:
    """One namespace with one environment, and the operators that serve it one after another."""

    def __init__(self, cluster: Cluster, folder: Path, name: str) -> None:
        folder.mkdir()
        self.people = People(cluster, name)
        self.log = folder / "made.log"
        self.points = folder / "points"
        self._folder = folder
        self._cluster = cluster
        cluster.kubectl("create", "namespace", name)

    def operator(self, at: int = NEVER) -> Operator:
        """One that kills itself at a crash point."""
        settings = {"SETPOINT_NAMESPACES": self.people.namespace, "SETPOINT_LEASE_NAMESPACE": self.people.namespace}
        program = ["tests.cluster.victim", str(at), str(self.points)]
        return Operator(
            self._cluster, self._folder, "operator", settings={**settings, "PYTHONPATH": str(ROOT)}, program=program
        )

    def live(self, at: int = NEVER) -> int:
        """An operator, until the environment is at its setpoint or it is dead; returns how far it came."""
        operator = self.operator(at)
        try:
            operator.process.start()
            until(lambda: not operator.process.running or self._is_done(), self._ready)
            return int(self.points.read_text())
        finally:
            operator.close()

    def declare(self) -> None:
        """What is wanted: two resources, and nobody asked."""
        self.people.apply(environment("shop", CODE.format(log=self.log), stage="test", apply={"mode": "Auto"}))

    def _ready(self) -> dict[str, Any]:
        return self.people.condition("shop")

    def _is_done(self) -> bool:
        """At the setpoint; approves on the way, as an interrupted apply asks for."""
        ready = self._ready()
        if ready.get("reason") == "ApprovalRequired":
            change = self.people.get("environment", "shop")["status"].get("change")
            if change:
                self.people.setpoint("approve", change, "-n", self.people.namespace, check=False)
        return ready.get("status") == "True"

    def made(self) -> collections.Counter[str]:
        """How often each resource was made."""
        return collections.Counter(self.log.read_text().split())

    async def require_a_clean_trail(self) -> None:
        """Intact; every apply has one outcome; no change was applied twice."""
        database = open_sqlite(self._folder / "operator-state" / NAME)
        try:
            trail = AuditTrail(database, SystemClock())
            assert (await trail.verify()).verdict is Verdict.INTACT
            entries = [row.entry for row in await trail.rows(limit=10_000)]
        finally:
            await database.close()
        intents = [entry for entry in entries if entry.phase is Phase.INTENT]
        outcomes = [entry.run for entry in entries if entry.phase is Phase.OUTCOME]
        assert sorted(entry.run for entry in intents) == sorted(outcomes)
        assert len({entry.digests["subject"] for entry in intents}) == len(intents)


@pytest.mark.timeout(1200 if STRIDE == 1 else 400)
async def test_at_every_step_of_the_pipeline(api_server: ApiServer, crds: None, tmp_path: Path) -> None:
    unharmed = World(api_server, tmp_path / "unharmed", "kill-none")
    unharmed.declare()
    last = unharmed.live()
    assert unharmed.made() == {"0": 1, "1": 1}
    assert last > 40, "each step has its points"

    def kill(at: int) -> World:
        world = World(api_server, tmp_path / str(at), f"kill-{at}")
        world.declare()
        reached = world.live(at)
        assert reached == at, "it died where it was meant to"
        world.live()
        return world

    with ThreadPoolExecutor(AT_ONCE) as pool:
        worlds = list(pool.map(kill, sorted({*range(1, last, STRIDE), last - 1})))
    for world in worlds:
        assert world.people.get("environment", "shop")["status"]["state"]["resources"] == 2
        assert world.made() == {"0": 1, "1": 1}, world.people.namespace
        await world.require_a_clean_trail()
