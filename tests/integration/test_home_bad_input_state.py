"""A state that today's Terraform must not touch."""

import json
from pathlib import Path

import pytest
from tests.fakes.store import open_sql_stores, state_file
from tests.fakes.typed_home import TypedHome

from setpoint.domain.audit import Phase

CODE = 'resource "terraform_data" "r0" {\n  input = "new"\n}\n'
KEY = "environment/default/e"
NEWER = json.dumps({**json.loads(state_file(4)), "terraform_version": "99.0.0"}).encode()


@pytest.fixture
def home(tmp_path: Path) -> TypedHome:
    """A home that adopted the state of a Terraform which is not out yet."""
    made = TypedHome(tmp_path / "home", CODE)
    made.declare()
    (tmp_path / "newer.tfstate").write_bytes(NEWER)
    assert made.setpoint("import-state", "e", str(tmp_path / "newer.tfstate")).returncode == 0
    return made


async def test_the_state_of_a_newer_terraform_stalls_and_nothing_is_changed(home: TypedHome) -> None:
    ended = home.up()
    assert ended.returncode == 1
    assert "99.0.0" in ended.stdout
    assert home.condition("Stalled") == ("True", "StateTooNew")
    assert home.condition("Ready") == ("False", "StateTooNew")
    assert json.loads(home.setpoint("get", "changes", "-o", "json").stdout)["items"] == []
    async with open_sql_stores(home.state) as stores:
        assert (await stores.states.head(KEY)).version == 1
        assert await stores.states.read(KEY) == NEWER
        assert not [row for row in await stores.trail.rows() if row.entry.phase is Phase.INTENT]
