"""Owns which documents of a file are manifests, and whether they are good. Reads no file, writes no object.

A manifest is a document of group setpoint.dev, or a v1 Secret or ConfigMap. Everything else is somebody else's.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterator
from typing import Any

from setpoint.adapters.local import documents
from setpoint.adapters.local.documents import Document, DocumentError
from setpoint.api.meta import API_VERSION, GROUP, PLAIN_ANNOTATION, JsonObject, ObjectRef
from setpoint.api.target import TARGET_KINDS
from setpoint.domain import kinds, objects
from setpoint.domain.kinds import Kind, Path, Problem
from setpoint.domain.policies import GOVERNING_KINDS
from setpoint.domain.visible import visible

DECLARED_KINDS = (*TARGET_KINDS, "PolicySet", "EnforcementGates")
"""Kinds that people declare in files and that become objects of the store."""
_MADE_BY = {
    "Approval": "made by 'setpoint approve' and 'setpoint reject'",
    "Reset": "made by 'setpoint reset'",
    "Change": "made by the manager",
    "Snapshot": "made by the manager",
}
_RESERVED = f"{GROUP}/"
_DEFAULT_NAMESPACE = "default"
_LIST = "a List is not read; write one document for each object, with --- between them"
_ALIKE = 0.8
"""The likeness from which another group is taken for ours, mistyped: setpoint.dv is, setup.dev is not."""
_MENTION = re.compile(rb"setpoint\.dev\b|EnforcementGates")
_GOVERNS = re.compile(rb"gates\b|enforcement|policy_?-?set", re.IGNORECASE)
"""A word by which a text that does not parse may be gates or policies."""
_GATES = "enforcementgate"
_NONE: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """The place of a manifest: file below the home, number of the document in it, line."""

    path: str
    index: int
    line: int

    def __str__(self) -> str:
        return f"{visible(self.path)}:{self.line}"


@dataclasses.dataclass(frozen=True, slots=True)
class ManifestError:
    """An error in a file or manifest. `line` is 0 and `field` empty where it is about the whole.

    `ref` is the object that is meant, where that much could be read; else `governs` has the kinds of governance that it
    may be.
    """

    file: str
    line: int
    field: str
    message: str
    ref: ObjectRef | None = None
    governs: frozenset[str] = _NONE

    @property
    def governing(self) -> frozenset[str]:
        """The kinds of governance that it may be; none for what can be no gate and no policy."""
        return GOVERNING_KINDS & {self.ref.kind} if self.ref else self.governs

    def __str__(self) -> str:
        place = f"{visible(self.file)}:{self.line}" if self.line else visible(self.file)
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """An object as its author wrote it, in a namespace, without what only a home may write."""

    ref: ObjectRef
    origin: Origin
    object: JsonObject = dataclasses.field(repr=False)


@dataclasses.dataclass(slots=True)
class ManifestFile:
    """The content of a file. `unparsed` is why it may hold more, where it is most likely none of ours."""

    manifests: list[Manifest] = dataclasses.field(default_factory=list)
    errors: list[ManifestError] = dataclasses.field(default_factory=list)
    unparsed: ManifestError | None = None


def parse(path: str, data: bytes, *, lenient: bool) -> ManifestFile:
    """Reads the manifests in a file's bytes. `lenient`: a file that can't be parsed may be none of ours."""
    found = ManifestFile()
    json = path.lower().endswith(".json")
    try:
        for index, document in enumerate(documents.parse(data, json=json)):
            _take(found, path, index, document)
    except DocumentError as error:
        governs = GOVERNING_KINDS if error.blind or _GOVERNS.search(data) else _NONE
        problem = ManifestError(path, error.line, "", error.message, governs=governs)
        if found.manifests or found.errors or _MENTION.search(data) or not (lenient or json):
            found.errors.append(problem)
        else:
            found.unparsed = problem
    return found


def _take(found: ManifestFile, path: str, index: int, document: Document) -> None:
    value = document.value
    if not _is_ours(value):
        return
    origin = Origin(path, index, document.line_of(()))
    ref = _ref(value)
    problems = [*document.problems, *_problems(value)][:10]
    if problems or ref is None:
        governs = _governs(value)
        found.errors += [
            ManifestError(path, document.line_of(problem.path), problem.field, problem.message, ref, governs)
            for problem in problems
        ]
        return
    found.manifests.append(Manifest(ref, origin, _declared(value, ref)))


def _is_ours(value: Any) -> bool:
    """True where a document is one of ours, or was evidently meant to be: a mistyped one must not be passed over."""
    if isinstance(value, list):
        return any(_is_ours(item) for item in value if isinstance(item, dict))
    if not isinstance(value, dict):
        return False
    version, kind = str(value.get("apiVersion")), str(value.get("kind"))
    if version == "v1" and kind == "List":
        return isinstance(value.get("items"), list) and _is_ours(value["items"])
    if version == "v1" and kind in kinds.SEALED_KINDS:
        return True
    group = version.partition("/")[0]
    return group == GROUP or _is_gates(kind) or _is_nearly_ours(value, group)


def _is_gates(kind: str) -> bool:
    """True for a word that nobody else uses, however it is inflected."""
    return kind.lower().replace("-", "").replace("_", "").startswith(_GATES)


def _is_nearly_ours(value: JsonObject, group: str) -> bool:
    """True for a PolicySet whose group is missing or mistyped: others have one, too."""
    if value.get("kind") != "PolicySet":
        return False
    if "apiVersion" not in value:
        return isinstance(value.get("metadata"), dict) and isinstance(value.get("spec"), dict)
    return difflib.SequenceMatcher(None, group.lower(), GROUP).ratio() > _ALIKE


def _governs(value: Any) -> frozenset[str]:
    """The kinds of governance that an unreadable document may be of: both where its own kind is not known."""
    kind = str(value.get("kind")) if isinstance(value, dict) else ""
    if kind in kinds.BY_NAME:
        return GOVERNING_KINDS & {kind}
    return frozenset({"EnforcementGates"}) if _is_gates(kind) else GOVERNING_KINDS


def _ref(value: Any) -> ObjectRef | None:
    """The object that a document means, if it says so."""
    if not isinstance(value, dict):
        return None
    kind = kinds.BY_NAME.get(str(value.get("kind")))
    metadata = value.get("metadata")
    if kind is None or not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return None
    namespace = str(metadata.get("namespace") or _DEFAULT_NAMESPACE) if kind.namespaced else ""
    return ObjectRef(kind.name, namespace, metadata["name"])


def _problems(value: Any) -> Iterator[Problem]:
    """The problems of a document that means to be a manifest."""
    if not isinstance(value, dict):
        yield Problem((), _LIST)
        return
    kind = kinds.BY_NAME.get(str(value.get("kind")))
    if kind is None or kind.name in _MADE_BY or value.get("apiVersion") != kind.api_version:
        yield _unfit(value, kind)
        return
    yield from objects.metadata_problems(kind, _placed(kind, value))
    yield from _reserved(value)
    yield from kinds.problems(kind, {name: item for name, item in value.items() if name != "status"})


def _unfit(value: JsonObject, kind: Kind | None) -> Problem:
    """Why no object can be made of a document of that kind."""
    if value.get("kind") == "List":
        return Problem(("kind",), _LIST)
    if kind is None:
        return Problem(("kind",), f"unknown kind; one of {', '.join(DECLARED_KINDS)}")
    if kind.name in _MADE_BY:
        return Problem(("kind",), f"a {kind.name} is {_MADE_BY[kind.name]}, never declared in a file")
    return Problem(("apiVersion",), f"must be {API_VERSION if kind.model else kind.api_version}")


def _reserved(value: JsonObject) -> Iterator[Problem]:
    metadata = value.get("metadata")
    annotations: Any = metadata.get("annotations") if isinstance(metadata, dict) else None
    for key in annotations if isinstance(annotations, dict) else ():
        if key.startswith(_RESERVED) and not (key == PLAIN_ANNOTATION and value.get("kind") == "Secret"):
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
