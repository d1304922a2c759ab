"""Owns how Terraform's git logs in where modules come from, while a bundle is made.

A password travels in the environment, and git is given it for one scheme and host: it asks for it where it is asked for
it, so that no other host, and no redirect to one, ever sees it. Keys for SSH are files of mode 0600 that end with the
command.
"""

import contextlib
import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError
from setpoint.targets.environment.ports import ModuleHost

# The shell gets the number alone: what a Secret holds is in no command line.
_ANSWER = '!answer() {{ printf "username=%s\\npassword=%s\\n" "$MODULE_USERNAME_{0}" "$MODULE_PASSWORD_{0}"; }}; answer'
_BAD = frozenset("\n\r\0")


@contextlib.contextmanager
def module_access(hosts: Sequence[ModuleHost], folder: Path) -> Iterator[dict[str, str]]:
    """The environment that logs git in at these hosts and no others; empty without any. Blocking.

    Raises StalledError (InvalidSpec) for a user name or password that git can't be told.
    """
    if not hosts:
        yield {}
        return
    environ = {"GIT_TERMINAL_PROMPT": "0", **_passwords(hosts)}
    with tempfile.TemporaryDirectory(dir=folder, prefix="ssh-") as keys:
        if text := _ssh_settings(hosts, Path(keys)):
            settings = _private_file(Path(keys) / "config", text)
            environ["GIT_SSH_COMMAND"] = shlex.join(("ssh", "-F", str(settings)))
        yield environ


def _passwords(hosts: Sequence[ModuleHost]) -> dict[str, str]:
    settings: list[tuple[str, str]] = []
    environ: dict[str, str] = {}
    with_password = [host for host in hosts if "password" in host.keys]
    for number, host in enumerate(with_password):
        username, password = host.keys.get("username", "git"), host.keys["password"]
        if _BAD & {*username, *password}:
            message = f"the Secret for {host.host}: its user name or password holds a line break"
            raise StalledError(Reason.INVALID_SPEC, message)
        helper = f"credential.{host.scheme}://{host.host}.helper"
        # An empty one drops those that a configuration of the machine names for this host; for others they stay.
        settings += [(helper, ""), (helper, _ANSWER.format(number))]
        environ |= {f"MODULE_USERNAME_{number}": username, f"MODULE_PASSWORD_{number}": password}
    environ["GIT_CONFIG_COUNT"] = str(len(settings))
    for index, (key, value) in enumerate(settings):
        environ |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return environ


def _ssh_settings(hosts: Sequence[ModuleHost], folder: Path) -> str:
    """A configuration of ssh with one block a host; empty where no host has a key of its own."""
    blocks = []
    for number, host in enumerate(hosts):
        lines = [f"Host {host.host.partition(':')[0]}"]
        if "identity" in host.keys:
            key = _setting(folder / f"identity-{number}", host.keys["identity"])
            lines += ["IdentitiesOnly yes", f"IdentityFile {key}"]
        if "known_hosts" in host.keys:
            known = _setting(folder / f"known_hosts-{number}", host.keys["known_hosts"])
            lines.append(f"UserKnownHostsFile {known}")
        if len(lines) > 1:
            blocks.append("\n  ".join(lines))
    return "\n".join((*blocks, "Host *", "  BatchMode yes", "  StrictHostKeyChecking yes", "")) if blocks else ""


def _setting(path: Path, text: str) -> str:
    """A file with this text, as ssh's configuration names it."""
    return '"' + str(_private_file(path, text)).replace("%", "%%") + '"'


def _private_file(path: Path, text: str) -> Path:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 a handle, not a path
        file.write(text if text.endswith("\n") else f"{text}\n")
    return path
