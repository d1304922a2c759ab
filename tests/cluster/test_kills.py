"""The operator killed with -9 at each step of the pipeline, and what is left of the world.

The world is a log: each resource that is made or destroyed writes a line, by a provisioner. The life of an environment
has three journeys: it is made, it is reset to what it was before an edit that replaced it, it is deleted with all that
it has. A kill is the moment before or after a step of a journey: each eleventh, or with SETPOINT_TEST_SOAK=1 each.
"""

import collections
import contextlib
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.cluster.apiserver import ApiServer, Cluster
from tests.cluster.operators import Operator, People, environment
from tests.cluster.processes import PATIENCE
from tests.soak import EACH, SOAKING

from setpoint.adapters.store import NAME, AuditTrail, open_sqlite
from setpoint.adapters.store.states import SqlStateLocks
from setpoint.domain.audit import Phase, Verdict
from setpoint.runtime.clock import SystemClock

ROOT = Path(__file__).parents[2]
AT_ONCE = 3
POLL_SECONDS = 0.4
CODE = """
resource "terraform_data" "made" {{
  count            = {count}
  input            = "{log}"
  triggers_replace = ["{release}"]
  provisioner "local-exec" {{
    command = "echo +${{count.index}} >> ${{self.input}}; sleep {pause}"
  }}
  provisioner "local-exec" {{
    when    = destroy
    command = "echo -${{count.index}} >> ${{self.input}}"
  }}
}}
"""
JOURNEYS = ("made", "reset", "deleted")


