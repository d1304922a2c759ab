"""The end of an environment in a home, with real Terraform: it can be taken back, and never ends in a dead end."""

import json

import pytest
from tests.integration.test_home_features import Home

NET = {
    "version": 4,
    "terraform_version": "1.9.0",
    "serial": 1,
    "lineage": "0d3b1c52-6f0e-4a55-9d51-0a4f0f3c6b11",
    "outputs": {"vpc": {"value": "vpc-a1", "type": "string"}},
    "resources": [],
}


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def declare(home: Home, main: str) -> None:
    """An environment that is at its setpoint, to be destroyed with its manifest."""
    (home.root / "infra" / "main.tf").write_text(main)
    home.declare(protection={"deletionPolicy": "Destroy"})
    assert home.up() == 0


def destroys(home: Home) -> list[dict]:
    """The Changes that destroy, an open one last."""
    listed = json.loads(home.setpoint("get", "changes", "-o", "json").stdout)["items"]
    found = [change for change in listed if change["spec"]["cause"] == "Destroy"]
    return sorted(found, key=lambda change: change["status"]["outcome"] == "Waiting")


def approve(home: Home) -> None:
    assert home.setpoint("approve", destroys(home)[-1]["metadata"]["name"]).returncode == 0


def is_there(home: Home) -> bool:
    return bool(json.loads(home.setpoint("get", "environments", "-o", "json").stdout)["items"])


def test_prevent_destroy_is_taken_out_where_the_message_says(home):
    code = 'resource "terraform_data" "x" {\n  lifecycle { prevent_destroy = true }\n}\n'
    declare(home, code)
    (home.root / "e.yaml").unlink()
    assert home.up() == 1
    ready = next(one for one in home.status()["conditions"] if one["type"] == "Ready")
    assert ready["reason"] == "DestroyPrevented"
    assert "take prevent_destroy out of the source" in ready["message"]
    (home.root / "infra" / "main.tf").write_text(code.replace("true", "false"))
    assert home.up() == 3
    assert is_there(home)
    approve(home)
    assert home.up() == 0
    assert not is_there(home)


def test_what_a_data_source_read_may_go_first(home, tmp_path):
    net, mark = tmp_path / "net.tfstate", tmp_path / "mark"
    net.write_text(json.dumps(NET))
    declare(
        home,
        f"""
        data "terraform_remote_state" "net" {{
          backend = "local"
          config  = {{ path = "{net}" }}
        }}
        resource "terraform_data" "x" {{
          input = data.terraform_remote_state.net.outputs.vpc
          provisioner "local-exec" {{
            when    = destroy
            command = "echo gone >{mark}"
          }}
        }}
        """,
    )
    net.unlink()
    (home.root / "e.yaml").unlink()
    assert home.up() == 3
    (change,) = destroys(home)
    (note,) = change["spec"]["notes"]
    assert "-refresh=false" in note
    assert "data.terraform_remote_state.net" in note
    assert note in home.setpoint("describe", f"change/{change['metadata']['name']}").stdout
    approve(home)
    assert home.up() == 0
    assert mark.read_text() == "gone\n"
    assert not is_there(home)
