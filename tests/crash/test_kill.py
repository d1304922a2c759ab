"""Kills the manager, and Terraform, at every step of the pipeline, and looks at what is left of the world.

The world is a log: each object that is made or destroyed writes a line with its id, by a provisioner, so that what
really happened is known whatever state and trail say. What is killed is the second apply of a home: it replaces three
objects, one of them before the old one goes, makes one and destroys one.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.soak import SOAKING

from setpoint.adapters.local import LocalHome
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.targets.environment.plan import state
from setpoint.targets.environment.state_ports import StateStore
from setpoint.targets.environment.stores import open_stores
from setpoint.wiring import Home, open_home
from setpoint.wiring.local import open_local

RESOURCES = 4
VICTIM = Path(__file__).with_name("victim.py")
KILLS = range(1, 61, 1 if SOAKING else 6)
REF = ObjectRef("Environment", "default", "crash")
LOG = "../../../made.log"
"""From the work folder to the home, so that a copy of a home has a log of its own."""
MANIFEST = """
apiVersion: setpoint.dev/v1alpha1
kind: Environment
metadata: {{name: crash}}
spec:
  stage: test
  apply: {{mode: Auto}}
  drift: {{mode: Heal}}
  source: {{path: ./infra}}
  variables: {{release: "{version}", pause: "{pause}"}}
"""
RESOURCE = """
resource "terraform_data" "{name}" {{
  {many}
  triggers_replace = [var.release]
  provisioner "local-exec" {{
    command     = "sleep $PAUSE; echo \\"+ terraform_data.{name}$KEY $ID\\" >> {log}"
    environment = {{ PAUSE = var.pause * {place}, KEY = {key}, ID = self.id }}
  }}
  provisioner "local-exec" {{
    when        = destroy
    command     = "echo \\"- terraform_data.{name}$KEY $ID\\" >> {log}"
    environment = {{ KEY = {key}, ID = self.id }}
  }}
  lifecycle {{ create_before_destroy = {first} }}
}}
"""


def resource(name: str, many: str, place: str = "1", key: str = '""', first: str = "false") -> str:
    return RESOURCE.format(name=name, many=many, place=place, key=key, first=first, log=LOG)


CODE = "\n".join(
    [
        'variable "release" { type = string }',
        'variable "pause" { type = number }',
        resource("made", "count = 2", "(count.index + 1)", '"[${count.index}]"'),
        resource("first", 'for_each = toset(["k"])', "3", '"[\\"${each.key}\\"]"', "true"),
        resource("old", 'count = var.release == "1" ? 1 : 0', key='"[0]"'),
        resource("new", 'count = var.release == "1" ? 0 : 1', "4", '"[0]"'),
    ]
)


def declare(home: Path, version: int, pause: str = "0") -> None:
    (home / "crash.yaml").write_text(MANIFEST.format(version=version, pause=pause))


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home at its setpoint."""
    home = tmp_path_factory.mktemp("crash") / "home"
    (home / "infra").mkdir(parents=True)
    (home / "infra" / "main.tf").write_text(CODE)
    declare(home, 1)
    ended = run(home, 0)
    assert ended.returncode == 0, ended.stderr
    assert len(alive(home)) == RESOURCES
    return home


@pytest.fixture
def home(settled: Path, tmp_path: Path) -> Path:
    """The home with another wish."""
    shutil.copytree(settled, tmp_path / "home", symlinks=True)
    declare(tmp_path / "home", 2)
    return tmp_path / "home"


def run(home: Path, at: int) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, VICTIM, home, str(at)], capture_output=True, text=True, timeout=240, check=False
    )


def happened(home: Path, sign: str) -> list[tuple[str, str]]:
    """The address and id of each object that was made, or destroyed."""
    lines = [line.split() for line in (home / "made.log").read_text().splitlines()]
    return [(address, id_) for found, address, id_ in lines if found == sign]


def alive(home: Path) -> dict[str, str]:
    """The objects that are there: id to address."""
    gone = {id_ for _, id_ in happened(home, "-")}
    return {id_: address for address, id_ in happened(home, "+") if id_ not in gone}


