"""Owns reading the Rego modules of a PolicySet: from a folder, from the spec, or from the pack that ships.

All of it is untrusted: sizes and counts are bounded, nothing but regular files is opened, no link is followed.
"""

import asyncio
import os
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path

import setpoint
from setpoint.api.conditions import Reason
from setpoint.api.v1alpha1.policyset import PolicySetSpec
from setpoint.domain.errors import StalledError
from setpoint.domain.policies import PolicyModules

MAX_FILES = 200
MAX_FILE_BYTES = 262_144
MAX_BYTES = 2 * 2**20
_MAX_ENTRIES = 10_000
_MAX_DEPTH = 16
_SUFFIX = ".rego"
_BUILT_IN = Path(setpoint.__file__).parent


class PolicyFolders:
    """The port PolicyResolver. `home` bounds what spec.source.path may reach; None where there is no local home."""

    def __init__(self, *, home: Path | None, executor: Executor) -> None:
        self._home = home
        self._executor = executor

    async def resolve(self, spec: PolicySetSpec, *, origin: Path | None) -> PolicyModules:
        """Reads spec.source; `origin` is the folder of the manifest.

        Raises StalledError (SourceNotFound, SourceRefused, InvalidSpec, DigestMismatch).
        """
        loop = asyncio.get_running_loop()
        modules = await loop.run_in_executor(self._executor, self._read, spec, origin)
        if spec.digest is not None and modules.digest != spec.digest:
            message = f"spec.digest: the content is {modules.digest}, not the {spec.digest} that is pinned"
            raise StalledError(Reason.DIGEST_MISMATCH, message)
        return modules

    def _read(self, spec: PolicySetSpec, origin: Path | None) -> PolicyModules:
        source = spec.source
        if source.inline is not None:
            texts = _check_inline(source.inline)
        elif source.builtin is not None:
            shipped = read_folder(_BUILT_IN / source.builtin)
            texts = {name: text for name, text in shipped.items() if not name.endswith("_test.rego")}
        else:
            texts = read_folder(self._locate(source.path or "", origin))
        try:
            return PolicyModules.of(texts, spec.params)
        except (TypeError, ValueError) as error:
            raise StalledError(Reason.INVALID_SPEC, f"spec.params: {error}") from error

    def _locate(self, path: str, origin: Path | None) -> Path:
        if self._home is None or origin is None:
            raise StalledError(Reason.INVALID_SPEC, "spec.source.path works in a local home only; use inline")
        if Path(path).is_absolute() or "\0" in path:
            raise _refused("spec.source.path", "is relative to the manifest")
        folder = Path(os.path.realpath(origin / path))
        if not folder.is_relative_to(os.path.realpath(self._home)):
            raise _refused("spec.source.path", f"leaves the home: {path}")
        return folder


def read_folder(folder: Path) -> dict[str, str]:
    """The modules below a folder, by relative path. Raises StalledError (SourceNotFound, SourceRefused)."""
    if not folder.is_dir():
        raise StalledError(Reason.SOURCE_NOT_FOUND, f"spec.source: there is no folder {folder.name}")
    texts: dict[str, str] = {}
    size = 0
    for name, path in _walk(folder):
        data = _read_file(path, name)
        size += len(data)
        if len(texts) >= MAX_FILES or size > MAX_BYTES:
            raise _refused(folder.name, f"holds more than {MAX_FILES} modules or {MAX_BYTES} bytes")
        texts[name] = _decode(data, name)
    if not texts:
        raise _refused(folder.name, f"holds no {_SUFFIX} file")
    return texts


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    """(relative name, path) of every module, in order; hidden entries are left out."""
    entries = 0
    stack = [(root, "", 0)]
    while stack:
        folder, prefix, depth = stack.pop()
        with os.scandir(folder) as listing:
            found = []
            for entry in listing:
                entries += 1
                if entries > _MAX_ENTRIES or depth > _MAX_DEPTH:
                    raise _refused(root.name, f"holds more than {_MAX_ENTRIES} entries, or is nested too deep")
                found.append(entry)
        for entry in sorted(found, key=lambda one: one.name):
            name = f"{prefix}{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                stack.append((Path(entry.path), f"{name}/", depth + 1))
            elif entry.name.endswith(_SUFFIX):
                yield name, Path(entry.path)


def _read_file(path: Path, name: str) -> bytes:
    """At most one byte more than is allowed, of a regular file and of nothing else, whoever swaps it meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(name, f"can't be read, or is a link: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(name, "is no regular file")
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _refused(name, f"is larger than {MAX_FILE_BYTES} bytes")
    return data


def _decode(data: bytes, name: str) -> str:
    if not name.isprintable():
        raise _refused(ascii(name), "has a name that can't be printed")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _refused(name, "is not UTF-8") from error


def _check_inline(inline: Mapping[str, str]) -> dict[str, str]:
    for name in inline:
        if not name.endswith(_SUFFIX) or not name.isprintable():
            raise _refused(f"spec.source.inline.{ascii(name)[1:41]}", f"names of modules end in {_SUFFIX}")
    if not inline or sum(map(len, inline.values())) > MAX_BYTES:
        raise _refused("spec.source.inline", f"holds no module, or more than {MAX_BYTES} characters")
    return dict(inline)


def _refused(what: str, why: str) -> StalledError:
    return StalledError(Reason.SOURCE_REFUSED, f"{what}: {why}")
