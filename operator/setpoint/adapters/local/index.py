"""Owns what the home's manifests declare: an index that is kept up to date by reading changed files alone.

Holds no object, only where each one stands: 1,000 environments cost little, and no Secret stays in memory. All of
its work is done by one thread of its own.
"""

import asyncio
import dataclasses
import json
import posixpath
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from setpoint.adapters.local import documents, manifests, tree
from setpoint.adapters.local.manifests import Manifest, ManifestError, ManifestFile
from setpoint.adapters.local.memory import Entry, Memory, RememberedFile, RememberedObject, recall, remember
from setpoint.adapters.local.tree import FoundFile, Signature, Tree, UnreadableError
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain import kinds
from setpoint.domain.digests import digest_bytes
from setpoint.domain.policies import GOVERNING_KINDS
from setpoint.ports import Code

_SETTLED_NS = 100_000_000
"""A file that was written this recently may be written again without its times moving: it is read again."""

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, slots=True)
class Inventory:
    """The objects that the manifests declare. `fresh` has the objects of files that were read for it.

    `complete` is False where the home could not be seen whole: then nothing may be concluded from absence. `unparsed`
    are files that most likely are none of ours: no error unless they once declared something.
    """

    entries: Mapping[ObjectRef, Entry]
    errors: tuple[ManifestError, ...]
    complete: bool
    fresh: Mapping[ObjectRef, JsonObject] = dataclasses.field(repr=False)
    unparsed: tuple[ManifestError, ...] = ()

    def knowing(self, sources: Collection[str]) -> "Inventory":
        """The same where these files declared objects before: one of them that can't be parsed is an error."""
        ours = tuple(error for error in self.unparsed if error.file in sources)
        return dataclasses.replace(self, errors=(*self.errors, *ours)) if ours else self

    def may_declare(self, ref: ObjectRef, path: str) -> bool:
        """True where the absence of an object of that file proves nothing."""
        if not self.complete:
            return True
        return any(
            error.ref == ref or error.file == path or path.startswith(error.file.rstrip("/") + "/")
            for error in self.errors
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """A file as it was last read. `settled`: as long as its signature stays, it need not be read again."""

    file: FoundFile
    settled: bool
    entries: tuple[Entry, ...]
    errors: tuple[ManifestError, ...]
    unparsed: ManifestError | None


class ManifestIndex:
    """The manifests of a home, by object."""

    def __init__(self, root: Path, codes: Sequence[Code], *, memory: Path | None = None) -> None:
        """`codes` know the files of sources. `memory` is the file in which processes remember what they read."""
        self._root = root
        self._codes = codes
        self._memory = memory
        self._recalled: Memory | None = None
        self._known: dict[str, _Known] = {}
        self._entries: dict[ObjectRef, Entry] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="setpoint-manifests")

    @property
    def root(self) -> Path:
        """The home's folder."""
        return self._root

    async def refresh(self) -> Inventory:
        """Looks at every file's times, reads those that changed."""
        return await self._run(self._refresh)

    async def read(self, ref: ObjectRef) -> JsonObject | None:
        """An object as its author wrote it, as its file has it now; None where no good manifest declares it."""
        return await self._run(lambda: self._find(ref, lambda manifest, _: manifest.object))

    async def serve(self, ref: ObjectRef) -> JsonObject | None:
        """The same as an API server would give it. For Secrets and ConfigMaps, which have no row in the store."""
        return await self._run(lambda: self._find(ref, _served))

    async def summaries(self, kind: str) -> tuple[JsonObject, ...]:
        """The objects of a kind without their content."""
        return await self._run(lambda: self._summaries(kind))

    async def recall(self) -> Mapping[ObjectRef, RememberedObject]:
        """The objects that were what their manifests say, as an earlier process knew: to be asked for once."""
        recalled, self._recalled = await self._run(self._recall), Memory()
        return recalled.objects

    async def remember(self, objects: Mapping[ObjectRef, RememberedObject]) -> None:
        """Tells later processes of these, and of the files as they are known."""
        if self._memory is not None:
            memory = self._memory
            await self._run(lambda: remember(memory, Memory(_rememberable(self._known), objects)))

    def _recall(self) -> Memory:
        if self._recalled is None:
            self._recalled = recall(self._memory) if self._memory is not None else Memory()
        return self._recalled

    async def close(self) -> None:
        """Ends the thread once its work is done."""
        await self._run(lambda: None)
        self._thread.shutdown(wait=False)

    def affected(self, paths: Collection[str], folders: Collection[str] = ()) -> frozenset[ObjectRef]:
        """The objects that are declared in these files, read them as their source, or use a Secret in them.

        Paths are below the home, as of the last refresh; `folders` are those of sources that reach one of them.
        """
        entries = tuple(self._entries.values())
        here = {entry.ref for entry in entries if entry.origin.path in paths}
        return frozenset(
            entry.ref
            for entry in entries
            if entry.ref in here or entry.secrets & here or entry.folder in folders or _overlaps(entry.folder, paths)
        )

    async def _run(self, fn: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, fn)

    def _refresh(self) -> Inventory:
        found = tree.walk(self._root, self._codes)
        fresh: dict[ObjectRef, JsonObject] = {}
        known: dict[str, _Known] = {}
        recalled = self._recall().files
        for path, file in found.files.items():
            before = self._known.get(path) or _as_remembered(file, recalled.get(path))
            if before is not None and before.settled and before.file.signature == file.signature:
                known[path] = before
            else:
                known[path], objects = _read(file, before)
                fresh |= objects
        self._known = known
        entries, errors = _merge(known, found)
        self._entries = entries
        unparsed = tuple(file.unparsed for file in known.values() if file.unparsed)
        return Inventory(entries, errors, found.complete, fresh, unparsed)

    def _find(self, ref: ObjectRef, show: Callable[[Manifest, FoundFile], JsonObject]) -> JsonObject | None:
        if self._is_stale(ref):
            self._refresh()
        entry = self._entries.get(ref)
        if entry is None:
            return None
        file = self._known[entry.origin.path].file
        return next((show(one, file) for one in _parse(file, lenient=True).manifests if one.ref == ref), None)

    def _is_stale(self, ref: ObjectRef) -> bool:
        entry = self._entries.get(ref)
        if entry is None:
            return True
        known = self._known[entry.origin.path]
        return not known.settled or tree.signature_of(known.file.real) != known.file.signature

    def _summaries(self, kind: str) -> tuple[JsonObject, ...]:
        self._refresh()
        found = [entry for entry in self._entries.values() if entry.ref.kind == kind]
        return tuple(_summary(entry, self._known[entry.origin.path].file.signature) for entry in found)


