"""Approvals that must not count. Each attempt has a home of its own, with one Change that needs two, and has one.

A row is an attempt, and what the command that it types says, where it types one. The Change must not be applied.
"""

import contextlib
import dataclasses
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.attacks.ground import CODE, MARK, Ground, make_ground, ready
from tests.fakes.shared import made_once

from setpoint.adapters.store import NAME

HARD = {"name": "hard", "stages": ["plan", "apply"], "level": "hard-mandatory", "blastRadius": {"maxDelete": 9}}


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attempt. `do` returns how its command ended, None where it types none; `code` and `says` are of that."""

    attempt: str
    do: Callable[[Ground], Result | None]
    code: int = 0
    says: str = ""


def waiting(ground: Ground) -> dict[str, Any]:
    """The Change that waits."""
    (found,) = [one for one in ground.get("changes") if one["status"].get("outcome") == "Waiting"]
    return found


def types(*words: str) -> Callable[[Ground], Result]:
    """A command; CHANGE stands for the name of the Change that waits."""

    def do(ground: Ground) -> Result:
        name = waiting(ground)["metadata"]["name"]
        return ground.run(*(name if word == "CHANGE" else word for word in words))

    return do


def forged(**spec: Any) -> Callable[[Ground], None]:
    """A second Approval, written past the command and the trail: the first one under another name."""

    def do(ground: Ground) -> None:
        with contextlib.closing(sqlite3.connect(ground.state / NAME)) as connection, connection:
            connection.row_factory = sqlite3.Row
            (row,) = connection.execute("SELECT * FROM object WHERE kind = 'Approval'").fetchall()
            body = json.loads(row["body"])
            body["metadata"] |= {"name": "mallorys", "uid": "0b7d4f9e-7e0c-4a57-9d0b-2f4d6e1a9c55"}
            body["spec"] |= {"approver": "mallory", **spec}
            (newest,) = connection.execute("SELECT max(version) FROM object").fetchone()
            values = {**dict(row), "name": "mallorys", "uid": body["metadata"]["uid"], "version": newest + 1}
            values["body"] = json.dumps(body)
            connection.execute("UPDATE counter SET value = ? WHERE name = 'objects'", (newest + 1,))
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO object ({', '.join(values)}) VALUES ({marks})", list(values.values()))

    return do


def manifest(kind: str, **parts: Any) -> Callable[[Ground], None]:
    """An object that only commands or the manager make, declared in a file of the home."""

    def do(ground: Ground) -> None:
        change = waiting(ground)
        spec = {
            "changeRef": {"name": change["metadata"]["name"]}, "subject": change["spec"]["subject"],
            "verdict": "Approved", "approver": "mallory", "proven": True,
        }  # fmt: skip
        ground.declare(kind, change["metadata"]["name"] if kind == "Change" else "mallorys", **{"spec": spec, **parts})

    return do


def declared(**spec: Any) -> Callable[[Ground], None]:
    """Another spec of the Environment, of the same code and values."""
    return lambda ground: declare(ground, **spec)


def declare(ground: Ground, more: str = "", **spec: Any) -> None:
    wanted = {"apply": {"mode": "Manual"}, "approvals": {"required": 2}, **spec}
    ground.environment("e", CODE + ground.runs(f"touch {MARK}") + more, **wanted)


def rejected(ground: Ground) -> Result:
    types("reject", "CHANGE", "--reason", "no")(ground)
    (change,) = ground.get("changes")
    return ground.run("approve", change["metadata"]["name"])


ATTACKS = {
    "forged": Attack("an Approval is written into the database, without its row in the trail", forged()),
    "forged-proven": Attack("the same, and says that it is proven", forged(proven=True)),
    "manifest": Attack("an Approval is declared in a file of the home", manifest("Approval")),
    "change": Attack("the Change itself is declared in a file, as approved", manifest(
        "Change", status={"conditions": [{"type": "Approved", "status": "True"}]})),
    "twice": Attack("the same person approves once more", types("approve", "CHANGE"), 1, "already"),
    "twice-reason": Attack("the same person approves once more, with a reason", types(
        "approve", "CHANGE", "--reason", "really"), 1, "already"),
    "subject": Attack("an approval of another subject", types(
        "approve", "CHANGE", "--subject", "sha256:" + "0" * 64), 1, "subject"),
    "rejected": Attack("an approval after a rejection", rejected, 1, "reject"),
    "override": Attack("an override without a reason", types("approve", "CHANGE", "--override", "hard"), 2, "--reason"),
    "override-hard": Attack("an override of a gate that can't be overridden", types(
        "approve", "CHANGE", "--override", "hard", "--reason", "x"), 1, "hard"),
    "override-built-in": Attack("an override of a gate that guards every Change", types(
        "approve", "CHANGE", "--override", "approvals", "--reason", "x"), 1, "approvals"),
    "override-unknown": Attack("an override of a gate that is not there", types(
        "approve", "CHANGE", "--override", "nope", "--reason", "x"), 1, "nope"),
    "undrilled": Attack("an approval of what is not drilled, where the way back is fine", types(
        "approve", "CHANGE", "--accept-undrilled", "--reason", "x"), 1, "nothing to accept"),
    "forged-undrilled": Attack("the forged Approval accepts what is not drilled", forged(
        acceptUndrilled=True, reason="x")),
    "fewer": Attack("fewer approvals are asked for, after the first one", declared(approvals={"required": 1})),
    "unprotected": Attack("protection is changed, after the first approval", declared(
        approvals={"required": 1}, protection={"deletionPolicy": "Destroy"})),
    "automatic": Attack("the mode is Auto by now, with two approvals as before", declared(apply={"mode": "Auto"})),
    "code": Attack("the code is another one by now, and asks for one approval", lambda ground: declare(
        ground, "# other\n", approvals={"required": 1})),
    "reset": Attack("a Reset is declared in a file of the home", manifest("Reset", spec={
        "targetRef": {"kind": "Environment", "name": "e"}, "snapshotRef": {"name": "s"}, "reason": "x",
        "requestedBy": "mallory"})),
}  # fmt: skip


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """A home with a Change that was approved by one of two people."""

    def make(folder: Path) -> None:
        ground = make_ground(folder)
        ground.declare("EnforcementGates", "gates", spec={"gates": [HARD]})
        declare(ground)
        assert ground.up().returncode == 3
        assert types("approve", "CHANGE")(ground).exit_code == 0

    return Ground(made_once(tmp_path_factory, "approved", make))


@pytest.mark.parametrize("name", ATTACKS, ids=[f"{name}: {attack.attempt}" for name, attack in ATTACKS.items()])
def test_it_is_not_applied(approved: Ground, tmp_path: Path, name: str) -> None:
    attack, ground = ATTACKS[name], approved.copy(tmp_path / "ground")
    ended = attack.do(ground)
    if ended is not None:
        assert ended.exit_code == attack.code, ended.output
        assert attack.says in ended.output
    ground.up()
    assert ground.pwned == []
    (environment,) = ground.get("environments")
    assert ready(environment)[0] in {"ApprovalRequired", "GateBlocked", "Rejected"}
    assert ground.run("audit", "verify").exit_code == 0


def test_two_people_are_enough(approved: Ground, tmp_path: Path) -> None:
    """The rows above prove nothing if this does not hold: a second approval, with its row, is counted."""
    ground = approved.copy(tmp_path / "ground")
    declare(ground, approvals={"required": 1})
    ground.up()
    assert types("approve", "CHANGE")(ground).exit_code == 0
    assert ground.up().returncode == 0
    assert ground.pwned == [MARK]
