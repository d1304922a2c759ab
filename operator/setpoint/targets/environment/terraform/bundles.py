"""Owns making bundles: source, installed modules and lock file in one immutable archive, made once."""

import asyncio
import contextlib
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from setpoint.api.conditions import Reason
from setpoint.domain.digests import canonical, digest, digest_bytes
from setpoint.domain.errors import NotFoundError, StalledError
from setpoint.domain.scrubbing import Scrubber
from setpoint.ports import BlobStore, SourceTree
from setpoint.targets.environment import hcl_scan
from setpoint.targets.environment.plan import lock_file
from setpoint.targets.environment.ports import Bundle, EngineVersion, RunInputs
from setpoint.targets.environment.terraform.binaries import builder
from setpoint.targets.environment.terraform.environment import RunEnvironment
from setpoint.targets.environment.terraform.failures import LOCK_REMEDY, failure
from setpoint.targets.environment.terraform.finishing import in_thread
from setpoint.targets.environment.terraform.module_access import module_access
from setpoint.targets.environment.terraform.process import Command, execute
from setpoint.targets.environment.terraform.workfolder import MODULES, OVERRIDE, ROOT_HEADER

_LEFT_OUT = (".git", ".setpoint")
_MAX_BYTES = 256 << 20
_OVERRIDING = re.compile(r"_override\.(tf|tofu)(\.json)?$")


class BundleMaker:
    """Makes bundles, and remembers for which source each was made."""

    def __init__(
        self,
        root: Path,
        blobs: BlobStore,
        environment: RunEnvironment,
        init_lock: asyncio.Lock,
        threads: Executor,
    ) -> None:
        self._index = root / "bundles"
        self._scratch = root / "build"
        self._blobs = blobs
        self._environment = environment
        self._init_lock = init_lock
        self._threads = threads
        self._known: dict[str, tuple[str, str]] = {}

    async def make(self, tree: SourceTree, inputs: RunInputs, words: Sequence[str], engine: EngineVersion) -> Bundle:
        """The bundle of a source. Raises StalledError (StateNotAdopted, LockFileMissing, ...)."""
        roots = _root_code(tree)
        _refuse_hidden_state(roots)
        if not inputs.has_state:
            _refuse_foreign_state(tree, roots)
        key = self._key(tree, inputs, engine)
        known = await self._renew(self._known.get(key) or _read(self._place(key)))
        if known is None:
            known = await self._make(tree, inputs, words, roots)
            self._write_index(key, known)
        self._known[key] = known
        return Bundle(digest=known[0], revision=tree.revision, blob=known[1])

    async def index(self) -> Mapping[str, str]:
        """The blobs of the bundles that were made here, by the bundles' digests. Some may be gone since."""
        return await in_thread(self._threads, self._read_all)

    def _read_all(self) -> dict[str, str]:
        found = (_read(path) for path in self._index.glob("*.json"))
        return dict(known for known in found if known is not None)

    def _key(self, tree: SourceTree, inputs: RunInputs, engine: EngineVersion) -> str:
        """A digest of a bundle's inputs. Another version of the engine makes no other: a lock file is made once."""
        providers = self._environment.configuration if inputs.lock_file == "Generate" else ""
        parts = [tree.digest, engine.type, inputs.lock_file, providers]
        if inputs.module_hosts:
            # Modules that one tenant's Secret brought are not for another, whose code names the same ones.
            hosts = [[host.scheme, host.host, dict(host.keys)] for host in inputs.module_hosts]
            parts.append(self._blobs.digest(canonical(hosts)))
        return digest(parts)

    async def _renew(self, known: tuple[str, str] | None) -> tuple[str, str] | None:
        """The same, where the store still holds it; from now on for two days, by when the pass has recorded it."""
        try:
            if known is not None:
                await self._blobs.renew(known[1])
        except NotFoundError:
            return None
        return known

    def _write_index(self, key: str, known: tuple[str, str]) -> None:
        self._index.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._place(key).write_text(json.dumps({"digest": known[0], "blob": known[1]}))

    def _place(self, key: str) -> Path:
        return self._index / f"{key[7:]}.json"

    async def _make(
        self, tree: SourceTree, inputs: RunInputs, words: Sequence[str], roots: hcl_scan.Files
    ) -> tuple[str, str]:
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        try:
            return await self._build(tree, folder, inputs, words, roots)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _build(
        self, tree: SourceTree, folder: Path, inputs: RunInputs, words: Sequence[str], roots: hcl_scan.Files
    ) -> tuple[str, str]:
        source = folder / "source"
        await in_thread(self._threads, _lay_out, tree, source)
        await self._install(source / tree.root, folder, inputs, words, roots)
        archive = await in_thread(self._threads, _archive, source, tree.root)
        return digest_bytes(archive), await self._blobs.put(archive)

    async def _install(
        self, root: Path, folder: Path, inputs: RunInputs, words: Sequence[str], roots: hcl_scan.Files
    ) -> None:
        """Modules, and a lock file where one is to be made; nothing runs where neither is needed."""
        commands, modules = builder(tuple(words)), bool(hcl_scan.installed_modules(roots))
        locked = (root / lock_file.NAME).exists()
        if not locked and inputs.lock_file == "Generate" and hcl_scan.needs_providers(roots):
            line = commands.init_line(backend=False, modules=modules)
            await self._locked(lambda: self._run("init", line, folder, root, inputs))
            return
        if modules:
            await self._run("get", commands.get_line(), folder, root, inputs)
        if not locked and await in_thread(self._threads, _needs_providers, folder / "source", root, roots):
            raise StalledError(Reason.LOCK_FILE_MISSING, f"the source has no {lock_file.NAME}: {LOCK_REMEDY}")

    async def _locked(self, work: Callable[[], Awaitable[None]]) -> None:
        async with self._init_lock if self._environment.shares_cache else contextlib.nullcontext():
            await work()

    async def _run(self, name: str, line: Sequence[str], folder: Path, source: Path, inputs: RunInputs) -> None:
        with module_access(inputs.module_hosts, folder) as access:
            environment = {**self._environment.of_run(inputs.plan_environment, None), **access}
            command = Command(line, source, environment, folder, name, inputs.init_timeout, {"operation": "bundle"})
            ended = await execute(command)
        if ended.exit_code != 0 or ended.stopped:
            secrets = self._environment.secrets().union(
                inputs.credential_secrets, inputs.variable_secrets, module_secrets(inputs)
            )
            raise failure(f"{inputs.command} {name}", ended, Scrubber(secrets), Reason.INIT_FAILED)


