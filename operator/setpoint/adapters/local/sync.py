"""Owns bringing what the manifests declare into the cluster: creating, changing and deleting declared objects.

Never touches an object that no manifest declared, a status, or a file. What can't be read proves nothing: the
object stays as it is and carries the reason in an annotation.
"""

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from setpoint.adapters.local import rows
from setpoint.adapters.local.cluster import LocalCluster
from setpoint.adapters.local.index import Inventory, ManifestIndex
from setpoint.adapters.local.manifests import DECLARED_KINDS, ManifestError
from setpoint.adapters.local.memory import Entry, RememberedObject
from setpoint.api.meta import GROUP, MANIFEST_ERROR_ANNOTATION, PLAIN_ANNOTATION, JsonObject, ObjectRef
from setpoint.domain import objects
from setpoint.domain.errors import AlreadyExistsError, InvalidError, NotFoundError
from setpoint.domain.policies import GOVERNING_KINDS, Unread
from setpoint.ports import StoredObject

SETTLE_SECONDS = 0.5
"""Editors and git replace a file by removing it for a moment: what is gone must still be gone after this long."""
_COMMANDS = f"{GROUP}/"
_AT_ONCE = 64
_Outcome = Literal["created", "changed", "nothing"] | ManifestError


@dataclasses.dataclass(frozen=True, slots=True)
class SyncReport:
    """The changes that a sync made, and what is wrong with the manifests now."""

    created: tuple[ObjectRef, ...] = ()
    changed: tuple[ObjectRef, ...] = ()
    deleted: tuple[ObjectRef, ...] = ()
    errors: tuple[ManifestError, ...] = ()


