"""Owns the one work folder of a target: exclusive, exact to a bundle, initialised once. Runs nothing.

The folder stays where it is for good: relative paths and abspath(path.root) would show up as drift elsewhere
(rule 7). Files that no bundle ever brought, such as those that Terraform makes, are left alone.
"""

import asyncio
import contextlib
import dataclasses
import errno
import fcntl
import io
import json
import os
import shutil
import tarfile
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

from setpoint.domain import hcl_scan
from setpoint.domain.digests import digest, digest_bytes
from setpoint.domain.errors import StoreError

OVERRIDE = "~setpoint_override.tf.json"
"""Terraform merges override files in the order of their names: ours is the last."""
LOCK_FILE = ".terraform.lock.hcl"
_MAX_NAME = 200
_POLL = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the bundle that the folder holds."""

    bundle: str
    variables: frozenset[str]
    prevent_destroy: tuple[str, ...]
    files: frozenset[str]


class WorkFolder:
    """One target's folder under `root/work`, and beside it a note of what it holds."""

    def __init__(self, root: Path, target: str) -> None:
        name = target.replace("/", ".")
        name = name if len(name) <= _MAX_NAME else "h." + digest_bytes(target.encode())[7:]
        self.path = root / "work" / name
        self._note = root / "work" / f"{name}.json"
        self._lock = root / "work" / f"{name}.lock"

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator["WorkFolder"]:
        """Waits until no other pass, of this process or another, works in the folder."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _try_lock(descriptor):  # noqa: ASYNC110 another process may hold it
                await asyncio.sleep(_POLL)
            yield self
        finally:
            os.close(descriptor)

    # --- Files --------------------------------------------------------------------------------------------------

    def facts(self) -> Facts | None:
        """What the folder holds; None where that is not known."""
        try:
            note = json.loads(self._note.read_bytes())
            return Facts(
                note["bundle"], frozenset(note["variables"]), tuple(note["protected"]), frozenset(note["files"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def lay_out(self, bundle: str, archive: bytes) -> Facts:
        """Makes the bundle's files exact; removes those that an earlier bundle brought."""
        before = self.facts()
        owned = before.files if before else frozenset()
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            members = {_checked_name(member): member for member in tar.getmembers()}
            names = frozenset(members)
            # Killed half way, the next one still knows all that is the bundles'.
            self._remember(Facts("", frozenset(), (), owned | names), init="")
            for stale in sorted(owned - names):
                self._remove(stale)
            shutil.rmtree(self.path / ".terraform" / "modules", ignore_errors=True)
            for name, member in members.items():
                self._write(name, member, tar)
        root_files = {name: (self.path / name).read_bytes() for name in names if "/" not in name}
        facts = Facts(bundle, hcl_scan.declared_variables(root_files), hcl_scan.prevent_destroy(root_files), names)
        self._remember(facts, init="")
        return facts

    def _remove(self, name: str) -> None:
        """A file of an earlier bundle, and the folders that are empty without it."""
        path = self.path / name
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            path.unlink()
        for folder in list(path.parents)[: name.count("/")]:
            try:
                folder.rmdir()
            except OSError:
                return

    def _write(self, name: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        content = tar.extractfile(member)
        path = self.path / name
        for folder in (path, *list(path.parents)[: name.count("/")]):
            # Whatever stands in the way, a link that would lead elsewhere above all.
            if folder.is_symlink() or (folder.exists() and folder.is_dir() is (folder == path)):
                shutil.rmtree(folder) if folder.is_dir() and not folder.is_symlink() else folder.unlink()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content.read() if content else b"")
        path.chmod(0o700 if member.mode & 0o100 else 0o600)

    def _remember(self, facts: Facts, *, init: str) -> None:
        note = {
            "bundle": facts.bundle,
            "variables": sorted(facts.variables),
            "protected": list(facts.prevent_destroy),
            "files": sorted(facts.files),
            "init": init,
        }
        temporary = self._note.with_suffix(".json.new")
        temporary.write_text(json.dumps(note))
        temporary.replace(self._note)

    def override(self, sensitive: Iterable[str]) -> str:
        """Writes our override file (rules 10 and 11) where it is another; returns its digest."""
        content: dict[str, Any] = {"terraform": {"backend": {"http": {}}}}
        if names := sorted(sensitive):
            content["variable"] = {name: {"sensitive": True} for name in names}
        path = self.path / OVERRIDE
        text = json.dumps(content, sort_keys=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
        return digest(content)

    # --- Initialisation -----------------------------------------------------------------------------------------

    def is_initialised(self, key: str) -> bool:
        """Whether `mark_initialised` was the last word on this folder, with the same key (rule 9)."""
        try:
            known = json.loads(self._note.read_bytes()).get("init") == key
        except (OSError, ValueError):
            return False
        return known and (self.path / ".terraform").is_dir()

    def forget_initialisation(self, facts: Facts) -> None:
        """What init had made is gone, or may be."""
        self._remember(facts, init="")

    def mark_initialised(self, facts: Facts, key: str) -> None:
        """Notes that init ran to its end for this key."""
        self._remember(facts, init=key)

    def lock_digest(self) -> str:
        """Of the lock file, empty where there is none."""
        try:
            return digest_bytes((self.path / LOCK_FILE).read_bytes())
        except FileNotFoundError:
            return ""

    def errored_state(self) -> bytes | None:
        """What Terraform could not save; kept until `drop_errored_state`."""
        path = self.path / "errored.tfstate"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def drop_errored_state(self) -> None:
        """Removes it once it is safe elsewhere."""
        (self.path / "errored.tfstate").unlink(missing_ok=True)


def _checked_name(member: tarfile.TarInfo) -> str:
    """By hand, since only regular files with plain relative names are ours; anything else is no bundle."""
    name = member.name
    if not member.isreg() or not name or any(part in {"", ".", ".."} for part in name.split("/")):
        msg = f"the bundle's archive is damaged at {name[:100]!r}"
        raise StoreError(msg)
    return name


def write_variables(path: Path, variables: Mapping[str, Any]) -> None:
    """A variable file for -var-file, for nobody else to read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(dict(variables), file)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True
