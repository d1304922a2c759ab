"""Kills the manager, and Terraform, at every step of the pipeline, and looks at what is left of the world.

The world is a log: each resource that is made writes a line, by a provisioner, so what really happened is known
whatever state and trail say.
"""

import asyncio
import collections
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from setpoint.api.meta import ObjectRef
from setpoint.wiring import Home, open_home

RESOURCES = 3
VICTIM = Path(__file__).with_name("victim.py")
KILLS = range(1, 61)
REF = ObjectRef("Environment", "default", "crash")
MANIFEST = """
apiVersion: setpoint.dev/v1alpha1
kind: Environment
metadata: {{name: crash}}
spec:
  stage: test
  apply: {{mode: Auto}}
  drift: {{mode: Heal}}
  source: {{path: ./infra}}
  variables: {{log: "{log}", pause: "{pause}"}}
"""
CODE = """
variable "log" { type = string }
variable "pause" { type = string }
resource "terraform_data" "made" {
  count = 3
  provisioner "local-exec" {
    command = "sleep ${var.pause * (count.index + 1)}; echo ${count.index} ${self.id} >> ${var.log}"
  }
}
"""


@pytest.fixture
def world(tmp_path):
    """A home whose environment makes three resources; returns (home, log)."""
    return lay_out(tmp_path, pause="0")


def lay_out(folder: Path, *, pause: str) -> tuple[Path, Path]:
    home, log = folder / "home", folder / "made.log"
    (home / "infra").mkdir(parents=True)
    (home / "infra" / "main.tf").write_text(CODE)
    (home / "crash.yaml").write_text(MANIFEST.format(log=log, pause=pause))
    return home, log


def run(home: Path, at: int) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, VICTIM, home, str(at)], capture_output=True, text=True, timeout=100, check=False
    )


def made(log: Path) -> collections.Counter:
    """How often each resource was made."""
    return collections.Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else {}


async def settle(home: Path) -> tuple[dict, list[dict]]:
    """Runs until the environment is ready, approving what waits for a person; its status and its Changes."""
    for _ in range(4):
        ended = await asyncio.to_thread(run, home, 0)
        assert ended.returncode == 0, ended.stderr
        async with open_home(home) as opened:
            status = (await opened.cluster.get(REF))["status"]
            if status["conditions"][0]["status"] == "True":
                return status, [*(await opened.cluster.list("Change")).items]
            await approve(opened, status)
    raise AssertionError(f"it does not come to rest: {status['conditions'][0]}")


async def approve(home: Home, status: dict) -> None:
    name = status.get("change")
    if not name:
        return
    change = await home.cluster.get(ObjectRef("Change", "default", name))
    subject = change["spec"]["subject"]
    spec = {"changeRef": {"name": name}, "subject": subject, "verdict": "Approved", "approver": "test"}
    metadata = {"name": f"{name}-test", "namespace": "default"}
    await home.cluster.create(
        {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Approval", "metadata": metadata, "spec": spec}
    )


async def check_trail(home: Path) -> None:
    """Intact; every intent has one outcome; no subject was applied twice."""
    async with open_home(home) as opened:
        assert (await opened.verify_audit()).status == "intact"
        assert not await opened.audit.open_intents()
        rows = await opened.audit.rows(limit=10_000)
    intents = [row.entry.digests["subject"] for row in rows if row.entry.phase == "intent"]
    assert len(intents) == len(set(intents)), "a change was applied twice"


def orphans_of(changes: list[dict]) -> set[str]:
    return {address for change in changes for address in change.get("status", {}).get("orphans", ())}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("at", KILLS)
async def test_the_manager_is_killed_at_any_point__nothing_is_made_twice(world, at):
    home, log = world
    killed = await asyncio.to_thread(run, home, at)
    assert killed.returncode in {0, -signal.SIGKILL}, killed.stderr
    status, changes = await settle(home)
    twice = {number for number, times in made(log).items() if times > 1}
    assert not {f"terraform_data.made[{number}]" for number in twice} - orphans_of(changes)
    assert len(made(log)) == RESOURCES
    assert status["state"]["resources"] == RESOURCES
    await check_trail(home)


def test_the_points_reach_through_the_whole_pipeline(world):
    """The range of kills covers a first apply from its first write to its last."""
    ended = run(world[0], 0)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) <= max(KILLS)


def processes_of(home: Path) -> dict[int, list[str]]:
    """Terraform and what it started, for this home: command lines by pid."""
    found = {}
    for process in psutil.process_iter():
        try:
            if "SETPOINT_RUN" in process.environ() and process.cwd().startswith(str(home)):
                found[process.pid] = process.cmdline()
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("lines", [0, 1, 2])
@pytest.mark.parametrize("terraform", [True, False], ids=["with-terraform", "manager-alone"])
async def test_killed_in_the_middle_of_an_apply__what_is_lost_is_named(tmp_path, lines, terraform):
    home, log = lay_out(tmp_path, pause="0.7")
    victim = await asyncio.create_subprocess_exec(sys.executable, VICTIM, home, "0", stdout=-1, stderr=-1)
    await asyncio.to_thread(wait_for_apply, home, log, lines)
    victim.kill()
    if terraform:
        for pid in processes_of(home):
            kill(pid)
    await victim.communicate()
    before = made(log)
    status, changes = await settle(home)
    again = {f"terraform_data.made[{n}]" for n, times in made(log).items() if times > 1}
    assert again <= orphans_of(changes), "made twice, and nobody was told"
    if not terraform:
        assert not again
    assert set(before) <= set(made(log))
    assert status["state"]["resources"] == RESOURCES
    await check_trail(home)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_for_apply(home: Path, log: Path, lines: int) -> None:
    """Until Terraform applies and that many resources are made."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        applying = any("apply" in line for line in processes_of(home).values())
        if applying and sum(made(log).values()) >= lines:
            return
        time.sleep(0.02)
    raise AssertionError("Terraform never applied")
