"""Owns which documents of a file are manifests, and whether they are good. Reads no file, writes no object.

A manifest is a document of group setpoint.dev, or a v1 Secret or ConfigMap. Everything else is somebody else's.
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from setpoint.adapters.local import documents
from setpoint.adapters.local.documents import Document, DocumentError
from setpoint.adapters.local.tree import printable
from setpoint.api.meta import API_VERSION, GROUP, JsonObject, ObjectRef
from setpoint.domain import kinds, objects
from setpoint.domain.kinds import Kind, Path, Problem

DECLARED_KINDS = ("Environment", "PolicySet", "EnforcementGates")
"""Kinds that people declare in files and that become objects of the store."""
_MADE_BY = {
    "Approval": "made by 'setpoint approve' and 'setpoint reject'",
    "Reset": "made by 'setpoint reset'",
    "Change": "made by the manager",
    "Snapshot": "made by the manager",
}
_RESERVED = f"{GROUP}/"
_DEFAULT_NAMESPACE = "default"
_MENTION = re.compile(rb"setpoint\.dev\b")


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where a manifest stands: file below the home, number of the document in it, line."""

    path: str
    index: int
    line: int

    def __str__(self) -> str:
        return f"{printable(self.path)}:{self.line}"


@dataclasses.dataclass(frozen=True, slots=True)
class ManifestError:
    """What is wrong with a file or manifest. `line` is 0 and `field` empty where it is about the whole.

    `ref` is the object that is meant, where that much could be read.
    """

    file: str
    line: int
    field: str
    message: str
    ref: ObjectRef | None = None

    def __str__(self) -> str:
        place = f"{printable(self.file)}:{self.line}" if self.line else printable(self.file)
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """An object as its author wrote it, in a namespace, without what only a home may write."""

    ref: ObjectRef
    origin: Origin
    object: JsonObject = dataclasses.field(repr=False)


@dataclasses.dataclass(slots=True)
class ManifestFile:
    """What a file holds."""

    manifests: list[Manifest] = dataclasses.field(default_factory=list)
    errors: list[ManifestError] = dataclasses.field(default_factory=list)


def parse(path: str, data: bytes, *, lenient: bool) -> ManifestFile:
    """Reads the manifests in a file's bytes. `lenient`: a file that can't be parsed may be none of ours."""
    found = ManifestFile()
    json = path.endswith(".json")
    try:
        for index, document in enumerate(documents.parse(data, json=json)):
            _take(found, path, index, document)
    except DocumentError as error:
        if found.manifests or found.errors or _MENTION.search(data) or not (lenient or json):
            found.errors.append(ManifestError(path, error.line, "", error.message))
    return found


def _take(found: ManifestFile, path: str, index: int, document: Document) -> None:
    value = document.value
    if not isinstance(value, dict) or not _is_ours(value):
        return
    origin = Origin(path, index, document.line_of(()))
    ref = _ref(value)
    problems = [*document.problems, *_problems(value)][:10]
    if problems or ref is None:
        found.errors += [
            ManifestError(path, document.line_of(problem.path), problem.field, problem.message, ref)
            for problem in problems
        ]
        return
    found.manifests.append(Manifest(ref, origin, _declared(value, ref)))


def _is_ours(value: JsonObject) -> bool:
    version, kind = value.get("apiVersion"), value.get("kind")
    if version == "v1" and kind == "List":
        items = value.get("items")
        return isinstance(items, list) and any(isinstance(item, dict) and _is_ours(item) for item in items)
    return (version == "v1" and kind in kinds.SEALED_KINDS) or str(version).partition("/")[0] == GROUP


def _ref(value: JsonObject) -> ObjectRef | None:
    """Which object a document means, if it says so."""
    kind = kinds.BY_NAME.get(str(value.get("kind")))
    metadata = value.get("metadata")
    if kind is None or not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return None
    namespace = str(metadata.get("namespace") or _DEFAULT_NAMESPACE) if kind.namespaced else ""
    return ObjectRef(kind.name, namespace, metadata["name"])


def _problems(value: JsonObject) -> Iterator[Problem]:
    """What is wrong with a document that means to be a manifest."""
    kind = kinds.BY_NAME.get(str(value.get("kind")))
    if kind is None or kind.name in _MADE_BY or value["apiVersion"] != kind.api_version:
        yield _unfit(value, kind)
        return
    yield from objects.metadata_problems(kind, _placed(kind, value))
    yield from _reserved(value)
    yield from kinds.problems(kind, {name: item for name, item in value.items() if name != "status"})


def _unfit(value: JsonObject, kind: Kind | None) -> Problem:
    """Why no object can be made of a document of that kind."""
    if value.get("kind") == "List":
        return Problem(("kind",), "a List is not read; write one document for each object, with --- between them")
    if kind is None:
        return Problem(("kind",), f"unknown kind; one of {', '.join(DECLARED_KINDS)}")
    if kind.name in _MADE_BY:
        return Problem(("kind",), f"a {kind.name} is {_MADE_BY[kind.name]}, never declared in a file")
    return Problem(("apiVersion",), f"must be {API_VERSION if kind.model else kind.api_version}")


def _reserved(value: JsonObject) -> Iterator[Problem]:
    metadata = value.get("metadata")
    annotations: Any = metadata.get("annotations") if isinstance(metadata, dict) else None
    for key in annotations if isinstance(annotations, dict) else ():
        if key.startswith(_RESERVED):
            path: Path = ("metadata", "annotations", key)
            yield Problem(path, "is set by commands such as 'setpoint suspend', never in a file")


def _placed(kind: Kind, value: JsonObject) -> JsonObject:
    """The document with the namespace that it has where it names none."""
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not kind.namespaced or metadata.get("namespace"):
        return value
    return {**value, "metadata": {**metadata, "namespace": _DEFAULT_NAMESPACE}}


def _declared(value: JsonObject, ref: ObjectRef) -> JsonObject:
    """The object without status and without metadata that only a home may write."""
    metadata = {"name": ref.name} | ({"namespace": ref.namespace} if ref.namespace else {})
    metadata |= {name: value["metadata"][name] for name in ("labels", "annotations") if value["metadata"].get(name)}
    rest = {name: item for name, item in value.items() if name not in {"metadata", "status"}}
    return {**rest, "metadata": metadata}
