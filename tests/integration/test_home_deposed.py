"""An object that an interrupted replacement left: shown as one, and not taken for the object in use."""

import json
from pathlib import Path

from tests.fakes.typed_home import TypedHome

CODE = 'resource "terraform_data" "a" { input = "x" }\n'


def instance(id_: str, **more: str) -> dict[str, object]:
    text = {"value": "x", "type": "string"}
    attributes = {"id": id_, "input": text, "output": text, "triggers_replace": None}
    return {"schema_version": 0, "attributes": attributes, "sensitive_attributes": [], **more}


STATE = {
    "version": 4,
    "terraform_version": "1.9.0",
    "serial": 3,
    "lineage": "00000000-0000-0000-0000-000000000001",
    "outputs": {},
    "resources": [
        {
            "mode": "managed",
            "type": "terraform_data",
            "name": "a",
            "provider": 'provider["terraform.io/builtin/terraform"]',
            "instances": [instance("in-use"), instance("old", deposed="01234567")],
        }
    ],
}


def test_a_deposed_leftover_goes_though_its_address_is_protected(tmp_path: Path) -> None:
    home = TypedHome(tmp_path / "home", CODE)
    home.declare(apply={"mode": "Manual"}, protection={"addresses": ["terraform_data.a"]})
    assert home.setpoint("up", str(home.root), "--once").returncode == 3
    (tmp_path / "old.tfstate").write_text(json.dumps(STATE))
    ended = home.setpoint("import-state", "environment/e", str(tmp_path / "old.tfstate"))
    assert ended.returncode == 0, ended.stderr
    home.up()
    assert home.condition("Ready") == ("False", "ApprovalRequired"), "no protection stands in its way"
    name = home.status()["change"]
    told = home.setpoint("describe", f"change/{name}").stdout
    assert "the deposed object 01234567, which an interrupted replacement left" in told
    assert home.setpoint("approve", name).returncode == 0
    assert home.up().returncode == 0
    assert home.status()["state"]["resources"] == 1
