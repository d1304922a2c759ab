"""tools/resolve.py: the order of the ways to a tool, one builder at a time, and whole files or none."""

import dataclasses
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tools import resolve as resolver
from tools.resolve import (
    KUBECTL,
    PROVIDER_KUBECTL,
    PROVIDER_LOCAL,
    TOOLS,
    Tool,
    ToolError,
    cache_root,
    find,
    main,
    resolve,
)

TOOL = Tool(
    name="provider-local",
    version="1.2.3",
    variable="SETPOINT_SAMPLE",
    package="example.org/sample",
    module="provider-local",
    place="tools/sample/1.2.3/sample",
    exported="tools/sample/1.2.3/sample",
    command="sample",
    symbols=("example.org/version=1.2.3",),
    asset=True,
)
MODULE = {
    "provider-local": "github.com/terraform-providers/terraform-provider-local",
    "provider-kubectl": "github.com/gavinbunney/terraform-provider-kubectl",
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes",
    "kube-controller-manager": "k8s.io/kubernetes",
    "tofu": "github.com/opentofu/opentofu",
    "opa": "github.com/open-policy-agent/opa",
}
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
    for name in ("SETPOINT_TERRAFORM", "KUBEBUILDER_ASSETS", *(tool.variable for tool in (TOOL, *TOOLS.values()))):
        monkeypatch.delenv(name, raising=False)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    return made


def test_what_the_user_named_wins_over_everything(machine: Machine) -> None:
    machine.go()
    machine.cached()
    machine.program("sample")
    named = machine.program("mine")
    assert resolve(TOOL, {**machine.environ, TOOL.variable: str(named)}) == named
    assert machine.builds == []


def test_what_the_user_named_and_is_not_there_is_an_error_and_no_reason_to_build(machine: Machine) -> None:
    machine.go()
    with pytest.raises(ToolError, match=r"SETPOINT_SAMPLE names /nowhere, which does not exist"):
        resolve(TOOL, {**machine.environ, TOOL.variable: "/nowhere"})
    assert machine.builds == []


def test_what_is_on_the_path_wins_over_the_cache(machine: Machine) -> None:
    machine.cached()
    assert resolve(TOOL, machine.environ) == machine.cached()
    on_path = machine.program("sample")
    assert resolve(TOOL, machine.environ) == on_path


def test_what_is_among_the_assets_wins_over_the_path(machine: Machine, tmp_path: Path) -> None:
    machine.program("sample")
    assets = tmp_path / "assets"
    assets.mkdir()
    environ = {**machine.environ, "KUBEBUILDER_ASSETS": str(assets)}
    assert resolve(TOOL, environ) == machine.bin / "sample", "assets that lack it are passed by"
    asset = machine.program("sample").rename(assets / "sample")
    assert resolve(TOOL, environ) == asset
    assert find(dataclasses.replace(TOOL, asset=False), environ) is None


def test_assets_that_are_not_there_are_an_error(machine: Machine) -> None:
    with pytest.raises(ToolError, match=r"KUBEBUILDER_ASSETS names /nowhere, which is no folder"):
        resolve(TOOL, {**machine.environ, "KUBEBUILDER_ASSETS": "/nowhere"})


def test_finding_builds_nothing(machine: Machine) -> None:
    machine.go()
    assert find(TOOL, machine.environ) is None
    assert machine.builds == []
    assert find(TOOL, machine.environ) is None


@pytest.mark.parametrize(
    ("version", "found"), [("1.32", True), ("1.36+", True), ("2.0", True), ("1.31", False), ("1.9", False), ("", False)]
)
def test_a_kubectl_that_is_too_old_is_passed_by(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, found: bool
) -> None:
    monkeypatch.setattr(resolver.sysconfig, "get_path", lambda _: str(tmp_path / "none"))
    major, _, minor = version.partition(".")
    told = f'{{"clientVersion": {{"major": "{major}", "minor": "{minor}"}}}}'
    on_path = machine.program("kubectl", f"#!/bin/sh\n[ \"$1\" = version ] && echo '{told}'\n")
    assert find(KUBECTL, machine.environ) == (on_path if found else None)


