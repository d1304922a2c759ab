"""Owns `setpoint doctor`: what this machine has, what it lacks, and how to get it."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from setpoint.adapters.local import LocalHome
from setpoint.adapters.local.home import holder
from setpoint.adapters.terraform.binaries import Binaries
from setpoint.domain import standing
from setpoint.domain.errors import SetpointError
from setpoint.ports import RunInputs
from setpoint.runtime.logging import SecretFilter
from setpoint.settings import Settings, read_settings
from setpoint.wiring.local import open_local

_SECONDS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that this machine must have; `remedy` says how to get it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


async def doctor(root: Path | None) -> Sequence[Check]:
    """Looks at the machine, and at a home where there is one."""
    settings = read_settings()
    checks = [_python(), _engine(settings), _mirror(settings), _git()]
    if root is not None:
        checks += await _home(root, settings)
    return checks


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _engine(settings: Settings) -> Check:
    """Any Terraform will do here: a spec's own constraint is its Environment's to say."""
    found = []
    for engine in ("terraform", "opentofu"):
        inputs = RunInputs(engine, ">= 0", "Required", {}, {}, {}, {})
        try:
            found.append(str(Binaries(settings.binaries, {"PATH": os.environ.get("PATH", "")}).find(inputs)[1]))
        except SetpointError as error:
            problem = error.message
    return Check("terraform", bool(found), ", ".join(found) or problem, "install terraform or tofu, or name one")


def _mirror(settings: Settings) -> Check:
    mirror = settings.terraform_mirror
    if mirror is None:
        return Check("providers", True, "from the registry")
    remedy = "SETPOINT_TERRAFORM_MIRROR must name a folder as `terraform providers mirror` makes it"
    filled = mirror.is_dir() and any(mirror.iterdir())
    return Check("providers", filled, f"from the mirror {mirror}", remedy)


def _git() -> Check:
    git = shutil.which("git")
    if git is None:
        return Check("git", False, "not found", "install git; sources of type git need it")
    done = subprocess.run([git, "version"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    return Check("git", done.returncode == 0, done.stdout.strip(), "git does not run")


async def _home(root: Path, settings: Settings) -> list[Check]:
    try:
        home = LocalHome.open(root)
        async with open_local(home, settings, SecretFilter()) as local:
            objects = await local.objects.version()
            problem = await local.parts.audit.contradiction()
    except SetpointError as error:
        return [Check("home", False, error.message, "see the message")]
    manager = holder(home)
    detail = f"{root}: {objects} writes; " + (f"managed by {manager}" if manager else "no manager")
    return [
        Check("home", True, detail),
        Check("store", not problem, problem or "goes on from its head", standing.REMEDY),
    ]
