"""Owns what a git process is given: a checked URL and ref, an environment made from nothing, and credentials.

Credentials travel in the environment or in files of mode 0600 that end with the operation, never in arguments.
"""

import base64
import contextlib
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from setpoint.adapters.source.limits import refused, shown

REMOTE = "origin"
_PROTOCOLS = "http:https:git:ssh"
_INHERITED = ("PATH", "SSH_AUTH_SOCK", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
              "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")  # fmt: skip
_FIXED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C",
}
_SSH = ("ssh", "-F", os.devnull, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_SCP_LIKE = re.compile(r"^(?:[A-Za-z0-9._~-]+@)?[A-Za-z0-9._-]+:(?!:)[^\s]+$")
_USERINFO = re.compile(r"(://)[^/\s@]*@")
_BAD_REF = re.compile(r"^[-/.]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|/\.|\.lock(?:/|$)|[/.]$")


def check_url(url: str, *, local: bool) -> None:
    """Refuses a URL that git must not be given. `local` admits repositories on this machine."""
    if url.startswith("-") or not url.isprintable():
        raise refused("spec.source.git.url is no URL")
    scheme = _SCHEME.match(url)
    if scheme is None and url.startswith("/"):
        allowed = local
    elif scheme is None:
        allowed = _SCP_LIKE.match(url) is not None
    else:
        allowed = scheme[1].lower() in _protocols(local=local).split(":")
    if not allowed:
        raise refused(f"spec.source.git.url: {shown(scrub(url))} is none of {_protocols(local=local)} here")
    if scheme is not None and ":" in urlsplit(url).netloc.rpartition("@")[0]:
        raise refused("spec.source.git.url holds a password; put it into a Secret and name that in secretRef")


def check_ref(ref: str) -> None:
    """Refuses what can be no branch, tag or commit."""
    if _BAD_REF.search(ref) or not ref.isprintable():
        raise refused(f"spec.source.git.ref: {shown(ref)} is no name of a branch, tag or commit")


def scrub(text: str) -> str:
    """Text without the user names and passwords of URLs."""
    return _USERINFO.sub(r"\1", text)


def _protocols(*, local: bool) -> str:
    return f"file:{_PROTOCOLS}" if local else _PROTOCOLS


@contextlib.contextmanager
def git_environment(
    url: str, home: Path, credentials: Mapping[str, str], *, local: bool, inherited: Mapping[str, str] = os.environ
) -> Iterator[dict[str, str]]:
    """The whole environment of a git process for that URL. `home` is an empty folder. Blocking."""
    environ = {name: inherited[name] for name in _INHERITED if name in inherited}
    environ |= _FIXED | {"HOME": str(home), "GIT_ALLOW_PROTOCOL": _protocols(local=local)}
    environ |= _configuration(url, credentials)
    with tempfile.TemporaryDirectory(dir=home, prefix="ssh-") as folder:
        environ["GIT_SSH_COMMAND"] = shlex.join((*_SSH, *_ssh_options(Path(folder), credentials)))
        yield environ


def _configuration(url: str, credentials: Mapping[str, str]) -> dict[str, str]:
    """Git's configuration by environment: the remote, and one header, for the host of the URL and no other.

    With that header redirects are refused: git would send it on to wherever they lead.
    """
    settings = [
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
        ("credential.helper", ""),
        (f"remote.{REMOTE}.url", url),
    ]
    if url.lower().startswith(("http://", "https://")) and "password" in credentials:
        split = urlsplit(url)
        pair = f"{credentials.get('username', 'git')}:{credentials['password']}"
        header = "Authorization: Basic " + base64.b64encode(pair.encode()).decode()
        host = split.netloc.rpartition("@")[2]
        settings += [(f"http.{split.scheme}://{host}/.extraHeader", header), ("http.followRedirects", "false")]
    environ = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings):
        environ |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return environ


def _ssh_options(folder: Path, credentials: Mapping[str, str]) -> tuple[str, ...]:
    options: tuple[str, ...] = ()
    if "identity" in credentials:
        key = _private_file(folder / "identity", credentials["identity"])
        options += ("-o", "IdentitiesOnly=yes", "-i", str(key))
    if "known_hosts" in credentials:
        known = _private_file(folder / "known_hosts", credentials["known_hosts"])
        options += ("-o", f"UserKnownHostsFile={known}")
    return options


def _private_file(path: Path, text: str) -> Path:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 a handle, not a path
        file.write(text if text.endswith("\n") else f"{text}\n")
    return path
