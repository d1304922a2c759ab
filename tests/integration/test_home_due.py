"""Fresh targets in a whole home: `up --due` observes what moved or fell due, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 120
ALL = {"folder", "inline", "reader"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A home whose environments have been looked at: one calls a module beside its folder, one reads a Secret."""
    root = tmp_path / "home"
    for folder, code in {
        "infra": 'module "m" { source = "../modules/m" }\n',
        "modules/m": "locals {\n  a = 1\n}\n",
        "modules/unused": "locals {\n  a = 1\n}\n",
    }.items():
        (root / folder).mkdir(parents=True)
        (root / folder / "main.tf").write_text(code)
    variables = "data: {text: b25l}\n"
    (root / "secret.yaml").write_text(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{variables}")
    declare(root, "folder", source={"path": "./infra"})
    declare(root, "inline", source={"inline": {"main.tf": "locals {\n  a = 1\n}\n"}})
    declare(
        root,
        "reader",
        source={"inline": {"main.tf": 'variable "text" {\n  sensitive = true\n}\n'}},
        variablesFrom=[{"secretRef": {"name": "s"}}],
    )
    assert planned_by(root, "up", "--once") == ALL
    return root


def declare(root: Path, name: str, **spec: object) -> None:
    manifest = {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Environment",
        "metadata": {"name": name},
        "spec": {"stage": "dev", "engine": {"lockFile": "Generate"}, **spec},
    }
    (root / f"{name}.yaml").write_text(json.dumps(manifest))


def setpoint(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "setpoint", *words, "--home", str(root)]
    environment = {name: value for name, value in os.environ.items() if name != "SETPOINT_HOME"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=SECONDS, check=False)


def planned_by(root: Path, *words: str) -> set[str]:
    """Runs a manager; returns the environments that it planned. All are at their setpoint in the end."""
    ended = setpoint(root, *words, "-o", "json")
    assert ended.returncode == 0, ended
    targets = {one["name"]: (one["state"], one["reason"]) for one in json.loads(ended.stdout)["targets"]}
    assert targets == dict.fromkeys(ALL, ("at the setpoint", "AtSetpoint"))
    planning = [line.split() for line in ended.stderr.splitlines()]
    return {words[0].removeprefix("environment/") for words in planning if words[1:2] == ["planning"]}


def edit(root: Path, file: str, old: str, new: str) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


def test_what_rests_is_left_out_and_what_moved_is_not(root: Path, tmp_path: Path) -> None:
    edit(root, "modules/unused/main.tf", "a = 1", "a = 2")
    os.utime(root / "infra" / "main.tf")
    assert due(root) == set(), "nothing moved that a target reaches"
    edit(root, "modules/m/main.tf", "a = 1", "a = 2")
    edit(root, "secret.yaml", "b25l", "dHdv")
    assert due(root) == {"folder", "reader"}
    edit(root, "inline.yaml", '"stage"', '"interval": "1h", "stage"')
    assert due(root) == {"inline"}
    setpoint(root, "reconcile", "environment/inline")
    assert due(root) == {"inline"}
    (tmp_path / "old.tfstate").write_text(
        json.dumps({"version": 4, "terraform_version": "1.5.0", "serial": 1, "lineage": "x", "resources": []})
    )
    assert setpoint(root, "import-state", "environment/inline", str(tmp_path / "old.tfstate")).returncode == 0
    assert due(root) == {"inline"}
    assert due(root) == set()
    assert planned_by(root, "up", "--once") == ALL, "without the flag everything is looked at"

    (root / "infra" / "main.tf").unlink()
    (root / "infra" / "main.tf").symlink_to("/etc/hostname")
    ended = setpoint(root, "up", "--once", "--due", "-o", "json")
    assert ended.returncode == 1
    reasons = {one["name"]: one["reason"] for one in json.loads(ended.stdout)["targets"]}
    assert reasons == {"folder": "SourceRefused", "inline": "AtSetpoint", "reader": "AtSetpoint"}


def due(root: Path) -> set[str]:
    return planned_by(root, "up", "--once", "--due")
