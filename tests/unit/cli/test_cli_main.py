import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from tests.fakes.examples import example
from tests.fakes.home import FakeHome, FakeWiring, Run

from setpoint.cli.context import Invocation, find_home
from setpoint.cli.main import cli, summaries
from setpoint.domain.errors import ConflictError, SetpointError


def test_version__text_and_json(run: Run) -> None:
    assert run("version").stdout.startswith("setpoint 0.")
    assert '"setpoint": "0.' in run("version", "-o", "json").stdout
    assert "setpoint: " in run("version", "-o", "yaml").stdout


def test_version__imports__neither_types_nor_wiring() -> None:
    code = (
        "import sys, setpoint.cli.version; print(sorted({'pydantic', 'asyncio', 'yaml', 'setpoint.ports', "
        "'setpoint.wiring', 'sqlmodel', 'aiohttp'} & sys.modules.keys()))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_help__lists_every_command(run: Run) -> None:
    shown = run("--help").stdout
    assert all(f"  {name} " in shown for name in summaries())


def test_no_command__shows_help_and_is_wrong_usage(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


@pytest.mark.parametrize("name", summaries())
def test_command__help__names_it(run: Run, name: str) -> None:
    result = run(name, "-h")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: setpoint {name} ")
    assert summaries()[name].split(".")[0] in result.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("gett",), "No such command 'gett'"),
        (("get", "env", "--nope"), "No such option '--nope'"),
        (("--home", "/does/not/exist", "version"), "does not exist"),
    ],
    ids=["command", "option", "home"],
)
def test_wrong_usage__is_one_line_and_exit_2(run: Run, args: tuple[str, ...], message: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert "--help'" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SetpointError("the store is full"), "error: the store is full\n"),
        (ConflictError("changed"), "error: changed\n"),
        (FileNotFoundError(2, "No such file or directory", "a.json"), "error: a.json: No such file or directory\n"),
        (click.ClickException("no"), "error: no\n"),
        (
            RuntimeError("password=hunter2"),
            "error: internal error: RuntimeError; run it again with -v to see where\n",
        ),
    ],
    ids=["ours", "conflict", "os", "click", "internal"],
)
def test_failure__is_one_line_and_exit_1(
    run: Run, home: FakeHome, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    monkeypatch.setattr(home.cluster, "list", _raising(error))
    result = run("get", "env")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line)


def _raising(error: BaseException) -> Any:
    async def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("args", [("-v", "get", "env"), ("get", "env", "--verbose")])
def test_failure__verbose__shows_the_traceback(
    run: Run, home: FakeHome, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.setattr(home.cluster, "list", _raising(RuntimeError("why")))
    result = run(*args)
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "RuntimeError: why" in result.stderr


def test_interrupt__is_exit_130(run: Run, home: FakeHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home.cluster, "list", _raising(KeyboardInterrupt()))
    result = run("get", "env")
    assert (result.exit_code, result.stderr) == (130, "\nerror: interrupted\n")


def test_closed_pipe__ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stdout:
        code = "from setpoint.cli.main import main; main()"
        words = [sys.executable, "-c", code, "crds"]
        ended = subprocess.run(words, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("where", ["option", "option-behind", "environment", "here", "below"])
def test_home__is_found(
    home: FakeHome, wiring: FakeWiring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.delenv("SETPOINT_HOME", raising=False)
    monkeypatch.chdir({"here": tmp_path, "below": inside}.get(where, "/"))
    args = {
        "option": ["--home", str(tmp_path), "get", "env"],
        "option-behind": ["get", "env", "--home", str(tmp_path)],
    }.get(where, ["get", "env"])
    if where == "environment":
        monkeypatch.setenv("SETPOINT_HOME", str(tmp_path))
    result = CliRunner().invoke(cli, args, obj=Invocation(wiring=lambda: wiring), prog_name="setpoint")
    assert result.exit_code == 0, result.stderr
    assert wiring.opened == [(tmp_path.resolve(), False)]


def test_home__option__wins_over_the_environment(
    run: Run, wiring: FakeWiring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other" / ".setpoint").mkdir(parents=True)
    monkeypatch.setenv("SETPOINT_HOME", str(tmp_path))
    run("--home", str(tmp_path / "other"), "get", "env")
    assert wiring.opened == [((tmp_path / "other").resolve(), False)]


def test_home__none__says_how_to_make_one(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".setpoint").rmdir()
    result = run("get", "env")
    assert result.exit_code == 2
    assert "setpoint up DIR" in result.stderr
    assert "--home" in result.stderr


def test_home__named_but_none_yet__says_how_to_make_it_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".setpoint").rmdir()
    result = run("--home", str(tmp_path), "get", "env")
    assert result.exit_code == 1
    assert f"setpoint up {tmp_path}" in result.stderr


def test_home__in_the_environment_is_no_folder__is_wrong_usage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETPOINT_HOME", "/does/not/exist")
    result = run("get", "env")
    assert result.exit_code == 2
    assert "SETPOINT_HOME" in result.stderr


def test_home__right_below__is_taken_where_it_is_the_only_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".setpoint").rmdir()
    for name in ("a", "b"):
        (tmp_path / name / ".setpoint").mkdir(parents=True)
    assert find_home(tmp_path) is None
    assert "several Setpoint homes" in run("get", "env").stderr
    (tmp_path / "b" / ".setpoint").rmdir()
    assert find_home(tmp_path) == (tmp_path / "a").resolve()


def test_find_home__from_below_and_from_itself__is_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / ".setpoint").mkdir(exist_ok=True)
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_home(tmp_path / "a" / "b") == find_home(tmp_path) == tmp_path.resolve()
    assert find_home(tmp_path.parent.parent) != tmp_path.resolve()
    (tmp_path / "a" / ".setpoint").mkdir()
    assert find_home(tmp_path / "a" / "b") == (tmp_path / "a").resolve()


def test_find_home__of_another_user__is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".setpoint").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert find_home(tmp_path) is None


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)], ids=["terminal", "NO_COLOR"])
def test_colour__on_a_terminal__unless_no_color(
    home: FakeHome, wiring: FakeWiring, monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    home.add(example("Environment", status={"conditions": [_ready()]}))
    monkeypatch.chdir(home.root)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys, "stdout", shown := Terminal())
    with pytest.raises(SystemExit):
        cli.main(["get", "env"], prog_name="setpoint", obj=Invocation(wiring=lambda: wiring))
    assert ("\x1b[32mTrue" in shown.getvalue()) == coloured
    assert "True" in shown.getvalue()


def _ready() -> dict[str, Any]:
    return {"type": "Ready", "status": "True", "reason": "AtSetpoint", "lastTransitionTime": "2026-01-01T00:00:00Z"}