class ManifestSync:
    """The manifests' way into the cluster. Several processes may sync one home."""

    def __init__(self, cluster: LocalCluster, index: ManifestIndex, *, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._cluster = cluster
        self._index = index
        self._settle_seconds = settle_seconds
        self._applied: dict[ObjectRef, tuple[str, str]] = {}
        self._began = False
        self._sources: dict[ObjectRef, str] = {}
        self._errors: tuple[ManifestError, ...] = ()
        self._one_at_a_time = asyncio.Lock()

    async def sync(self) -> SyncReport:
        """Reads what changed on disk and makes the cluster's objects those of the manifests. Raises StoreError."""
        async with self._one_at_a_time:
            return await self._sync()

    def unread(self) -> tuple[Unread, ...]:
        """The manifests that could not be read in the last sync, and may be gates or policies."""
        return tuple(
            Unread(str(error), error.governing, error.ref.name if error.ref else None)
            for error in self._errors
            if error.governing
        )

    def folder_of(self, ref: ObjectRef) -> Path:
        """The folder of the manifest that declares an object, as of the last sync; the home's where none does."""
        return (self._index.root / self._sources.get(ref, "")).parent if ref in self._sources else self._index.root

    def affected(self, paths: Collection[str], folders: Collection[str] = ()) -> frozenset[ObjectRef]:
        """The objects that a change of these files, or of these sources, is about; both given below the home."""
        return self._index.affected(paths, folders)

    async def _sync(self) -> SyncReport:
        inventory = await self._index.refresh()
        declared = await self._declared()
        await self._recall(declared)
        sources = {row.source for row in declared.values()}
        inventory = inventory.knowing(sources)
        if gone := _gone(declared, inventory):
            await asyncio.sleep(self._settle_seconds)
            later = (await self._index.refresh()).knowing(sources)
            inventory = dataclasses.replace(later, fresh={**inventory.fresh, **later.fresh})
            gone &= _gone(declared, inventory)
        # Known before anything is written: what a target is told first must find them.
        self._errors = tuple(dict.fromkeys([*inventory.errors, *self._errors]))
        applied = dict(self._applied)
        report = await self._apply(inventory, declared, gone)
        self._errors = report.errors
        if inventory.fresh or gone or applied != self._applied:
            await self._remember()
        return report

    async def _recall(self, declared: Mapping[ObjectRef, StoredObject]) -> None:
        """At first: which objects are what their manifests say, as an earlier process found; by the store's word."""
        if self._began:
            return
        self._began = True
        for ref, one in (await self._index.recall()).items():
            row = declared.get(ref)
            if row is not None and _is_as_remembered(row, one):
                self._applied[ref] = (one.path, one.fingerprint)

    async def _remember(self) -> None:
        rows = await self._declared()
        await self._index.remember(
            {
                ref: RememberedObject(path, fingerprint, rows[ref].uid, rows[ref].generation)
                for ref, (path, fingerprint) in self._applied.items()
                if ref in rows
            }
        )

    async def _declared(self) -> dict[ObjectRef, StoredObject]:
        declared: dict[ObjectRef, StoredObject] = {}
        for kind in DECLARED_KINDS:
            declared |= {row.ref: row for row in await self._cluster.declared(kind)}
        self._sources = {ref: row.source for ref, row in declared.items()}
        return declared

    async def _apply(
        self, inventory: Inventory, declared: Mapping[ObjectRef, StoredObject], gone: Iterable[ObjectRef]
    ) -> SyncReport:
        due = [entry for entry in inventory.entries.values() if self._is_due(entry, declared)]
        # Gates and policies come first: no target is to be observed under gates that are about to be others.
        governing = [entry for entry in due if entry.ref.kind in GOVERNING_KINDS]
        others = [entry for entry in due if entry.ref.kind not in GOVERNING_KINDS]
        errors = list(inventory.errors)
        done: dict[ObjectRef, _Outcome] = {}
        # Writes that wait together are committed together.
        for batch in (*_batches(governing), *_batches(others)):
            outcomes = await asyncio.gather(*(self._declare(entry, inventory, declared) for entry in batch))
            done |= {entry.ref: outcome for entry, outcome in zip(batch, outcomes, strict=True)}
        errors += [outcome for outcome in done.values() if isinstance(outcome, ManifestError)]
        await self._mark(errors, inventory, declared)
        return SyncReport(
            created=tuple(ref for ref, outcome in done.items() if outcome == "created"),
            changed=tuple(ref for ref, outcome in done.items() if outcome == "changed"),
            deleted=tuple([ref for ref in sorted(gone) if await self._delete(ref)]),
            errors=tuple(errors),
        )

    def _is_due(self, entry: Entry, declared: Mapping[ObjectRef, StoredObject]) -> bool:
        """True where the object is not there, or not known to be what the manifest says."""
        if entry.ref.kind not in DECLARED_KINDS:
            return False
        return entry.ref not in declared or self._applied.get(entry.ref) != (entry.origin.path, entry.fingerprint)

    async def _declare(
        self, entry: Entry, inventory: Inventory, declared: Mapping[ObjectRef, StoredObject]
    ) -> _Outcome:
        """Makes one object what its manifest says."""
        desired = inventory.fresh.get(entry.ref) or await self._index.read(entry.ref)
        if desired is None:
            # The file changed again since it was indexed: the next sync sees it.
            return "nothing"
        try:
            outcome = await self._write(entry, desired, declared.get(entry.ref))
        except InvalidError as error:
            return _refused(entry, error)
        self._applied[entry.ref] = (entry.origin.path, entry.fingerprint)
        self._sources[entry.ref] = entry.origin.path
        return outcome

    async def _write(self, entry: Entry, desired: JsonObject, row: StoredObject | None) -> _Outcome:
        source = entry.origin.path
        if row is not None and row.source == source and _is_as(rows.decode(row).object, desired):
            return "nothing"
        try:
            await self._cluster.create_declared(desired, source=source)
        except AlreadyExistsError:
            merge = functools.partial(_merged, desired=desired)
            return "changed" if await self._cluster.update_declared(entry.ref, merge, source) else "nothing"
        return "created"

    async def _delete(self, ref: ObjectRef) -> bool:
        self._applied.pop(ref, None)
        try:
            await self._cluster.delete(ref)
        except NotFoundError:
            return False
        return True

    async def _mark(
        self, errors: Iterable[ManifestError], inventory: Inventory, declared: Mapping[ObjectRef, StoredObject]
    ) -> None:
        """Tells each object what is wrong with its manifest. The next good one takes the annotation away."""
        for ref, mark in _marks(errors, inventory, declared).items():
            self._applied.pop(ref, None)
            with contextlib.suppress(NotFoundError):
                await self._cluster.annotate(ref, {MANIFEST_ERROR_ANNOTATION: mark})


def _is_as_remembered(row: StoredObject, one: RememberedObject) -> bool:
    """One that bears the mark of a bad manifest, or is being deleted, is not: its manifest has more to say."""
    same = (row.source, row.uid, row.generation) == (one.path, one.uid, one.generation)
    return same and MANIFEST_ERROR_ANNOTATION not in row.body and '"deletionTimestamp"' not in row.body


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    return (entries[start : start + _AT_ONCE] for start in range(0, len(entries), _AT_ONCE))


def _marks(
    errors: Iterable[ManifestError], inventory: Inventory, declared: Mapping[ObjectRef, StoredObject]
) -> dict[ObjectRef, str]:
    """The first error of each object: about it, or about the file that it stood in where it no longer does."""
    marks: dict[ObjectRef, str] = {}
    for error in errors:
        for ref, row in declared.items():
            if error.ref == ref or (ref not in inventory.entries and _is_in(row, error)):
                marks.setdefault(ref, str(error))
    return marks


def _gone(declared: Mapping[ObjectRef, StoredObject], inventory: Inventory) -> set[ObjectRef]:
    """The objects whose manifest is really gone, and that are not being deleted already."""
    return {
        ref
        for ref, row in declared.items()
        if ref not in inventory.entries
        and not inventory.may_declare(ref, row.source)
        and "deletionTimestamp" not in rows.decode(row).object["metadata"]
    }


def _is_in(row: StoredObject, error: ManifestError) -> bool:
    """True where the error is about the file of this object, or a folder above it."""
    return error.file in {".", row.source} or row.source.startswith(f"{error.file.rstrip('/')}/")


def _refused(entry: Entry, error: InvalidError) -> ManifestError:
    message = error.message.removeprefix(f"{error.field}: ")
    return ManifestError(entry.origin.path, entry.origin.line, error.field, message, entry.ref)


def _is_as(current: JsonObject, desired: JsonObject) -> bool:
    if "deletionTimestamp" in current["metadata"]:
        return False
    declared = {name: value for name, value in current.items() if name != "status"}
    return objects.update(declared, _merged(declared, desired)) == declared


def _merged(current: JsonObject, desired: JsonObject) -> JsonObject:
    """The manifest's object with what commands and the manager wrote into the current one's metadata."""
    there = current["metadata"]
    commanded = {
        name: value
        for name, value in there.get("annotations", {}).items()
        if name.startswith(_COMMANDS) and name not in {MANIFEST_ERROR_ANNOTATION, PLAIN_ANNOTATION}
    }
    kept = {name: there[name] for name in ("finalizers", "ownerReferences") if name in there}
    metadata = {**desired["metadata"], **kept}
    metadata["annotations"] = {**desired["metadata"].get("annotations", {}), **commanded}
    return {**desired, "metadata": metadata}
