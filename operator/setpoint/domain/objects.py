"""Owns what a write does to an object: metadata, generations, finalizers, the status apart. Pure.

The rules are the Kubernetes API's (API conventions, "Metadata" and "Concurrency control"; "Finalizers" in its
documentation). resourceVersions are the home's: they come in as text and are only compared. Every function returns
a new object and leaves what it was given alone; one that equals the old object stands for a write that is none.
"""

import copy
import itertools
import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain import kinds
from setpoint.domain.errors import ConflictError, InvalidError
from setpoint.domain.kinds import Problem

LabelSelector = Mapping[str, str | Set[str]]
"""Labels with the value, or one of the values, that an object must carry of each."""

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_MAX_ANNOTATION_BYTES = 256 << 10
_MAX_BYTES = 3 << 19
"""1.5 MiB: what etcd, and so a Kubernetes API server, takes."""
_KEPT = (
    "name",
    "namespace",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_WRITABLE = ("labels", "annotations", "finalizers", "ownerReferences")


def create(obj: JsonObject, *, uid: str, now: str) -> JsonObject:
    """The object as it is stored: checked, complete, of generation 1, without status. Raises InvalidError."""
    kind = kinds.kind_of(obj)
    metadata = _metadata(kind, obj)
    identity = {"name": metadata["name"], "uid": uid, "generation": 1, "creationTimestamp": now}
    if kind.namespaced:
        identity["namespace"] = metadata["namespace"]
    return _frame(kind, identity | _writable(metadata), kinds.content(kind, obj))


def update(current: JsonObject, desired: JsonObject) -> JsonObject:
    """The object with the desired content, labels, annotations, finalizers and owners; raises InvalidError.

    The status stays. The generation rises when the content changes. Content of an immutable kind can't change, and
    what is being deleted gets no new finalizers.
    """
    kind = kinds.kind_of(desired)
    metadata = _metadata(kind, desired)
    content = kinds.content(kind, desired)
    kept = {name: current["metadata"][name] for name in _KEPT if name in current["metadata"]}
    written = _writable(metadata)
    if metadata.get("deletionTimestamp") not in {None, kept.get("deletionTimestamp")}:
        raise InvalidError("is immutable", field="metadata.deletionTimestamp")
    _check_finalizers(current, written.get("finalizers", []))
    if not _is_content(kind, current, content):
        if kind.immutable:
            raise InvalidError("is immutable; make another object instead", field="spec")
        kept["generation"] += 1
    status = {"status": current["status"]} if "status" in current else {}
    return _frame(kind, kept | written, content | copy.deepcopy(status))


def set_finalizers(current: JsonObject, finalizers: Sequence[str]) -> JsonObject:
    """The object with these finalizers and nothing else changed. Raises InvalidError."""
    return update(current, current | {"metadata": current["metadata"] | {"finalizers": [*finalizers]}})


def update_status(current: JsonObject, desired: JsonObject) -> JsonObject:
    """The object with the desired status and nothing else changed. Raises InvalidError."""
    kind = kinds.kind_of(current)
    status = desired.get("status") or {}
    for problem in kinds.status_problems(kind, status, current.get("status")):
        raise problem.as_error()
    written = copy.deepcopy({name: value for name, value in current.items() if name != "status"})
    return _sized(written | {"status": copy.deepcopy(status)} if status else written)


def annotate(current: JsonObject, annotations: Mapping[str, str | None]) -> JsonObject:
    """The object with annotations set, or removed where None. Raises InvalidError."""
    metadata = current["metadata"]
    merged = {**metadata.get("annotations", {}), **annotations}
    kept = {name: value for name, value in merged.items() if value is not None}
    for problem in _map_problems("annotations", kept):
        raise problem.as_error()
    written = copy.deepcopy(current)
    written["metadata"].pop("annotations", None)
    if kept:
        written["metadata"]["annotations"] = kept
    return _sized(written)


def delete(current: JsonObject, *, now: str) -> JsonObject | None:
    """The object with its deletionTimestamp, or None where no finalizer holds it. Deleting once more changes nothing.

    The deletion is a new generation, as with Kubernetes: controllers compare it with what they observed.
    """
    metadata = current["metadata"]
    if not metadata.get("finalizers"):
        return None
    if "deletionTimestamp" in metadata:
        return current
    stamped = {"deletionTimestamp": now, "deletionGracePeriodSeconds": 0, "generation": metadata["generation"] + 1}
    return copy.deepcopy(current) | {"metadata": copy.deepcopy(metadata) | stamped}


def recall(current: JsonObject) -> JsonObject:
    """The object without its deletionTimestamp: what declares it is there again. A new generation, as the deletion was.

    Only a home whose manifests decide what there is can do that; with Kubernetes a deletion is never taken back.
    """
    metadata = copy.deepcopy(current["metadata"])
    if metadata.pop("deletionTimestamp", None) is None:
        return current
    metadata.pop("deletionGracePeriodSeconds", None)
    return current | {"metadata": metadata | {"generation": metadata["generation"] + 1}}


def is_gone(obj: JsonObject) -> bool:
    """True where a deleted object has lost its last finalizer: it is to be removed."""
    return "deletionTimestamp" in obj["metadata"] and not obj["metadata"].get("finalizers")


def check_version(current: JsonObject, resource_version: str, desired: JsonObject) -> None:
    """Raises ConflictError where the desired object was made from another version, or from a namesake."""
    metadata = desired["metadata"]
    uid = metadata.get("uid") or current["metadata"]["uid"]
    if metadata.get("resourceVersion") != resource_version or uid != current["metadata"]["uid"]:
        raise ConflictError(f"{ObjectRef.of(current)} was changed since it was read")


def has_labels(obj: JsonObject, labels: LabelSelector | None) -> bool:
    """True where the object carries all of these labels, each with its value or one of its values."""
    carried = obj["metadata"].get("labels", {})
    return all(
        carried.get(key) == wanted if isinstance(wanted, str) else carried.get(key) in wanted
        for key, wanted in (labels or {}).items()
    )


def metadata_problems(kind: kinds.Kind, obj: JsonObject) -> tuple[Problem, ...]:
    """The problems of an object's metadata, as far as people write it."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        return (Problem(("metadata",), "is required" if metadata is None else "must be a map"),)
    found = [*_name_problems(metadata), *_namespace_problems(kind, metadata)]
    for name in ("labels", "annotations"):
        found += _map_problems(name, metadata.get(name) or {})
    return (*found, *_list_problems(metadata))


def _metadata(kind: kinds.Kind, obj: JsonObject) -> JsonObject:
    for problem in metadata_problems(kind, obj):
        raise problem.as_error()
    metadata: JsonObject = obj["metadata"]
    return metadata


def _writable(metadata: JsonObject) -> JsonObject:
    return {name: copy.deepcopy(metadata[name]) for name in _WRITABLE if metadata.get(name)}


def _content(obj: JsonObject) -> JsonObject:
    return {name: value for name, value in obj.items() if name not in {"apiVersion", "kind", "metadata", "status"}}


def _is_content(kind: kinds.Kind, current: JsonObject, content: JsonObject) -> bool:
    """True where the object has that content, if need be with the defaults of fields that are newer than it."""
    stored = _content(current)
    return stored == content or (not kinds.problems(kind, stored) and kinds.content(kind, stored) == content)


def _frame(kind: kinds.Kind, metadata: JsonObject, rest: JsonObject) -> JsonObject:
    return _sized({"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **rest})


def _sized(obj: JsonObject) -> JsonObject:
    if len(json.dumps(obj, ensure_ascii=False).encode()) > _MAX_BYTES:
        raise InvalidError("the object is larger than 1.5 MiB")
    return obj


def _check_finalizers(current: JsonObject, desired: list[str]) -> None:
    metadata = current["metadata"]
    if "deletionTimestamp" in metadata and set(desired) - set(metadata.get("finalizers", [])):
        raise InvalidError("no new finalizers while the object is being deleted", field="metadata.finalizers")


def _name_problems(metadata: JsonObject) -> tuple[Problem, ...]:
    name = metadata.get("name")
    if name is None or name == "":
        return (Problem(("metadata", "name"), "is required"),)
    if isinstance(name, str) and len(name) <= 253 and _SUBDOMAIN.fullmatch(name):
        return ()
    message = "must be lower-case letters, digits, '-' and '.', begin and end with a letter or digit, at most 253"
    return (Problem(("metadata", "name"), message),)


def _namespace_problems(kind: kinds.Kind, metadata: JsonObject) -> tuple[Problem, ...]:
    namespace = metadata.get("namespace") or ""
    if not kind.namespaced:
        return (Problem(("metadata", "namespace"), f"a {kind.name} has no namespace"),) if namespace else ()
    if isinstance(namespace, str) and _DNS_LABEL.fullmatch(namespace):
        return ()
    message = "must be lower-case letters, digits and '-', begin and end with a letter or digit, at most 63"
    return (Problem(("metadata", "namespace"), message),)


def _map_problems(field: str, given: Any) -> tuple[Problem, ...]:
    if not isinstance(given, dict):
        return (Problem(("metadata", field), "must be a map of text to text"),)
    found = list(itertools.chain.from_iterable(_entry_problems(field, key, value) for key, value in given.items()))
    if not found and field == "annotations" and sum(len(k) + len(v) for k, v in given.items()) > _MAX_ANNOTATION_BYTES:
        found.append(Problem(("metadata", field), "must be at most 256 KiB"))
    return tuple(found)


def _entry_problems(field: str, key: str, value: Any) -> tuple[Problem, ...]:
    if not _is_qualified(key):
        return (
            Problem(("metadata", field), "a key is a word of at most 63 characters, after a domain and '/' or none"),
        )
    if not isinstance(value, str):
        return (Problem(("metadata", field, key), "must be text; put it in quotes"),)
    if field == "labels" and value and not _WORD.fullmatch(value):
        return (Problem(("metadata", field, key), "must be letters, digits, '-', '_' and '.', at most 63"),)
    return ()


def _list_problems(metadata: JsonObject) -> tuple[Problem, ...]:
    finalizers = metadata.get("finalizers") or []
    if not isinstance(finalizers, list) or not all(isinstance(one, str) and _is_qualified(one) for one in finalizers):
        return (Problem(("metadata", "finalizers"), "must be a list of names such as example.com/name"),)
    if not isinstance(metadata.get("ownerReferences") or [], list):
        return (Problem(("metadata", "ownerReferences"), "must be a list"),)
    return ()


def _is_qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(_WORD.fullmatch(name)) and (not slash or (len(prefix) <= 253 and bool(_SUBDOMAIN.fullmatch(prefix))))