def _as_remembered(file: FoundFile, one: RememberedFile | None) -> _Known | None:
    """A file as an earlier process read it, where nobody has touched it since."""
    if one is None or (one.signature, one.among_code) != (file.signature, file.among_code):
        return None
    return _Known(file, True, one.entries, (), None)


def _rememberable(known: Mapping[str, _Known]) -> dict[str, RememberedFile]:
    """The files that are good, and were left alone for long enough to be known by their times."""
    return {
        path: RememberedFile(one.file.signature, one.file.among_code, one.entries)
        for path, one in known.items()
        if one.settled and not one.errors and one.unparsed is None
    }


def _read(file: FoundFile, before: _Known | None) -> tuple[_Known, dict[ObjectRef, JsonObject]]:
    """Reads one file. Among code it may be anything, unless it held manifests before."""
    read = _parse(file, lenient=file.among_code and not (before and before.entries))
    settled = time.time_ns() - max(file.signature[-2:]) > _SETTLED_NS
    entries = tuple(_entry(manifest) for manifest in read.manifests)
    return _Known(file, settled, entries, tuple(read.errors), read.unparsed), {
        one.ref: one.object for one in read.manifests
    }


def _parse(file: FoundFile, *, lenient: bool) -> ManifestFile:
    try:
        return manifests.parse(file.path, tree.read(file, documents.MAX_BYTES), lenient=lenient)
    except UnreadableError as error:
        return ManifestFile(errors=[_unreadable(file.path, error.message)])


