"""Owns the one work folder of a target: exclusive, exact to a bundle, initialised once. Runs nothing.

The folder stays where it is for good: relative paths and abspath(path.root) would show up as drift elsewhere.
Files that no bundle ever brought, such as those that Terraform makes, are left alone, but for those that
Terraform would load: code that ran earlier may have put them there.

The state may need a provider that the code no longer names, to destroy what it once made: a source that drops a
provider, or a reset to before it was added. So the folder remembers what each bundle's lock file pinned, and pins
those providers, too.
"""

import asyncio
import contextlib
import dataclasses
import errno
import fcntl
import io
import itertools
import json
import os
import posixpath
import shutil
import tarfile
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from setpoint.domain.digests import digest_bytes
from setpoint.domain.errors import StoreError
from setpoint.targets.environment import hcl_scan
from setpoint.targets.environment.plan import lock_file
from setpoint.targets.environment.terraform import strays
from setpoint.targets.environment.terraform.strays import Stamp

OVERRIDE = "~setpoint_override.tf.json"
"""Terraform merges override files in the order of their names: ours is the last."""
ROOT_HEADER = "SETPOINT.root"
"""The header of a bundle's archive with the root module's folder within it; left out where that is the top."""
MODULES = Path(".terraform", "modules", "modules.json")
_MAX_NAME = 200
_POLL = 0.2

