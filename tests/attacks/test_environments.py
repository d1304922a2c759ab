"""Environments whose manifest, code or Secret is hostile: all in one home, looked at by one run of the manager.

A row is an attempt and what must hold. What gets run that must not run leaves a mark outside of the home.
"""

import base64
import dataclasses
import json
import os
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.attacks.ground import CODE, MARK, Ground, make_ground, ready
from tests.fakes.shared import made_once

TOKEN = "the-managers-own-token-2207"
PASSWORD = "grebe & tern/2207?"
PRINTS = r"""
variable "p" { type = string }
resource "terraform_data" "a" {
  provisioner "local-exec" {
    command = "printf '%s\\n' \"$P\" \"$B\" \"$U\" >&2; exit 9"
    environment = {
      P = nonsensitive(var.p)
      B = nonsensitive(base64encode("me:${var.p}"))
      U = nonsensitive(urlencode(var.p))
    }
  }
}
"""
KEYED = """
variable "p" { type = string }
resource "terraform_data" "a" {
  for_each = toset([nonsensitive(var.p)])
  input    = each.key
}
"""
COPIES = """
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "env > '@OUTSIDE@/environment'" }
}
"""
FROM_SECRET = {"variablesFrom": [{"secretRef": {"name": "@NAME@"}}]}
OVERRIDE = json.dumps({"terraform": {"backend": {"local": {"path": "elsewhere.tfstate"}}}})


def touch(ground: str = "@OUTSIDE@") -> str:
    """A command that leaves the mark."""
    return f"touch {ground}/{MARK}"


@dataclasses.dataclass(frozen=True)
class Attack:
    """One attempt on an Environment. Ready has this reason, and its message holds `says`.

    `files` lie in its code; `links` are symbolic links there. @OUTSIDE@ is the folder beside the home.
    """

    attempt: str
    reason: str
    says: str = ""
    code: str = CODE
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    links: Mapping[str, str] = dataclasses.field(default_factory=dict)
    spec: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    secret: Mapping[str, str] = dataclasses.field(default_factory=dict)


def credentials(name: str, value: str) -> Attack:
    """A Secret that hands a run an environment variable which would lead it elsewhere."""
    spec = {"credentials": {"plan": [{"secretRef": {"name": "@NAME@"}}]}}
    attempt = f"a credential named {name} leads the run elsewhere"
    return Attack(attempt, "InvalidSpec", name, spec=spec, secret={name: value})


def git(attempt: str, says: str, **source: str) -> Attack:
    """A git source."""
    return Attack(attempt, "SourceRefused", says, code="", spec={"source": {"git": source}})