def _unreadable(path: str, message: str) -> ManifestError:
    """An error for a path of which it is not known what is there: it may be gates."""
    return ManifestError(path, 0, "", message, governs=GOVERNING_KINDS)


def _entry(manifest: Manifest) -> Entry:
    obj = manifest.object
    if manifest.ref.kind in kinds.SEALED_KINDS:
        return Entry(manifest.ref, manifest.origin, "", labels=obj["metadata"].get("labels", {}))
    fingerprint = digest_bytes(json.dumps(obj, sort_keys=True).encode())
    spec = obj["spec"]
    folder = (spec.get("source") or {}).get("path") if isinstance(spec.get("source"), dict) else None
    base = posixpath.dirname(manifest.origin.path)
    return Entry(
        manifest.ref,
        manifest.origin,
        fingerprint,
        folder=None if folder is None else posixpath.normpath(posixpath.join(base, folder)),
        secrets=frozenset(ObjectRef("Secret", manifest.ref.namespace, name) for name in _secret_names(spec)),
    )


def _secret_names(value: Any) -> Iterator[str]:
    """The names under every `secretRef` of a spec."""
    if isinstance(value, dict):
        if isinstance(reference := value.get("secretRef"), dict):
            yield str(reference.get("name"))
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _secret_names(item)


def _merge(known: Mapping[str, _Known], found: Tree) -> tuple[dict[ObjectRef, Entry], tuple[ManifestError, ...]]:
    """All entries but those that stand in two places, and all errors in order of their file."""
    everything: dict[ObjectRef, list[Entry]] = {}
    errors = [_unreadable(path, message) for path, message in found.unreadable.items()]
    for file in known.values():
        errors += file.errors
        for entry in file.entries:
            everything.setdefault(entry.ref, []).append(entry)
    for entries in everything.values():
        errors += _duplicates(entries)
    unique = {ref: entries[0] for ref, entries in everything.items() if len(entries) == 1}
    return unique, tuple(sorted(errors, key=lambda error: (error.file, error.line)))


def _duplicates(entries: Sequence[Entry]) -> Iterator[ManifestError]:
    for entry in entries if len(entries) > 1 else ():
        others = ", ".join(str(other.origin) for other in entries if other is not entry)
        message = f"{entry.ref} is declared in {others} too; none of them is used"
        yield ManifestError(entry.origin.path, entry.origin.line, "metadata.name", message, entry.ref)


def _served(manifest: Manifest, file: FoundFile) -> JsonObject:
    content = kinds.content(kinds.kind_of(manifest.object), manifest.object)
    metadata = {**manifest.object["metadata"], "uid": _uid(manifest.ref), "resourceVersion": _version(file.signature)}
    return {"apiVersion": "v1", "kind": manifest.ref.kind, "metadata": metadata, **content}


def _summary(entry: Entry, signature: Signature) -> JsonObject:
    ref = entry.ref
    metadata = {
        "name": ref.name,
        "namespace": ref.namespace,
        "uid": _uid(ref),
        "resourceVersion": _version(signature),
        "labels": dict(entry.labels or {}),
    }
    return {"apiVersion": "v1", "kind": ref.kind, "metadata": metadata}


def _uid(ref: ObjectRef) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, ref.key))


def _version(signature: Signature) -> str:
    """Moves with the file. Made of its times alone: a digest of a Secret would tell of it."""
    return "-".join(map(str, signature[-2:]))


def _overlaps(folder: str | None, paths: Collection[str]) -> bool:
    """True where one of the paths is the folder, in it, or above it."""
    if folder is None:
        return False
    if folder == ".":
        return bool(paths)
    return any(path == folder or path.startswith(f"{folder}/") or folder.startswith(f"{path}/") for path in paths)
