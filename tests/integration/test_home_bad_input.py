"""Bad input through the whole of a home: each case is an Environment of its own, and one run looks at them all."""

import asyncio
import json
import os
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes.shared import made_once

SECRET = "hunter2-very-secret-value"
GOOD = 'variable "who" {\n  default = "world"\n}\nresource "terraform_data" "x" {\n  input = var.who\n}\n'
BUILT_IN = 'terraform {\n  required_providers {\n    t = { source = "terraform.io/builtin/terraform" }\n  }\n}\n'
PROVIDER = (
    'terraform {\n  required_providers {\n    nope = { source = "acme/nope" }\n  }\n}\nresource "nope_thing" "x" {}\n'
)


CASES = {
    "missing-source": ({"source": {"path": "./nowhere"}}, {}, "SourceNotFound", "nowhere"),
    "path-leaves-the-home": ({"source": {"path": "../../etc"}}, {}, "SourceRefused", "spec.source.path"),
    "undeclared-variable": (
        {"variables": {"whoo": "x"}},
        {"main.tf": GOOD},
        "VariableUndeclared",
        "spec.variables.whoo",
    ),
    "boolean-for-a-text": (
        {"variables": {"country": False}},
        {"main.tf": 'variable "country" {\n  type = string\n}\n'},
        "InvalidSpec",
        "spec.variables.country: a boolean, where the code declares string; put it in quotes",
    ),
    "does-not-validate": (
        {},
        {"main.tf": 'resource "terraform_data" "x" {\n  inputs = 1\n}\n'},
        "ConfigurationInvalid",
        "main.tf:2",
    ),
    "does-not-parse": ({}, {"main.tf": 'resource "terraform_data" {\n'}, None, "main.tf"),
    "missing-lock-file": ({}, {"main.tf": PROVIDER}, "LockFileMissing", "lockFile: Generate"),
    "no-such-provider": (
        {"engine": {"lockFile": "Generate"}},
        {"main.tf": PROVIDER},
        "ProviderUnavailable",
        "acme/nope",
    ),
    "foreign-backend": (
        {},
        {"main.tf": 'terraform {\n  backend "s3" {}\n}\n' + GOOD},
        "StateNotAdopted",
        "import-state",
    ),
    "state-in-the-source": ({}, {"main.tf": GOOD, "terraform.tfstate": "{}"}, "StateNotAdopted", "import-state"),
    "engine-too-old": (
        {"engine": {"version": ">= 99"}},
        {"main.tf": GOOD},
        "EngineVersionMismatch",
        "spec.engine.version",
    ),
    "no-constraint": ({"engine": {"version": "newest"}}, {"main.tf": GOOD}, "InvalidSpec", "spec.engine.version"),
    "missing-secret": (
        {"variablesFrom": [{"secretRef": {"name": "gone"}}]},
        {"main.tf": GOOD},
        "SecretNotFound",
        "spec.variablesFrom[0]",
    ),
    "secret-takes-path": (
        {"credentials": {"plan": [{"secretRef": {"name": "path"}}]}},
        {"main.tf": GOOD},
        "InvalidSpec",
        "PATH",
    ),
    "git-gone": ({"source": {"git": {"url": "file:///nonexistent/repo.git"}}}, {}, "SourceNotFound", "spec.source.git"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with every case, and one environment that is well; the result of one run over it."""
    folder = made_once(tmp_path_factory, "bad-input", make_bad_home)
    return folder / "home", pickle.loads((folder / "ended").read_bytes())


def make_bad_home(folder: Path) -> None:
    root = folder / "home"
    for name, (spec, files, *_) in CASES.items():
        write_case(root, name, spec, files)
    write_case(root, "well", {"apply": {"mode": "Auto"}}, {"main.tf": GOOD + BUILT_IN})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "path"}, "stringData": {"PATH": SECRET}}
    (root / "secret.yaml").write_text(json.dumps(secret))
    (root / "broken.yaml").write_text("kind: [unclosed\n  setpoint.dev")
    (root / "unknown.yaml").write_text(
        "apiVersion: setpoint.dev/v1alpha1\nkind: Environment\nmetadata: {name: odd}\n"
        "spec: {stage: dev, source: {path: .}, sauce: {}}\n"
    )
    ended = setpoint(root, "up", str(root), "--once", "-o", "json")
    (folder / "ended").write_bytes(pickle.dumps(ended))


def write_case(root: Path, name: str, spec: dict, files: dict) -> None:
    folder = root / f"code-{name}"
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_text(content)
    manifest = {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Environment",
        "metadata": {"name": name},
        "spec": {"stage": "dev", "source": {"path": f"./code-{name}"}, **spec},
    }
    (root / f"{name}.yaml").write_text(json.dumps(manifest))


def setpoint(root: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "SETPOINT_HOME": str(root), "SETPOINT_TERRAFORM_MIRROR": str(root.parent / "mirror")}
    (root.parent / "mirror").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "setpoint", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)


@pytest.mark.parametrize("name", CASES)
def test_is_stalled_with_a_reason_and_the_field(home, name):
    _, _, reason, says = CASES[name]
    report = {target["name"]: target for target in json.loads(home[1].stdout)["targets"]}[name]
    assert report["state"] == "failed"
    assert reason in {None, report["reason"]}, report
    assert says in report["message"]
    assert report["change"] is None


def test_the_others_are_worked_on_and_the_run_fails(home):
    _, ended = home
    report = {target["name"]: target for target in json.loads(ended.stdout)["targets"]}
    assert report["well"]["state"] == "at the setpoint"
    assert ended.returncode == 1
    assert "odd" not in report


@pytest.mark.parametrize(("file", "says"), [("broken.yaml", "broken.yaml:"), ("unknown.yaml", "spec.sauce")])
def test_a_bad_manifest_names_file_and_field(home, file, says):
    errors = [error for error in json.loads(home[1].stdout)["manifestErrors"] if file in error]
    assert errors
    assert says in errors[0]


def test_no_secret_is_anywhere_but_in_its_manifest(home):
    root, ended = home
    assert SECRET not in ended.stdout + ended.stderr
    for path in (root / ".setpoint").rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("words", [("up", ".", "--once"), ("up", "."), ("--home", ".", "plan", "environment/e")])
def test_a_folder_without_manifests_stays_as_it_is(tmp_path, words):
    (root := tmp_path / "infra").mkdir()
    (root / "main.tf").write_text(GOOD)
    command = [sys.executable, "-m", "setpoint", *words]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 2
    assert f"error: {root} holds no manifest, so no home was made of it.\n" in ended.stderr
    assert [path.name for path in root.iterdir()] == ["main.tf"]


def test_a_corrupted_database_is_refused_and_kept(tmp_path):
    root = tmp_path / "home"
    write_case(root, "well", {"apply": {"mode": "Auto"}}, {"main.tf": GOOD})
    assert setpoint(root, "up", str(root), "--once").returncode == 0
    database = root / ".setpoint" / "STATE_AUDIT.db"
    damaged = b"not a database" * 1000
    database.write_bytes(damaged)
    for suffix in ("-wal", "-shm"):
        (database.parent / (database.name + suffix)).unlink(missing_ok=True)
    ended = setpoint(root, "up", str(root), "--once")
    assert ended.returncode == 1
    assert "STATE_AUDIT.db" in ended.stderr
    assert database.read_bytes() == damaged


def test_one_edited_byte_in_the_trail_is_named(tmp_path):
    root = tmp_path / "home"
    write_case(root, "well", {"apply": {"mode": "Auto"}}, {"main.tf": GOOD})
    assert setpoint(root, "up", str(root), "--once").returncode == 0
    assert setpoint(root, "audit", "verify").returncode == 0
    with sqlite3.connect(root / ".setpoint" / "STATE_AUDIT.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE audit_row SET header = replace(header, 'setpoint', 'setpoinT') WHERE seq = 2")
    connection.close()
    ended = setpoint(root, "audit", "verify")
    assert ended.returncode == 1
    assert "row 2" in ended.stdout


async def test_a_second_manager_is_refused_naming_the_first(tmp_path):
    root = tmp_path / "home"
    write_case(root, "well", {"apply": {"mode": "Auto"}}, {"main.tf": GOOD})
    first = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "setpoint",
        "up",
        str(root),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert first.stderr is not None
        await first.stderr.readline()
        second = await asyncio.to_thread(setpoint, root, "up", str(root), "--once")
        assert second.returncode == 1
        assert str(first.pid) in second.stderr
    finally:
        first.terminate()
        await first.communicate()