def module_secrets(inputs: RunInputs) -> frozenset[str]:
    """The secret values in the Secrets of the hosts of modules; the name of a user is none."""
    found: set[str] = set()
    for host in inputs.module_hosts:
        found |= {value for key, value in host.keys.items() if key != "username"}
    return frozenset(found)


def _read(place: Path) -> tuple[str, str] | None:
    """Digest and blob of a bundle; None where the index does not say, or not whole."""
    try:
        found = json.loads(place.read_bytes())
        return str(found["digest"]), str(found["blob"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _root_code(tree: SourceTree) -> hcl_scan.Files:
    """The root module's code, by plain names; the scanner knows which of it Terraform reads."""
    prefix = f"{tree.root}/" if tree.root else ""
    own = {name.removeprefix(prefix): name for name in tree.files if name.startswith(prefix)}
    return {plain: tree.read(name) for plain, name in own.items() if "/" not in plain and hcl_scan.is_code(plain)}


def _refuse_hidden_state(roots: hcl_scan.Files) -> None:
    """Code that would keep its state where Setpoint does not see it, even though there is one already."""
    for name in sorted(roots):
        # The later override counts; OpenTofu, moreover, reads x.tofu.json in the place of x.tf.json.
        if _OVERRIDING.search(name) and name > OVERRIDE:
            message = f"{name}: this file would be read after Setpoint's own settings; give it another name"
            raise StalledError(Reason.SOURCE_REFUSED, message)
    if where := hcl_scan.state_encryption(roots):
        message = f"{where}: Setpoint seals states itself, and keeps none that it can't read; drop this encryption"
        raise StalledError(Reason.SOURCE_REFUSED, message)


def _refuse_foreign_state(tree: SourceTree, roots: hcl_scan.Files) -> None:
    """Rule 10: else everything that exists already would be planned anew."""
    where = hcl_scan.foreign_backend(roots)
    if where or tree.marks:
        what = f"the code names a backend of its own at {where}" if where else "the source holds a terraform.tfstate"
        remedy = "adopt its state first: terraform state pull > FILE, then setpoint import-state ENVIRONMENT FILE"
        raise StalledError(Reason.STATE_NOT_ADOPTED, f"{what}; {remedy}")


def _lay_out(tree: SourceTree, folder: Path) -> None:
    for name, (_, executable) in tree.files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(tree.read(name))
        path.chmod(0o700 if executable else 0o600)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _needs_providers(source: Path, root: Path, roots: hcl_scan.Files) -> bool:
    """True where the root module, or an installed one, needs a provider, so that a lock file must name it."""
    try:
        called = hcl_scan.module_folders((root / MODULES).read_bytes())
    except FileNotFoundError:
        called = ()
    modules = (_code_in(source, root / folder) for folder in called)
    return any(hcl_scan.needs_providers(files, calls=False) for files in (roots, *modules))


def _code_in(source: Path, folder: Path) -> hcl_scan.Files:
    """The code of an installed module; none of one that modules.json says to be elsewhere."""
    place = folder.resolve()
    if not place.is_relative_to(source.resolve()) or not place.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in place.iterdir() if hcl_scan.is_code(path.name) and path.is_file()}


def _archive(folder: Path, root: str) -> bytes:
    """A tar with nothing in it that differs from machine to machine: order, owners, times and modes are fixed.

    Its header says where the root module is, unless that is at the top.
    """
    buffer = io.BytesIO()
    headers = {ROOT_HEADER: root} if root else None
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        for path in sorted(_members(folder, folder / root), key=lambda one: one.relative_to(folder).as_posix()):
            if buffer.tell() + path.stat().st_size > _MAX_BYTES:
                message = f"source and modules come to more than {_MAX_BYTES >> 20} MiB"
                raise StalledError(Reason.SOURCE_REFUSED, message)
            content = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = len(content)
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _members(folder: Path, root: Path) -> Iterator[Path]:
    """Regular files; links that a module brings are followed only where they stay within it."""
    resolved = folder.resolve()
    for path in folder.rglob("*"):
        parts = path.relative_to(root if path.is_relative_to(root) else folder).parts
        left_out = any(part in _LEFT_OUT for part in parts) or parts[:1] == (OVERRIDE,) or ".tfstate" in path.name
        inside_terraform = parts[:1] == (".terraform",) and parts[1:2] != ("modules",)
        if left_out or inside_terraform or not path.is_file():
            continue
        if path.resolve().is_relative_to(resolved):
            yield path