ATTACKS = {
    # --- what the source is
    "link-out": Attack("a link in the code names a file outside of the home", "SourceRefused", "leaves the home",
                       links={"x.txt": "../../../outside/secret.txt"}),
    "link-absolute": Attack("a link in the code is absolute", "SourceRefused", "absolute",
                            links={"x.txt": "/etc/hostname"}),
    "link-loop": Attack("two links in the code name each other", "SourceRefused", "names nothing",
                        links={"x.txt": "y.txt", "y.txt": "x.txt"}),
    "path-out": Attack("the source's path leaves the home", "SourceRefused", "spec.source.path",
                       spec={"source": {"path": "../outside"}}),
    "path-absolute": Attack("the source's path is absolute", "SourceRefused", "spec.source.path",
                            spec={"source": {"path": "/etc"}}),
    "module-out": Attack("a module's source leads out of the home", "SourceRefused", "leads out of the home",
                         code='module "m" { source = "../../../outside" }\n'),
    "file-out": Attack("the code reads a file outside of the home, by a path of text", "SourceRefused",
                       "leads out of the home",
                       code='output "x" { value = file("${path.module}/../../../outside/secret.txt") }\n'),
    "odd-name": Attack("a file's name holds a line break and a terminal escape", "SourceRefused", "not allowed",
                       files={"a\n\x1b[2Jb.tf": ""}),
    "inline-out": Attack("an inline file's name leads out of its folder", "SourceRefused", "spec.source.inline",
                         code="", spec={"source": {"inline": {"../evil.tf": CODE}}}),
    "git-ext": git("a git URL runs a command (ext::)", "spec.source.git.url", url=f"ext::sh -c {touch()}"),
    "git-option": git("a git URL is an option", "spec.source.git.url", url=f"--upload-pack={touch()}"),
    "git-ref-option": git("a git ref is an option", "spec.source.git.ref", url="https://forge.invalid/x.git",
                          ref="--output=/tmp/x"),
    "git-password": git("a git URL holds a password", "secretRef", url="https://me:grebe-2207@forge.invalid/x.git"),
    "git-path-out": git("a path in the repository leads out of it", "spec.source.git.path",
                        url="https://forge.invalid/x.git", path="../../etc"),
    "module-ext": Attack("a module's source runs a command (git::ext::)",
                         "ConfigurationInvalid", "Failed to download",
                         code=f'module "m" {{ source = "git::ext::sh -c {touch().replace(" ", "%20")}" }}\n'),
    # --- code that would move the state out of the store
    "backend": Attack("the code names a backend of its own", "StateNotAdopted", "import-state",
                      code=f'terraform {{\n  backend "local" {{ path = "x.tfstate" }}\n}}\n{CODE}'),
    "cloud": Attack("the code names a cloud workspace", "StateNotAdopted", "import-state",
                    code=f"terraform {{\n  cloud {{}}\n}}\n{CODE}"),
    "override": Attack("an override file that is read after ours names a backend", "SourceRefused", "another name",
                       files={"~~_override.tf.json": OVERRIDE}),
    "state": Attack("a state lies beside the code", "StateNotAdopted", "import-state",
                    files={"terraform.tfstate": "{}"}),
    "working-folder": Attack("a working folder in the source names another backend", "AtSetpoint",
                             files={".terraform/terraform.tfstate": '{"backend":{"type":"local"}}'}),
    "shadow-variables": Attack("a variable file in the source is named like the one of a run", "AtSetpoint",
                               files={"variables.tfvars.json": '{"v": "two"}'}),
    # --- what a run is given
    "path": credentials("PATH", "/tmp"),
    "ld-preload": credentials("LD_PRELOAD", "/tmp/x.so"),
    "cli-args": credentials("TF_CLI_ARGS_apply", "-state=/tmp/x"),
    "data-dir": credentials("TF_DATA_DIR", "/tmp"),
    "address": credentials("TF_HTTP_ADDRESS", "http://127.0.0.1:1/"),
    "workspace": credentials("TF_WORKSPACE", "prod"),
    "git-config": credentials("GIT_CONFIG_COUNT", "0"),
    "bash-env": credentials("BASH_ENV", "/tmp/x.sh"),
    "own-settings": credentials("SETPOINT_HOME", "/tmp"),
    "managers-environment": Attack(
        "a provisioner copies its whole environment: the manager's own is not in it", "AtSetpoint",
        code=COPIES,
    ),
    # --- Secrets
    "secret-in-key": Attack("a Secret's value is the key of a resource", "AtSetpoint",
                            code=KEYED,
                            spec=FROM_SECRET, secret={"p": PASSWORD}),
    "secret-in-output": Attack("a provisioner fails and prints a password as it is, in base64, hex and percent writing",
                               "ApplyFailed", "",
                               code=PRINTS,
                               spec=FROM_SECRET, secret={"p": PASSWORD}),
    "undeclared": Attack("a Secret's key is no variable of the code", "VariableUndeclared", "spec.variablesFrom",
                         spec=FROM_SECRET, secret={"w": "x"}),
    # --- the health check
    "metadata": Attack("a health check asks the cloud's metadata service", "Unhealthy", "169.254.169.254",
                       spec={"health": [{"http": {"url": "http://169.254.169.254/latest/meta-data/"}}]}),
    "metadata-mapped": Attack("the same, as an IPv6 address that is an IPv4 one", "Unhealthy", "",
                              spec={"health": [{"http": {"url": "http://[::ffff:169.254.169.254]/"}}]}),
    # --- words that reach a terminal
    "escape": Attack("a variable's value clears the terminal and writes backwards", "AtSetpoint",
                     spec={"variables": {"v": "\x1b[2J\x1b]0;x\x07\u202egpj"}}),
}  # fmt: skip


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """The home with all attempts, after one run."""

    def make(folder: Path) -> None:
        ground = make_ground(folder)
        for name, attack in ATTACKS.items():
            prepare(ground, name, attack)
        ended = ground.up(MANAGERS_TOKEN=TOKEN)
        (folder / "report.json").write_text(ended.stdout)
        (folder / "log").write_text(ended.stderr)

    return Ground(made_once(tmp_path_factory, "attacked", make))