def test_the_wheels_kubectl_serves_where_none_is_on_the_path(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wheel = machine.program("kubectl", '#!/bin/sh\necho \'{"clientVersion": {"major": "1", "minor": "36"}}\'\n')
    monkeypatch.setattr(resolver.sysconfig, "get_path", lambda _: str(machine.bin))
    assert find(KUBECTL, {**machine.environ, "PATH": str(tmp_path)}) == wheel


def test_without_kubectl_the_error_says_who_brings_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.go()
    monkeypatch.setattr(resolver.sysconfig, "get_path", lambda _: str(tmp_path))
    assert main(["kubectl"]) == 1
    assert "Set SETPOINT_KUBECTL or KUBEBUILDER_ASSETS, put it on PATH" in (told := capsys.readouterr().err)
    assert "make venv" in told
    assert machine.builds == []


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
    assert command.startswith("build -mod=readonly -trimpath -ldflags=-s -w -X example.org/version=1.2.3 -o ")
    assert command.endswith(" example.org/sample")


def test_a_build_that_fails_leaves_nothing_behind(machine: Machine) -> None:
    machine.go(code=3)
    with pytest.raises(ToolError, match=r"`go build` in tools/provider-local ended with code 3"):
        resolve(TOOL, machine.environ)
    assert [path for path in machine.cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_without_any_way_the_error_names_the_ways(machine: Machine) -> None:
    with pytest.raises(ToolError) as caught:
        resolve(TOOL, machine.environ)
    for way in ("no Go toolchain", "Set SETPOINT_SAMPLE", "on PATH as sample", "in the cache", "install Go 1.24"):
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


def test_one_that_fails_does_not_keep_the_others(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.cached(PROVIDER_KUBECTL)
    tofu = machine.cached(TOOLS["tofu"])
    assert main(["etcd", "provider-kubectl", "tofu"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"SETPOINT_TERRAFORM_MIRROR={machine.cache / 'mirror'}", f"SETPOINT_TOFU={tofu}"]
    assert "error: etcd" in err


def test_a_build_that_takes_long_says_so_now_and_then(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.go()
    monkeypatch.setattr(resolver, "_BEAT_SECONDS", 0.0)
    resolve(TOOL, machine.environ)
    assert re.search(r"\.\.\. provider-local: \d+ s", capfd.readouterr().err)


def test_a_build_that_never_ends_is_ended(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.program("go", "#!/bin/sh\nexec /bin/sleep 600\n")
    monkeypatch.setattr(resolver, "_BUILD_SECONDS", 0.0)
    with pytest.raises(ToolError, match="took longer than 0 s"):
        resolve(TOOL, machine.environ)


def test_stopping_the_resolver_stops_its_build(machine: Machine, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "began")
    machine.program("go", f"#!/bin/sh\necho $$ > {tmp_path / 'began'}\nexec /bin/sleep 600\n")
    command = [sys.executable, resolver.__file__, "etcd"]
    with subprocess.Popen(command, env=machine.environ, stderr=subprocess.DEVNULL) as builder:
        build = int((tmp_path / "began").read_text())
        builder.terminate()
    assert builder.returncode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(build, 0)


BUILT = [tool for tool in TOOLS.values() if tool.package]


@pytest.mark.parametrize("tool", BUILT, ids=lambda tool: tool.name)
def test_a_module_pins_what_the_tool_says(tool: Tool) -> None:
    folder = Path(resolver.__file__).parent / tool.module
    module = (folder / "go.mod").read_text()
    assert re.search(rf"^(tool )?\s*{tool.package}$", module, re.MULTILINE)
    replaced = dict(re.findall(r"^replace (\S+) => (\S+) v\S+$", module, re.MULTILINE))
    pinned = re.search(rf"^\s*({MODULE[tool.name]}) v(\S+)", module, re.MULTILINE)
    assert pinned, module
    assert pinned[2] == tool.version
    assert f"{replaced.get(pinned[1], pinned[1])} v{tool.version} h1:" in (folder / "go.sum").read_text()


def test_kubernetes_is_pinned_with_all_of_its_parts() -> None:
    module = (Path(resolver.__file__).parent / "kubernetes" / "go.mod").read_text()
    version = TOOLS["kube-apiserver"].version
    staged = re.findall(r"^\tk8s.io/(\S+) => k8s.io/(\S+) v0\.(\S+)$", module, re.MULTILINE)
    assert len(staged) > 30
    assert {(new, f"1.{rest}") for _, new, rest in staged} == {(old, version) for old, _, _ in staged}
