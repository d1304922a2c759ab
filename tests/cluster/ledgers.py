"""Owns Environments whose applies are counted: each leaves a line in a file, the ledger."""

from pathlib import Path
from typing import Any

from tests.cluster.operators import People, environment, until


def edited(ledger: Path, number: int) -> dict[str, Any]:
    """The Environment `shop`, each edit of which replaces what it had; a create leaves the number of its edit."""
    main = f"""
resource "terraform_data" "a" {{
  triggers_replace = {number}
  provisioner "local-exec" {{
    command = "echo {number} >> {ledger}"
  }}
}}
"""
    return environment("shop", main)


def reaches(people: People, ledger: Path, number: int) -> None:
    """An edit is made and approved; at its end, each edit so far was applied once."""
    people.apply(edited(ledger, number))
    generation = people.get("environment", "shop")["metadata"]["generation"]
    until(lambda: people.get("environment", "shop").get("status", {}).get("observedGeneration") == generation)
    people.approve("shop")
    settles(people, ledger, number)


def settles(people: People, ledger: Path, number: int) -> None:
    """It is at its setpoint, and each edit so far was applied once, in order."""
    people.until_reason("shop", "AtSetpoint")
    assert ledger.read_text().split() == [str(one) for one in range(1, number + 1)]
