"""Owns what one process tells the next of manifests that it read, so that a file that nobody touched is read once.

A file is known by its signature, as within one process. Good files alone are remembered: what is wrong with another is
found, and said, again. An object counts as what its manifest says only as long as the store has it in the generation
that it had then. This is a cache: lost, damaged or of another version, everything is read anew.
"""

import contextlib
import dataclasses
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setpoint import __version__
from setpoint.adapters.local.manifests import Origin
from setpoint.adapters.local.tree import Signature
from setpoint.api.meta import ObjectRef

_FORMAT = [1, __version__]
_LIMIT = 64 << 20
_DAMAGED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One declared object. `fingerprint` tells contents apart; that of a Secret is empty, since it would tell of it.

    `folder` is what its spec.source.path reads, below the home; `secrets` are those that its spec names.
    """

    ref: ObjectRef
    origin: Origin
    fingerprint: str
    labels: Mapping[str, str] | None = None
    folder: str | None = None
    secrets: frozenset[ObjectRef] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class RememberedFile:
    """A good file, and what it declares."""

    signature: Signature
    among_code: bool
    entries: tuple[Entry, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class RememberedObject:
    """An object that was what its manifest says: the one with this content, when it had this uid and generation."""

    path: str
    fingerprint: str
    uid: str
    generation: int


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered, by path and by object."""

    files: Mapping[str, RememberedFile] = dataclasses.field(default_factory=dict)
    objects: Mapping[ObjectRef, RememberedObject] = dataclasses.field(default_factory=dict)


def recall(path: Path) -> Memory:
    """The memory that the file holds; an empty one where it can't be used."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return Memory()
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size > _LIMIT:
            return Memory()
        with os.fdopen(handle, "rb", closefd=False) as file:
            return _decode(json.loads(file.read(_LIMIT)))
    except (OSError, *_DAMAGED):
        return Memory()
    finally:
        os.close(handle)


def remember(path: Path, memory: Memory) -> None:
    """Writes the file anew; where that fails, the next process reads all manifests."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = json.dumps(_encode(memory), separators=(",", ":"))
    with contextlib.suppress(OSError):
        try:
            handle = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _encode(memory: Memory) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "files": {
            path: [file.signature, file.among_code, [_entry_row(entry) for entry in file.entries]]
            for path, file in memory.files.items()
        },
        "objects": [
            [*_ref_row(ref), one.path, one.fingerprint, one.uid, one.generation] for ref, one in memory.objects.items()
        ],
    }


def _decode(value: Any) -> Memory:
    if value["format"] != _FORMAT:
        return Memory()
    files = {
        path: RememberedFile(tuple(signature), among_code is True, tuple(_entry(path, row) for row in rows))
        for path, (signature, among_code, rows) in value["files"].items()
    }
    objects = {ObjectRef(*row[:3]): RememberedObject(*row[3:]) for row in value["objects"]}
    return Memory(files, objects)


def _ref_row(ref: ObjectRef) -> list[str]:
    return [ref.kind, ref.namespace, ref.name]


def _entry_row(entry: Entry) -> list[Any]:
    labels = None if entry.labels is None else dict(entry.labels)
    secrets = sorted(secret.name for secret in entry.secrets)
    place = (entry.origin.index, entry.origin.line)
    return [*_ref_row(entry.ref), *place, entry.fingerprint, labels, entry.folder, secrets]


def _entry(path: str, row: list[Any]) -> Entry:
    kind, namespace, name, index, line, fingerprint, labels, folder, secrets = row
    named = frozenset(ObjectRef("Secret", namespace, secret) for secret in secrets)
    return Entry(ObjectRef(kind, namespace, name), Origin(path, index, line), fingerprint, labels, folder, named)