class World:
    """One namespace with one environment, and the operators that serve it one after another."""

    def __init__(self, cluster: Cluster, folder: Path, name: str) -> None:
        folder.mkdir()
        self.people = People(cluster, name)
        self._log = folder / "made.log"
        self._orders = folder / "orders"
        self._steps = folder / "steps"
        self._folder = folder
        self._cluster = cluster
        self._orders.touch()
        self._log.touch()
        settings = {"SETPOINT_NAMESPACES": name, "SETPOINT_LEASE_NAMESPACE": name, "PYTHONPATH": str(ROOT)}
        program = ["tests.cluster.victim", str(self._orders), str(self._steps)]
        self._operator = Operator(cluster, folder, "operator", settings=settings, program=program)
        cluster.kubectl("create", "namespace", name)

    # --- what people want -----------------------------------------------------------------------------------------

    def declare(self, count: int, release: int = 1, pause: float = 0) -> None:
        """That many resources, each of which takes so many seconds to make; another release replaces them all."""
        code = CODE.format(log=self._log, count=count, release=release, pause=pause)
        protection = {"deletionPolicy": "Destroy"}
        self.people.apply(environment("shop", code, stage="test", apply={"mode": "Auto"}, protection=protection))

    def ask_for(self, journey: str) -> None:
        """Begins a journey."""
        if journey == "made":
            self.declare(2)
        elif journey == "reset":
            self._reset()
        else:
            self.people.cluster.kubectl("delete", "environment", "shop", "-n", self.people.namespace, "--wait=false")

    def _reset(self) -> None:
        spec = {
            "targetRef": {"kind": "Environment", "name": "shop"},
            "snapshotRef": {"name": self.snapshot},
            "reason": "it was better before",
            "requestedBy": "admin",
        }
        wish = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Reset", "metadata": {"name": "back"}, "spec": spec}
        self.people.apply(wish)

    def _approve(self, name: str) -> None:
        subject = self.people.get("change", name)["spec"]["subject"]
        spec = {"changeRef": {"name": name}, "subject": subject, "verdict": "Approved", "approver": "admin"}
        metadata = {"name": f"{name}-admin"}
        self.people.apply(
            {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Approval", "metadata": metadata, "spec": spec}
        )

    # --- how it goes ----------------------------------------------------------------------------------------------

    def travel(self, journey: str, kill_at: str = "") -> list[str]:
        """One journey to its end, over a kill on the way; returns its steps up to there."""
        if journey == "reset":
            self._edit()
        self._orders.write_text(kill_at)
        self._steps.write_text("")
        self.ask_for(journey)
        self._live(journey)
        if kill_at:
            # Others see a write before the writer comes to its next step, at which it dies.
            self._wait(lambda: not self._operator.process.running)
        steps = self._steps.read_text().splitlines()
        if kill_at:
            assert kill_at in steps, f"{journey}: it died by itself: {self._operator.process.said()}"
            self._orders.write_text("")
            self._live(journey)
        assert self._operator.process.running, f"{journey}: it died by itself: {self._operator.process.said()}"
        return steps

    def _edit(self) -> None:
        """A third resource and another release, so that there is something to go back from."""
        self.snapshot = self.people.get("environment", "shop")["status"]["snapshot"]
        self.declare(3, release=2)
        self._wait(lambda: self._rests("AtSetpoint"))

    def _live(self, journey: str) -> None:
        """Until the journey is at its end, or the operator is dead."""
        process = self._operator.process
        if not process.running:
            process.start()
        reached = {"made": lambda: self._rests("AtSetpoint"), "reset": self._is_reset, "deleted": self._is_gone}
        self._wait(lambda: not process.running or reached[journey]())

    def lose_a_replacement(self) -> None:
        """The operator and its Terraform are killed once a new object is there, and before any state knows it."""
        self.declare(1, release=2, pause=30)
        self._wait(lambda: self.made() == ["+0", "-0", "+0"])
        self._operator.process.kill()
        for process in self._runs():
            process.kill()
        self.declare(1, release=2)
        self._operator.process.start()

    def _runs(self) -> list[psutil.Process]:
        """Terraform, and what it has started."""
        folder = str(self._folder / "operator-state")
        return [one for one in psutil.process_iter(["cwd"]) if (one.info["cwd"] or "").startswith(folder)]

    def asks(self) -> dict[str, Any]:
        """The Change that waits for a person, once there is one."""
        self._wait(lambda: self.people.condition("shop").get("reason") == "ApprovalRequired")
        return self.people.get("change", self.people.get("environment", "shop")["status"]["change"])

    def rest(self) -> None:
        """Approves what asks for it, until nothing is left to do."""
        self._live("made")

    def _rests(self, reason: str) -> bool:
        """True where Ready says so of what is declared now; approves on the way, as an interrupted apply asks for."""
        found = (self.people.all("environments") or [{}])[0]
        status = found.get("status", {})
        ready = next((one for one in status.get("conditions", []) if one["type"] == "Ready"), {})
        if ready.get("observedGeneration") != found.get("metadata", {}).get("generation"):
            return False
        if ready.get("reason") == "ApprovalRequired" and "change" in status:
            self._approve(status["change"])
        return ready.get("reason") == reason

    def _is_reset(self) -> bool:
        (reset,) = self.people.all("resets")
        complete = [one["status"] for one in reset.get("status", {}).get("conditions", []) if one["type"] == "Complete"]
        return self._rests("Held") and complete == ["True"]

    def _is_gone(self) -> bool:
        return not self._rests("Destroyed") and self.people.all("environments") == []

    def _wait(self, happened: Callable[[], bool]) -> None:
        """`until`, with fewer questions: many worlds are asked at once."""
        deadline = time.monotonic() + PATIENCE
        while not happened():
            said = f"{self.people.condition('shop')} {self._operator.process.said()}"
            assert time.monotonic() < deadline, f"{self.people.namespace}: waited in vain; {said}"
            time.sleep(POLL_SECONDS)

    def made(self) -> list[str]:
        """The log of what was made and destroyed, in order."""
        return self._log.read_text().split()

    def close(self) -> None:
        """Ends what runs."""
        self._operator.close()

    # --- what must hold -------------------------------------------------------------------------------------------

    def require_done(self, journey: str) -> None:
        """Each object was made once, and destroyed once where it had to be; what people see agrees."""
        edited = "-0 +0 -1 +1 +2"
        reset = f"+0 +1 {edited} -0 +0 -1 +1 -2"
        done = {"made": "+0 +1", "reset": reset, "deleted": f"{reset} -0 -1"}[journey]
        assert collections.Counter(self.made()) == collections.Counter(done.split()), journey
        if journey != "deleted":
            status = self.people.get("environment", "shop")["status"]
            assert status["state"]["resources"] == 2
            assert status["snapshot"] in {one["metadata"]["name"] for one in self.people.all("snapshots")}

    async def require_a_clean_trail(self) -> None:
        """Intact; every apply has one outcome; no change was applied twice; nothing is locked."""
        state = self._folder / "operator-state"
        database = open_sqlite(state / NAME, state / "keys" / "blobs.key")
        try:
            trail = AuditTrail(database, SystemClock())
            assert (await trail.verify()).verdict is Verdict.INTACT
            entries = [row.entry for row in await trail.rows(limit=10_000)]
            assert await SqlStateLocks(database, SystemClock()).held() == ()
        finally:
            await database.close()
        intents = [entry for entry in entries if entry.phase is Phase.INTENT]
        outcomes = [entry.run for entry in entries if entry.phase is Phase.OUTCOME]
        assert sorted(entry.run for entry in intents) == sorted(outcomes)
        assert len({entry.digests["subject"] for entry in intents}) == len(intents)


def kills(clean: dict[str, list[str]]) -> dict[str, list[str]]:
    """The steps to die at on each journey, counted from the last one of the last."""
    table: list[tuple[str, str]] = []
    for journey, steps in clean.items():
        table += [(journey, step) for step in dict.fromkeys(steps)]
    return {journey: [step for its, step in table[::-EACH] if its == journey] for journey in clean}


def lives(clean: dict[str, list[str]]) -> list[dict[str, str]]:
    """At most one kill in each journey of each life."""
    rows = itertools.zip_longest(*kills(clean).values(), fillvalue="")
    return [dict(zip(clean, row, strict=True)) for row in rows]


@pytest.mark.timeout(3600 if SOAKING else 1500)
async def test_at_every_step_of_the_pipeline(api_server: ApiServer, crds: None, tmp_path: Path) -> None:
    def live(number: int, plan: dict[str, str]) -> tuple[World, dict[str, list[str]]]:
        world = World(api_server, tmp_path / str(number), f"kill-{number}")
        taken = {}
        with contextlib.closing(world):
            for journey in JOURNEYS:
                taken[journey] = world.travel(journey, plan.get(journey, ""))
                world.require_done(journey)
        return world, taken

    unharmed, clean = live(0, {})
    await unharmed.require_a_clean_trail()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        worlds = [*pool.map(lambda numbered: live(*numbered)[0], enumerate(lives(clean), start=1))]
    for world in worlds:
        await world.require_a_clean_trail()


async def test_in_the_middle_of_a_replacement__with_terraform(
    api_server: ApiServer, crds: None, tmp_path: Path
) -> None:
    """The old object stands at the address of the new one, which is named; nothing is made before a person agrees."""
    world = World(api_server, tmp_path / "lost", "kill-replacement")
    with contextlib.closing(world):
        world.declare(1)
        world.rest()
        world.lose_a_replacement()
        assert world.asks()["spec"]["orphans"] == ["terraform_data.made[0] (new object)"]
        assert world.made() == ["+0", "-0", "+0"]
        world.rest()
    assert world.made() == ["+0", "-0", "+0", "-0", "+0"], "the state still named the old one"
    await world.require_a_clean_trail()
