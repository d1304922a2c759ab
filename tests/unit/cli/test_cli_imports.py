"""The imports of commands: one that shows or writes objects does without all that plans and applies."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from setpoint.adapters.local import LocalHome

HEAVY = {
    "aiohttp",
    "alembic",
    "kopf",
    "kubernetes",
    "prometheus_client",
    "psycopg",
    "pygit2",
    "regorus",
    "setpoint.adapters.kube",
    "setpoint.adapters.policy",
    "setpoint.adapters.source",
    "setpoint.targets.environment.terraform",
    "setpoint.pipeline",
    "setpoint.server",
    "setpoint.wiring.services",
    "watchfiles",
}
ANY_AT_ALL = HEAVY | {"cryptography", "pydantic", "sqlalchemy", "sqlmodel", "setpoint.ports", "yaml"}
SCRIPT = """
import sys
from setpoint.cli.main import main
try:
    main()
finally:
    sys.stderr.write("imported " + " ".join(sys.modules))
"""


def imported_by(*words: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.rpartition("imported ")[2].split())


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose tables, which take Alembic, and whose object are there: made once, to be copied."""
    home = tmp_path_factory.mktemp("home")
    LocalHome.create(home)
    (home / "shop.yaml").write_text(
        "{apiVersion: setpoint.dev/v1alpha1, kind: Environment, metadata: {name: shop},"
        " spec: {stage: dev, source: {inline: {main.tf: ''}}}}"
    )
    imported_by("--home", str(home), "get", "environments")
    return home


@pytest.fixture
def home(used_home: Path, tmp_path: Path) -> Path:
    shutil.copytree(used_home, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("words", [("--help",), ("get", "--help"), ("version",)], ids=" ".join)
def test_help_and_version_import_next_to_nothing(words: tuple[str, ...]) -> None:
    heavy = HEAVY if words[0] == "get" else ANY_AT_ALL
    assert imported_by(*words) & heavy == set()


@pytest.mark.parametrize(
    "words",
    [
        ("get", "environments"),
        ("describe", "environment/shop"),
        ("suspend", "environment/shop"),
        ("resume", "environment/shop"),
        ("reconcile", "environment/shop"),
        ("audit", "log"),
        ("audit", "verify"),
    ],
    ids=" ".join,
)
def test_commands_on_objects_import_nothing_that_plans(home: Path, words: tuple[str, ...]) -> None:
    imported = imported_by("--home", str(home), *words)
    assert imported & HEAVY == set()
    assert "sqlalchemy" in imported, "it opened the store"
