"""A failed drill in a home with a real Terraform: what nothing else leads out of is passed by a person, knowingly."""

import json
from pathlib import Path

import pytest
from tests.integration.test_home_features import Home

READS = 'variable "path" {}\nresource "terraform_data" "x" { input = file(var.path) }\n'
REPLACES = 'variable "path" {}\nresource "terraform_data" "x" { input = "new" }\n'
WORD = ("--accept-undrilled", "--reason", "the plan was looked at")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A file outside of the home, which the code reads."""
    path = tmp_path / "world.txt"
    path.write_text("one")
    return path


@pytest.fixture
def home(tmp_path: Path, world: Path) -> Home:
    home = Home(tmp_path / "home")
    (home.root / "infra" / "main.tf").write_text(READS)
    home.declare(variables={"path": str(world)}, drift={"mode": "Heal"})
    assert home.up() == 0
    return home


def rows(home: Home, action: str) -> list[dict]:
    return [row for row in json.loads(home.setpoint("audit", "log", "-o", "json").stdout) if row["action"] == action]


def accept(home: Home) -> str:
    """Approves what waits, which needs the word for it; the name of the Change."""
    change = home.status()["change"]
    refused = home.setpoint("approve", change)
    assert (refused.returncode, "--accept-undrilled --reason WHY" in refused.stderr) == (1, True), refused.stderr
    approved = home.setpoint("approve", change, *WORD)
    assert approved.returncode == 0, approved.stderr
    return change


def test_a_repair_whose_drill_fails_is_accepted_and_that_is_kept(home: Home, world: Path) -> None:
    """The file that the code reads is another: it can't plan empty, and what is new waits until that is mended."""
    world.write_text("two")
    (home.root / "infra" / "main.tf").write_text(REPLACES)
    assert home.up() == 3
    refused = home.setpoint("approve", home.status()["change"], *WORD).stderr
    assert "there is nothing to accept, since what differs can be mended before this Change" in refused
    assert "no longer plans empty: terraform_data.x. Mend that first, with the source and the variables" in refused
    (home.root / "infra" / "main.tf").write_text(READS)
    assert home.up() == 3
    change = accept(home)
    assert home.up() == 0
    told = home.setpoint("describe", f"change/{change}").stdout
    assert "the drill FAILED, which was accepted by" in told
    assert "way-back (apply): Overridden" in told
    assert "UndrilledAccepted" in home.setpoint("get", "changes").stdout
    (row,) = rows(home, "accept-undrilled")
    assert (row["result"], row["payload"]["reason"]) == (change, "the plan was looked at")
    assert "no longer plans empty" in row["payload"]["drill"]


def test_an_edit_of_what_can_not_be_planned_any_more_is_accepted(home: Home, world: Path) -> None:
    world.unlink()
    (home.root / "infra" / "main.tf").write_text(REPLACES)
    assert home.up() == 3
    accept(home)
    assert home.up() == 0