async def settle(home: Path) -> list[dict]:
    """Runs until the environment is ready, approving what waits for a person; its Changes."""
    for _ in range(4):
        ended = await asyncio.to_thread(run, home, 0)
        assert ended.returncode == 0, ended.stderr
        async with open_home(home) as opened:
            status = (await opened.cluster.get(REF))["status"]
            if status["conditions"][0]["status"] == "True":
                return [*(await opened.cluster.list("Change")).items]
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
    said = {"result": name, "digests": {"subject": subject}, "payload": {"approval": metadata["name"]}}
    await home.cluster.create(
        {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Approval", "metadata": metadata, "spec": spec},
        audit=(AuditEntry("approve", Phase.FACT, "test", REF, **said),),
    )


async def read_states(home: Path) -> list[set[str]]:
    """The ids in each version of the state."""
    async with open_local(LocalHome.open(home)) as opened:
        with open_stores(opened) as stores:
            return await _ids_in(stores.states)


async def _ids_in(states: StateStore) -> list[set[str]]:
    head = await states.head(REF.key)
    assert head is not None
    facts = [state.parse(await states.read(REF.key, number)) for number in range(1, head.version + 1)]
    return [{instance.id for instance in one.instances} for one in facts]


async def require_all_known(home: Path, changes: list[dict], *, asked: bool | None = None) -> None:
    """Asserts that what is there is in the state, or was named, and nothing else is. `asked`: whether it had to be."""
    versions = await read_states(home)
    known = versions[-1]
    there = alive(home)
    # Terraform runs no destroy provisioner for what it has set aside to make the new one first.
    there = {
        id_: one for id_, one in there.items() if id_ in known or not ("first" in one and id_ in set().union(*versions))
    }
    assert known <= set(there), "the state names what was destroyed"
    assert len(known) == RESOURCES
    named = set(itertools.chain.from_iterable(change.get("status", {}).get("orphans", ()) for change in changes))
    for id_, address in there.items():
        texts = {address, f"{address} (new object)", f"{address} (id={id_})"}
        assert id_ in known or texts & named, f"{address}, {id_} is in no state, and nobody was told"
    if asked is not None:
        assert bool(named) is asked
        assert any(change["spec"].get("orphans") for change in changes) is asked


async def check_trail(home: Path) -> None:
    """Intact; every intent has one outcome; no subject was applied twice."""
    async with open_home(home) as opened:
        assert (await opened.verify_audit()).status == "intact"
        assert not await opened.audit.open_intents()
        rows = await opened.audit.rows(limit=10_000)
    intents = [row.entry.digests["subject"] for row in rows if row.entry.phase == "intent"]
    assert len(intents) == len(set(intents)), "a change was applied twice"


@pytest.mark.parametrize("at", KILLS)
async def test_the_manager_is_killed_at_any_point__nothing_is_lost(home: Path, at: int) -> None:
    killed = await asyncio.to_thread(run, home, at)
    assert killed.returncode in {0, -signal.SIGKILL}, killed.stderr
    await require_all_known(home, await settle(home))
    await check_trail(home)


def test_the_points_reach_through_the_whole_pipeline(home: Path) -> None:
    """The range of kills covers an apply from its first write to its last."""
    ended = run(home, 0)
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


@pytest.mark.parametrize("made", [0, 1, 3])
@pytest.mark.parametrize("terraform", [True, False], ids=["with-terraform", "manager-alone"])
async def test_killed_in_the_middle_of_an_apply__what_is_lost_is_named(home: Path, made: int, terraform: bool) -> None:
    """Terraform saves its state where it lives, so that nobody is asked; else a person is."""
    declare(home, 2, pause="0.7")
    victim = await asyncio.create_subprocess_exec(sys.executable, VICTIM, home, "0", stdout=-1, stderr=-1)
    await asyncio.to_thread(wait_for_apply, home, made + RESOURCES)
    victim.kill()
    if terraform:
        for pid in processes_of(home):
            kill(pid)
    await victim.communicate()
    await require_all_known(home, await settle(home), asked=True if terraform else None)
    await check_trail(home)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_for_apply(home: Path, made: int) -> None:
    """Until Terraform makes objects, and so many were ever made."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        making = any("sleep" in line for line in processes_of(home).values())
        if making and len(happened(home, "+")) >= made:
            return
        time.sleep(0.02)
    raise AssertionError("Terraform never applied")
