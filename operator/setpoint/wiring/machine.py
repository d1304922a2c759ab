"""Owns `setpoint doctor`: what this machine and a home have, what they lack, and how to get it. Asks no network."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version as version_of
from pathlib import Path

from setpoint.adapters.local import LocalHome, ManifestIndex
from setpoint.adapters.local.home import HomeError, current_user, holder
from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.domain import standing
from setpoint.domain.errors import InvalidError, SetpointError
from setpoint.domain.policies import PolicyModules
from setpoint.ports.commands import Check
from setpoint.settings import Settings, read_settings
from setpoint.wiring import targets
from setpoint.wiring.local import open_local

_SECONDS = 10
_RULE = 'package doctor\n\ndeny contains "nothing" if false\n'


async def doctor(root: Path | None) -> Sequence[Check]:
    """Looks at the machine, and at a home where there is one."""
    checks = [_python()]
    try:
        settings = read_settings()
    except InvalidError as error:
        # The rest is looked at as if nothing were set.
        settings = Settings()
        checks.append(Check("settings", False, error.message, "set it right, or unset it"))
    checks += [*targets.checks(settings), await _policies(), _port(settings), _git(), _ssh()]
    if root is not None:
        checks += await _home(root)
    return checks


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


async def _policies() -> Check:
    """Has a worker load a rule, under the limits that it has in earnest."""
    engine = RegorusEngine({}, load_seconds=_SECONDS)
    try:
        check = await engine.check(PolicyModules.of({"doctor.rego": _RULE}, {}))
    finally:
        await engine.aclose()
    detail = check.problems[0] if check.problems else f"regorus {version_of('gordon-to-regorus')}"
    return Check(
        "policies", not check.problems, detail, "install Setpoint anew; without it a gate with policies blocks"
    )


def _port(settings: Settings) -> Check:
    """Terraform gets its state from a port of this machine; metrics are served where they were asked for."""
    host, _, port = (settings.listen or "127.0.0.1:0").rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    place = f"any on {host}" if port == "0" else settings.listen
    try:
        with socket.create_server((host.strip("[]"), int(port)), family=family):
            return Check("port", True, place)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else type(error).__name__
        remedy = "name another with SETPOINT_LISTEN, or stop what listens there: perhaps it is this home's manager"
        return Check("port", False, f"{place}: {reason}", remedy if settings.listen else "allow it: states go over it")


def _git() -> Check:
    remedy = "install git: sources and modules of type git need it"
    git = shutil.which("git")
    if git is None:
        return Check("git", False, "not on PATH", remedy)
    try:
        done = subprocess.run([git, "version"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("git", False, f"{git} does not run: {type(error).__name__}", remedy)
    return Check("git", done.returncode == 0, done.stdout.strip() or f"{git} does not run", remedy)


def _ssh() -> Check:
    ssh = shutil.which("ssh")
    return Check("ssh", bool(ssh), ssh or "not on PATH", "install it where sources come over SSH", needed=False)


async def _home(root: Path) -> list[Check]:
    """The home and, where it can be opened, what it is made of."""
    try:
        home = LocalHome.open(root)
        async with open_local(home) as backends:
            problem = await backends.audit.contradiction()
    except HomeError as error:
        mine = f"chown -R {shlex.quote(current_user())} {shlex.quote(str(root / '.setpoint'))}"
        return [Check("home", False, error.message, f"let this user own and write it ({mine}), or work as its owner")]
    except SetpointError as error:
        return [Check("home", False, error.message, "see docs/how-to/restore-the-store.md")]
    manager = holder(home)
    return [
        Check("home", True, f"{root}: " + (f"managed by {manager}" if manager else "no manager")),
        await _manifests(home),
        Check("store", not problem, problem or "goes on from its head", standing.REMEDY),
    ]


async def _manifests(home: LocalHome) -> Check:
    index = ManifestIndex(home.root, targets.codes())
    try:
        found = await index.refresh()
    finally:
        await index.close()
    if not found.errors:
        return Check("manifests", True, f"{len(found.entries)} declared")
    more = f" (and {len(found.errors) - 1} more)" if found.errors[1:] else ""
    return Check("manifests", False, f"{found.errors[0]}{more}", "mend what is named; `setpoint up` names all")