_BACKEND = ".terraform/terraform.tfstate"
"""The file in which init noted where the state is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """The facts known of the bundle that the folder holds.

    `root` is the root module's folder, in which Terraform runs, empty for the top; `modules` are those that it calls.
    `types` are the variables' types, as they are written; `workspaces` are the places that read the workspace's name.
    `files` are the bundles' own, and how they were laid out; `made` are those that Setpoint or init made beside them.
    `locked` are the lock blocks of providers that bundles pinned, by address. `init` is the key of the last init that
    ran to its end, empty where another one began since.
    """

    bundle: str = ""
    root: str = ""
    variables: frozenset[str] = frozenset()
    ephemeral: frozenset[str] = frozenset()
    structured: frozenset[str] = frozenset()
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prevent_destroy: tuple[str, ...] = ()
    workspaces: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    files: Mapping[str, Stamp] = dataclasses.field(default_factory=dict)
    made: Mapping[str, Stamp] = dataclasses.field(default_factory=dict)
    locked: Mapping[str, str] = dataclasses.field(default_factory=dict)
    init: str = ""


class WorkFolder:
    """One target's folder under `root/work`, and beside it a note of what it holds."""

    def __init__(self, root: Path, target: str) -> None:
        name = target.replace("/", ".")
        name = name if len(name) <= _MAX_NAME else "h." + digest_bytes(target.encode())[7:]
        self.path = root / "work" / name
        # With a dot, since shop.json is a good name for a target, too.
        self._note = root / "work" / f".{name}.json"
        self._lock = root / "work" / f".{name}.lock"
        self._aside = root / "errored" / name
        self._root: str | None = None

    @property
    def module(self) -> Path:
        """The root module's folder, in which Terraform runs: within the work folder, or that itself."""
        if self._root is None:
            self._root = (self.facts() or Facts()).root
        return self.path / self._root

    @property
    def _errored(self) -> Path:
        return self.module / "errored.tfstate"

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator["WorkFolder"]:
        """Waits until no other pass, of this process or another, works in the folder."""
        if self.path.is_symlink():
            self.path.unlink()
        if not self.path.is_dir():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = self._open_lock()
        try:
            while not _try_lock(descriptor):  # noqa: ASYNC110 another process may hold it
                await asyncio.sleep(_POLL)
            yield self
        finally:
            os.close(descriptor)

    def is_held(self) -> bool:
        """True where a session works in the folder now, of this process or another."""
        if not self._lock.exists():
            return False
        descriptor = self._open_lock()
        try:
            return not _try_lock(descriptor)
        finally:
            os.close(descriptor)

    def _open_lock(self) -> int:
        return os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    # --- Files --------------------------------------------------------------------------------------------------

    def facts(self) -> Facts | None:
        """The facts about what the folder holds; None where that is not known."""
        try:
            note = json.loads(self._note.read_bytes())
            return Facts(
                bundle=note["bundle"],
                root=note.get("root", ""),
                variables=frozenset(note["variables"]),
                ephemeral=frozenset(note["ephemeral"]),
                structured=frozenset(note["structured"]),
                types=dict(note.get("types", {})),
                prevent_destroy=tuple(note["protected"]),
                workspaces=tuple(note.get("workspaces", ())),
                modules=tuple(note.get("modules", ())),
                files={name: tuple(stamp) for name, stamp in note["files"].items()},
                made={name: tuple(stamp) for name, stamp in note.get("made", {}).items()},
                locked=dict(note["locked"]),
                init=note["init"],
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def changed(self, facts: Facts) -> tuple[str, ...]:
        """Files that are not as laid out, or made: Terraform may have run what writes over files and links folders."""
        return strays.find_changed(self.path, {**facts.files, **facts.made})

    def remove_strays(self, facts: Facts) -> tuple[str, ...]:
        """Removes what no bundle brought and Terraform would load; returns what there was, by names in the folder."""
        known = facts.files.keys() | {posixpath.join(facts.root, OVERRIDE)}
        return strays.remove_strays(self.path, facts.root, facts.modules, known)

    def find_states(self) -> tuple[Path, ...]:
        """States that were not written through Setpoint's backend."""
        return strays.find_states(self.path, self.module.relative_to(self.path).as_posix())

    def lay_out(self, bundle: str, archive: bytes) -> Facts:
        """Makes the bundle's files exact; removes those that an earlier bundle brought."""
        before = self.facts() or Facts()
        owned = before.files.keys()
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            members = {_checked_name(member): member for member in tar.getmembers()}
            names = frozenset(members)
            root = _checked_root(tar, names)
            if root != before.root:
                self._clear_root()
            # Killed half way, the next one still knows all that is the bundles'.
            self._remember(Facts(root=root, files=dict.fromkeys(owned | names, ()), locked=before.locked))
            for stale in sorted(owned - names):
                self._remove(stale)
            self._clear_data()
            for name, member in members.items():
                self._write(name, member, tar)
        facts = self._learn(bundle, root, names, before.locked)
        self._remember(facts)
        return facts

    def _clear_data(self) -> None:
        """Removes what init is to make anew: the modules are the bundle's, and so is the lock file."""
        data = self.module / ".terraform"
        if data.is_symlink() or not data.is_dir():
            strays.remove(data)
        for name in (MODULES.parent, lock_file.NAME, _BACKEND, OVERRIDE):
            strays.remove(self.module / name)

    def _clear_root(self) -> None:
        """Removes what was made for Terraform where the root module was: it moves within the folder."""
        shutil.rmtree(self.module / ".terraform", ignore_errors=True)
        for name in (OVERRIDE, lock_file.NAME):
            (self.module / name).unlink(missing_ok=True)

    def _learn(self, bundle: str, at: str, names: frozenset[str], locked: Mapping[str, str]) -> Facts:
        """Reads what must be known of a bundle, and pins what earlier ones pinned."""
        pinned = self._lock_text()
        if (text := lock_file.with_locked(pinned, locked)) != pinned:
            (self.module / lock_file.NAME).write_text(text)
        called = self._called(at)
        code = {name: (self.path / name).read_bytes() for name in names if hcl_scan.is_code(name)}
        root = hcl_scan.files_of(code, at)
        return Facts(
            bundle=bundle,
            root=at,
            variables=hcl_scan.declared_variables(root),
            ephemeral=hcl_scan.ephemeral_variables(root),
            structured=hcl_scan.structured_variables(root),
            types=hcl_scan.variable_types(root),
            prevent_destroy=tuple(_protected(code, {"": at, **called})),
            workspaces=tuple(_workspaces(code, {"": at, **called})),
            modules=tuple(called.values()),
            # The lock file is left out: init writes the hashes of this platform into it.
            files=self._stamps(names - {posixpath.join(at, lock_file.NAME)}),
            made=self._made(at),
            locked={**locked, **lock_file.read_locked(pinned)},
        )

    def _called(self, at: str) -> dict[str, str]:
        """The folders of the modules that the root module calls: as it sees them, and as the work folder does."""
        try:
            called = hcl_scan.module_folders((self.module / MODULES).read_bytes())
        except OSError:
            called = ()
        return {folder: posixpath.normpath(posixpath.join(at, folder)) for folder in called}

    def _made(self, at: str) -> dict[str, Stamp]:
        return self._stamps(posixpath.join(at, name) for name in (lock_file.NAME, _BACKEND, OVERRIDE))

    def _stamps(self, names: Iterable[str]) -> dict[str, Stamp]:
        return {name: strays.stamp_of(self.path / name) for name in names}

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

    def _remember(self, facts: Facts) -> None:
        self._root = facts.root
        note = {
            "bundle": facts.bundle,
            "root": facts.root,
            "variables": sorted(facts.variables),
            "ephemeral": sorted(facts.ephemeral),
            "structured": sorted(facts.structured),
            "types": dict(facts.types),
            "protected": facts.prevent_destroy,
            "workspaces": facts.workspaces,
            "modules": facts.modules,
            "files": facts.files,
            "made": facts.made,
            "locked": facts.locked,
            "init": facts.init,
        }
        temporary = self._note.with_suffix(".json.new")
        temporary.write_text(json.dumps(note))
        temporary.replace(self._note)

    def override(self, sensitive: Iterable[str]) -> str:
        """Writes our override file where it is another; returns its text."""
        content: dict[str, Any] = {"terraform": {"backend": {"http": {}}}}
        if names := sorted(sensitive):
            content["variable"] = {name: {"sensitive": True} for name in names}
        path = self.module / OVERRIDE
        text = json.dumps(content, sort_keys=True)
        if _read_text(path) != text:
            path.write_text(text)
        return text

    # --- Initialisation -----------------------------------------------------------------------------------------

    def is_initialised(self, facts: Facts, key: str) -> bool:
        """True where the last init ran to its end, for the same key."""
        return facts.init == key and (self.module / ".terraform").is_dir()

    def forget_initialisation(self, facts: Facts) -> None:
        """Notes that what init had made is gone, or may be: another one begins."""
        self._remember(dataclasses.replace(facts, init="", made=self._made(facts.root)))

    def mark_initialised(self, facts: Facts, key: str) -> None:
        """Notes that init ran to its end for this key, and what the lock file now pins."""
        locked = {**facts.locked, **lock_file.read_locked(self._lock_text())}
        self._remember(dataclasses.replace(facts, init=key, locked=locked, made=self._made(facts.root)))

    def unpinned(self, facts: Facts) -> tuple[str, ...]:
        """The providers that no bundle had pinned, so that init has chosen their versions."""
        return tuple(sorted(lock_file.read_locked(self._lock_text()).keys() - facts.locked.keys()))

    def lock_digest(self) -> str:
        """Of the lock file, empty where there is none."""
        text = self._lock_text()
        return digest_bytes(text.encode()) if text else ""

    def _lock_text(self) -> str:
        return _read_text(self.module / lock_file.NAME)

    def errored_state(self) -> bytes | None:
        """State that Terraform could not save, until `drop_errored_state`. Only a file counts, as it writes one."""
        if self._errored.is_symlink() or not self._errored.is_file():
            return None
        try:
            return self._errored.read_bytes()
        except FileNotFoundError:
            return None

    def drop_errored_state(self) -> None:
        """Removes it once it is safe elsewhere."""
        strays.remove(self._errored)

    def set_errored_state_aside(self, run: str) -> Path:
        """Moves it, by rename, to where nothing writes over it and no code looks at it. Raises StoreError."""
        return self._set_aside(self._errored, run or "unknown")

    def set_states_aside(self) -> tuple[Path, ...]:
        """The same for states that came past Setpoint's backend: init would want to take them over."""
        return tuple(self._set_aside(path, "stray") for path in self.find_states())

    def _set_aside(self, path: Path, stem: str) -> Path:
        try:
            self._aside.mkdir(mode=0o700, parents=True, exist_ok=True)
            places = (self._aside / f"{stem}.{number}.tfstate" for number in itertools.count(1))
            place = next(one for one in places if not one.exists())
            path.chmod(0o600)
            return path.rename(place)
        except OSError as error:
            msg = f"can't set {path} aside: {error.strerror}"
            raise StoreError(msg) from error


def _checked_name(member: tarfile.TarInfo) -> str:
    """By hand, since only regular files with plain relative names are ours; anything else is no bundle."""
    name = member.name
    if not member.isreg() or not name or any(part in {"", ".", ".."} for part in name.split("/")):
        msg = f"the bundle's archive is damaged at {name[:100]!r}"
        raise StoreError(msg)
    return name


def _checked_root(tar: tarfile.TarFile, names: Collection[str]) -> str:
    """The folder of the root module, by the archive's header: one that the archive's files are in."""
    root = str(tar.pax_headers.get(ROOT_HEADER, ""))
    if root and not any(name.startswith(f"{root}/") for name in names):
        msg = f"the bundle's archive is damaged: it holds no root module at {root[:100]!r}"
        raise StoreError(msg)
    return root


def _read_text(path: Path) -> str:
    """The text of a file, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _protected(code: hcl_scan.Files, folders: Mapping[str, str]) -> Iterator[str]:
    """Addresses not to be destroyed, in the root module and, after their folder, in the modules that it calls."""
    for folder, place in folders.items():
        for address in hcl_scan.prevent_destroy(hcl_scan.files_of(code, place)):
            yield f"{folder}: {address}" if folder else address


def _workspaces(code: hcl_scan.Files, folders: Mapping[str, str]) -> Iterator[str]:
    """The places at which the root module, and the modules that it calls, read the workspace's name."""
    for folder, place in folders.items():
        for use in hcl_scan.workspace_uses(hcl_scan.files_of(code, place)):
            yield posixpath.join(folder, use)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True
