"""tools/resolve.py: the order of the ways to a tool, one builder at a time, and whole files or none."""

import fcntl
import re
import threading
from pathlib import Path

import pytest
from tools import resolve as resolver
from tools.resolve import PROVIDER_LOCAL, Tool, ToolError, cache_root, main, resolve

TOOL = Tool(
    name="provider-local",
    version="1.2.3",
    variable="SETPOINT_SAMPLE",
    package="example.org/sample",
    place="tools/sample/1.2.3/sample",
    exported="tools/sample/1.2.3/sample",
    commands=("sample",),
)
FAKE_GO = """#!/bin/sh
echo "$CGO_ENABLED|$PWD|$*" >> "{log}"
while [ "$1" != -o ]; do shift; done
printf built > "$2"
chmod +x "$2"
exit {code}
"""


class Machine:
    """A machine with a cache and a PATH of its own."""

    def __init__(self, root: Path) -> None:
        self.cache = root / "cache" / "setpoint"
        self.bin = root / "bin"
        self.log = root / "go.log"
        self.bin.mkdir()
        self.environ = {"XDG_CACHE_HOME": str(root / "cache"), "PATH": str(self.bin)}

    def program(self, name: str, text: str = "#!/bin/sh\n") -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def go(self, code: int = 0) -> None:
        self.program("go", FAKE_GO.format(log=self.log, code=code))
        self.program("chmod", '#!/bin/sh\nexec /bin/chmod "$@"\n')

    def cached(self, tool: Tool = TOOL) -> Path:
        path = self.cache / tool.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("cached")
        path.chmod(0o755)
        return path

    @property
    def builds(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    for name in (TOOL.variable, PROVIDER_LOCAL.variable, "SETPOINT_TERRAFORM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    return made


def test_what_the_user_named_wins_over_everything(machine: Machine) -> None:
    machine.go()
    machine.cached()
    named = machine.program("mine")
    assert resolve(TOOL, {**machine.environ, TOOL.variable: str(named)}) is None
    assert machine.builds == []


def test_what_the_user_named_and_is_not_there_is_an_error_and_no_reason_to_build(machine: Machine) -> None:
    machine.go()
    with pytest.raises(ToolError, match=r"SETPOINT_SAMPLE names /nowhere, which does not exist"):
        resolve(TOOL, {**machine.environ, TOOL.variable: "/nowhere"})
    assert machine.builds == []


def test_what_is_on_the_path_wins_over_the_cache(machine: Machine) -> None:
    machine.cached()
    machine.program("sample")
    assert resolve(TOOL, machine.environ) is None


def test_what_is_in_the_cache_is_not_built(machine: Machine) -> None:
    machine.go()
    cached = machine.cached()
    assert resolve(TOOL, machine.environ) == cached
    assert machine.builds == []


def test_what_is_nowhere_is_built_once_from_the_pinned_module(machine: Machine) -> None:
    machine.go()
    built = resolve(TOOL, machine.environ)
    assert built == resolve(TOOL, machine.environ) == machine.cache / TOOL.place
    assert built.read_text() == "built"
    [build] = machine.builds
    cgo, folder, command = build.split("|")
    assert cgo == "0"
    assert folder.endswith("tools/provider-local")
    assert command.startswith("build -mod=readonly ")
    assert command.endswith(" example.org/sample")


def test_a_build_that_fails_leaves_nothing_behind(machine: Machine) -> None:
    machine.go(code=3)
    with pytest.raises(ToolError, match=r"`go build` in tools/provider-local ended with code 3"):
        resolve(TOOL, machine.environ)
    assert [path for path in machine.cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_without_any_way_the_error_names_the_ways(machine: Machine) -> None:
    with pytest.raises(ToolError) as caught:
        resolve(TOOL, machine.environ)
    for way in ("no Go toolchain", "Set SETPOINT_SAMPLE", "on PATH as sample", "in the cache", "install Go"):
        assert way in str(caught.value)


def test_a_second_builder_waits_and_takes_what_the_first_made(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.go()
    waiting = threading.Event()
    monkeypatch.setattr(resolver, "_say", lambda message: waiting.set() if "waiting" in message else None)
    lock = machine.cache / "locks" / "provider-local.lock"
    lock.parent.mkdir(parents=True)
    found: list[Path | None] = []
    second = threading.Thread(target=lambda: found.append(resolve(TOOL, machine.environ)))
    with lock.open("a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second.start()
        assert waiting.wait(10)
        cached = machine.cached()
    second.join(10)
    assert found == [cached]
    assert machine.builds == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("/var/caches", "/var/caches/setpoint", id="absolute"),
        pytest.param("caches", "/users/me/.cache/setpoint", id="relative-is-ignored"),
        pytest.param("", "/users/me/.cache/setpoint", id="empty"),
    ],
)
def test_the_cache_follows_the_xdg_rules(monkeypatch: pytest.MonkeyPatch, given: str, expected: str) -> None:
    monkeypatch.setenv("HOME", "/users/me")
    assert cache_root({"XDG_CACHE_HOME": given}) == Path(expected)


def test_the_provider_is_printed_as_a_mirror_for_make(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.cached(PROVIDER_LOCAL)
    assert main(["terraform", "provider-local"]) == 0
    assert capsys.readouterr().out == f"SETPOINT_TERRAFORM_MIRROR={machine.cache / 'mirror'}\n"


def test_without_go_the_registry_serves_and_nothing_is_set(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["provider-local"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "Going on without: Terraform asks its registry for it" in err


@pytest.mark.parametrize(
    ("tool", "variable"), [("terraform", "SETPOINT_TERRAFORM"), ("provider-local", "SETPOINT_TERRAFORM_MIRROR")]
)
def test_a_wrong_setting_ends_with_1_and_names_it(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tool: str, variable: str
) -> None:
    machine.cached(PROVIDER_LOCAL)
    monkeypatch.setenv(variable, "/nowhere")
    assert main([tool]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {variable} names /nowhere, which")


def test_the_module_pins_what_the_tool_says() -> None:
    folder = Path(resolver.__file__).parent / PROVIDER_LOCAL.name
    module = (folder / "go.mod").read_text()
    assert re.search(rf"^tool {PROVIDER_LOCAL.package}$", module, re.MULTILINE)
    [(replacement, version)] = re.findall(rf"^replace {PROVIDER_LOCAL.package} => (\S+) v(\S+)$", module, re.MULTILINE)
    assert version == PROVIDER_LOCAL.version
    assert f"{replacement} v{version} h1:" in (folder / "go.sum").read_text()