def prepare(ground: Ground, name: str, attack: Attack) -> None:
    """The manifests, code and links of an attempt."""

    def filled(text: str) -> str:
        return text.replace("@OUTSIDE@", str(ground.outside)).replace("@NAME@", name)

    ground.environment(name, filled(attack.code), **json.loads(filled(json.dumps(attack.spec))))
    for path, content in attack.files.items():
        ground.write(f"code/{name}/{path}", content)
    for path, target in attack.links.items():
        (ground.home / "code" / name / path).symlink_to(target)
    if attack.secret:
        ground.declare("Secret", name, stringData=dict(attack.secret))


@pytest.fixture(scope="module")
def seen(ground: Ground) -> dict[str, dict[str, Any]]:
    """All Environments after the run, by name."""
    return {one["metadata"]["name"]: one for one in ground.get("environments")}


@pytest.mark.parametrize("name", ATTACKS, ids=[f"{name}: {attack.attempt}" for name, attack in ATTACKS.items()])
def test_it_ends_as_it_must(ground: Ground, seen: dict[str, dict[str, Any]], name: str) -> None:
    attack = ATTACKS[name]
    reason, message = ready(seen[name])
    assert reason == attack.reason, message
    assert attack.says in message


def test_nothing_ran_that_must_not_run(ground: Ground, seen: dict[str, dict[str, Any]]) -> None:
    assert ground.pwned == []
    assert not (ground.home / "elsewhere.tfstate").exists()


def test_a_run_gets_nothing_of_the_managers_environment(ground: Ground, seen: dict[str, dict[str, Any]]) -> None:
    given = (ground.outside / "environment").read_text()
    assert "TF_IN_AUTOMATION=1" in given
    assert TOKEN not in given


def test_no_secret_is_shown_or_left_in_clear(ground: Ground, seen: dict[str, dict[str, Any]]) -> None:
    writings = (
        PASSWORD, base64.b64encode(f"me:{PASSWORD}".encode()).decode(), urllib.parse.quote_plus(PASSWORD),
        "outside-of-every-home-4711",
    )  # fmt: skip
    shown = [(ground.root / "report.json").read_text(), (ground.root / "log").read_text(), json.dumps(seen)]
    shown += [
        ground.run(*words).stdout for words in (("audit", "log"), ("get", "changes", "-o", "yaml"), ("get", "all"))
    ]
    for path in sorted(ground.state.rglob("*")):
        if path.is_file() and not path.is_symlink():
            shown.append(path.read_bytes().decode("latin-1"))
    for writing in writings:
        assert not [text[:80] for text in shown if writing in text], writing


def test_no_control_characters_reach_a_terminal(ground: Ground, seen: dict[str, dict[str, Any]]) -> None:
    (change,) = [
        one["metadata"]["name"] for one in ground.get("changes") if one["metadata"]["name"].startswith("escape-")
    ]
    for words in (("describe", "environment/escape"), ("describe", f"change/{change}", "--full"), ("get", "all")):
        text = ground.run(*words).stdout
        assert text
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_a_pipe_in_the_source_holds_nobody_up(tmp_path: Path) -> None:
    ground = make_ground(tmp_path / "ground")
    ground.environment("pipe")
    os.mkfifo(ground.home / "code" / "pipe" / "x.tf")
    ground.up()
    (environment,) = ground.get("environments")
    assert ready(environment)[0] == "SourceRefused"
