"""Owns the environment of a run: made from nothing, so that nothing of the manager's leaks into it."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from setpoint.api.conditions import Reason
from setpoint.domain.errors import InvalidError, StalledError
from setpoint.targets.environment.plan.credentials import secret_texts
from setpoint.targets.environment.state_ports import BackendAccess

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OURS = ("TF_", "LD_", "DYLD_", "SETPOINT_", "PYTHON", "GIT_CONFIG")
_THEIRS = "TF_TOKEN_"  # credentials of module and provider registries
_PASSABLE = ("TF_LOG", "TF_TOKEN_", "TF_REGISTRY_", "TF_REATTACH_PROVIDERS")
_OURS_EXACTLY = frozenset({"PATH", "HOME", "TMPDIR", "SHELL", "IFS", "BASH_ENV", "ENV"})


class RunEnvironment:
    """Makes environments. `passthrough` are names that are handed on from the manager's own environment.

    Raises InvalidError for a name that would lead Terraform away from what Setpoint records of a run.
    """

    def __init__(self, root: Path, mirror: Path | None, passthrough: Iterable[str]) -> None:
        self._home = root / "home"
        self._cli_config = root / "terraform.tfrc"
        self._mirror = mirror
        self._cache = root / "providers"
        self.configuration = self._configure()
        """The CLI configuration file: where providers come from."""
        self._passed = {name: os.environ[name] for name in map(_passable, passthrough) if name in os.environ}

    def prepare(self) -> None:
        """Makes the private HOME and the CLI configuration."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._mirror is None:
            self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = self.configuration
        if not self._cli_config.is_file() or self._cli_config.read_text() != text:
            # By rename: a command of another process reads the old one or the new one.
            temporary = self._cli_config.with_suffix(f".{os.getpid()}.new")
            temporary.write_text(text)
            temporary.replace(self._cli_config)

    def _configure(self) -> str:
        if self._mirror is None:
            return f"disable_checkpoint = true\nplugin_cache_dir = {_quote(self._cache)}\n"
        return (
            "disable_checkpoint = true\n"
            f"provider_installation {{\n  filesystem_mirror {{\n    path = {_quote(self._mirror)}\n  }}\n}}\n"
        )

    @property
    def shares_cache(self) -> bool:
        """True where inits write one cache and so must run one at a time."""
        return self._mirror is None

    def base(self) -> dict[str, str]:
        """The variables that every command gets."""
        return {
            **self._passed,
            "PATH": os.environ.get("PATH", _DEFAULT_PATH),
            "HOME": self._passed.get("HOME", str(self._home)),
            "LANG": "C.UTF-8",
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(self._cli_config),
        }

    def secrets(self) -> frozenset[str]:
        """The inherited values that are secrets, by their names or their forms."""
        return secret_texts(self._passed)

    def of_run(
        self, credentials: Mapping[str, str], access: BackendAccess | None, home: Path | None = None
    ) -> dict[str, str]:
        """The environment of a run: the base, its credentials, the way to its state, and a HOME that no other run has.

        Credentials stand before what is inherited: a plan must not get the manager's own. Raises StalledError
        (InvalidSpec) for a credential whose name is Setpoint's to set.
        """
        for name in credentials:
            _refuse_ours(name)
        own = {"HOME": str(home)} if home is not None and "HOME" not in self._passed else {}
        return {**self.base(), **own, **credentials, **(_backend(access) if access else {})}


def _passable(name: str) -> str:
    if name.upper().startswith("TF_") and not name.upper().startswith(_PASSABLE):
        msg = f"{name} can't be handed on to Terraform: it would change what Setpoint knows of a run"
        raise InvalidError(msg, field="SETPOINT_TERRAFORM_ENV")
    return name


def _refuse_ours(name: str) -> None:
    upper = name.upper()
    ours = upper in _OURS_EXACTLY or (upper.startswith(_OURS) and not upper.startswith(_THEIRS))
    if ours or "=" in name or "\0" in name or not name:
        message = f"spec.credentials: a Secret sets {name!r}, which is Setpoint's to set"
        raise StalledError(Reason.INVALID_SPEC, message)


def _backend(access: BackendAccess) -> dict[str, str]:
    return {
        "TF_HTTP_ADDRESS": access.address,
        "TF_HTTP_LOCK_ADDRESS": access.address,
        "TF_HTTP_UNLOCK_ADDRESS": access.address,
        "TF_HTTP_USERNAME": access.username,
        "TF_HTTP_PASSWORD": access.password,
        "TF_HTTP_RETRY_MAX": "2",
        "TF_HTTP_RETRY_WAIT_MIN": "1",
    }


def _quote(path: Path) -> str:
    text = str(path.resolve()).replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    return f'"{text}"'
