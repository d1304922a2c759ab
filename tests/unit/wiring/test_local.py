"""Folders that become a home, and those that do not."""

from pathlib import Path

import pytest

from setpoint.domain.errors import NothingDeclaredError
from setpoint.wiring.local import make_home

ENVIRONMENT = "apiVersion: setpoint.dev/v1alpha1\nkind: Environment\nmetadata: {name: e}\n"
SPEC = "spec: {stage: dev, source: {path: ./infra}}\n"
GATES = "apiVersion: setpoint.dev/v1alpha1\nkind: EnforcementGates\nmetadata: {name: g}\nspec: {gates: []}\n"
FOREIGN = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n"


def lay_out(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="empty"),
        pytest.param({"infra/main.tf": "", "notes.txt": ENVIRONMENT + SPEC}, id="no_such_suffix"),
        pytest.param({"a.yaml": FOREIGN, "b.json": "{}"}, id="of_others"),
        pytest.param({"a.yaml": SECRET}, id="secret_alone"),
        pytest.param({".git/a.yaml": ENVIRONMENT + SPEC}, id="hidden"),
        pytest.param({"other/.setpoint/x": "", "other/a.yaml": ENVIRONMENT + SPEC}, id="of_another_home"),
    ],
)
async def test_make_home__nothing_declared__stays_as_it_is(tmp_path: Path, files: dict[str, str]) -> None:
    lay_out(tmp_path, files)
    with pytest.raises(NothingDeclaredError, match=r"holds no manifest(?s:.)*Environment(?s:.)*To begin"):
        await make_home(tmp_path)
    assert not (tmp_path / ".setpoint").exists()


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"deep/down/a.yml": ENVIRONMENT + SPEC}, id="environment"),
        pytest.param({"a.yaml": GATES}, id="gates_alone"),
        pytest.param({"a.yaml": ENVIRONMENT + "spec: {nonsense: 1}\n"}, id="wrong"),
        pytest.param({"a.yaml": ENVIRONMENT + "spec: ["}, id="broken"),
        pytest.param({".setpoint/x": ""}, id="home_that_is_empty_now"),
    ],
)
async def test_make_home__something_declared_or_a_home__is_a_home(tmp_path: Path, files: dict[str, str]) -> None:
    lay_out(tmp_path, files)
    home = await make_home(tmp_path)
    assert home.keys.is_dir()
