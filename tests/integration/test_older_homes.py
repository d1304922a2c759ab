"""Homes that an earlier Setpoint made, and this one goes on with: nothing in them is lost, and nothing is made twice.

Each is recorded: a home in which an Environment was applied twice, with its Snapshots, its trail and an open Change.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

HOMES = Path(__file__).parents[1] / "data" / "homes"
SECONDS = 240
NOTHING, SIZE_1, SIZE_2 = (
    f"shop-snap-{digits}"
    for digits in (
        "e794b145b59225af68960a88718af099",
        "3cfb612045b4b956a13321bc7b9efd8d",
        "158866b21af7d18bab9dcd19d70e4131",
    )
)
"""The recorded Snapshots: before the first apply, of it, and of the second one."""


@pytest.fixture(params=sorted(path.name for path in HOMES.iterdir()))
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A recorded home, laid out anew; its work folder is not in it, as after a restore."""
    with tarfile.open(HOMES / request.param) as archive:
        archive.extractall(tmp_path / "home", filter="tar")
    return tmp_path / "home"


def setpoint(home: Path, *words: str, ends: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "SETPOINT_HOME"}
    command = [sys.executable, "-m", "setpoint", *words, "--home", str(home)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS, check=False)
    assert ended.returncode == ends, ended.stdout + ended.stderr
    return ended.stdout


def names(home: Path, kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in listed(home, kind)}


def listed(home: Path, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(setpoint(home, "get", kind, "-o", "json"))["items"]
    return found


def carry_out(home: Path, *, ends: int = 0) -> str:
    """Has the Change that waits carried out; returns how it is described. `ends` is the exit code of the pass."""
    setpoint(home, "up", "--once", ends=3)
    (waiting,) = [one for one in listed(home, "changes") if one["status"]["outcome"] == "Waiting"]
    described = setpoint(home, "describe", f"change/{waiting['metadata']['name']}")
    setpoint(home, "approve", waiting["metadata"]["name"])
    setpoint(home, "up", "--once", ends=ends)
    return described


def test_an_older_home_goes_on(home: Path) -> None:
    assert setpoint(home, "audit", "verify").startswith("intact, 12 rows")
    assert names(home, "environments") == {"shop"}
    assert names(home, "snapshots") == {NOTHING, SIZE_1, SIZE_2}
    states = {line.split()[0]: line.split()[2] for line in setpoint(home, "get", "snapshots").splitlines()[1:]}
    assert states == {NOTHING: "0", SIZE_1: "1", SIZE_2: "2"}
    (opened,) = [one for one in listed(home, "changes") if one["status"]["outcome"] == "Waiting"]
    assert opened["spec"]["environment"]["stateVersion"] == 2
    # The subject names all that is approved, and is the same in today's form: no pass comes before the word.
    setpoint(home, "approve", opened["metadata"]["name"])
    setpoint(home, "up", "--once")
    assert setpoint(home, "get", "change", opened["metadata"]["name"]).split()[-2] == "Applied"
    (shop,) = listed(home, "environments")
    assert shop["status"]["state"]["version"] == 3

    setpoint(home, "reset", "environment/shop", "--to", SIZE_1, "--reason", "three is too much")
    assert '"size 3" → "size 1"' in carry_out(home, ends=3)
    (shop,) = listed(home, "environments")
    held = {one["type"]: one["reason"] for one in shop["status"]["conditions"]}["Held"]
    assert (held, shop["status"]["hold"]["snapshot"]) == ("ResetHold", SIZE_1)
    assert names(home, "snapshots") > {NOTHING, SIZE_1, SIZE_2}
    assert setpoint(home, "audit", "verify").startswith("intact, ")
