"""Owns how an object becomes a row of the ObjectStore, and back. Knows no rule of what a write may do.

A row's body is the object's JSON text, less its resourceVersion, which is the row's. Two fields of ours stand beside
the object's own: at which version of the store it was made, for watches, and the blob that holds its sealed content.
"""

import dataclasses
import json

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.earlier_forms import of_today
from setpoint.domain.errors import LostBlobError, NotFoundError
from setpoint.domain.kinds import SEALED_KINDS
from setpoint.ports import BlobStore, StoredObject

_CREATED = "x-created-after"
_SEALED = "x-sealed"
_CONTENT = ("data", "binaryData")


def encode(obj: JsonObject, *, created_after: int, source: str, sealed: str | None = None) -> StoredObject:
    """The row of an object. `sealed` names the blob that holds its content."""
    body = {name: value for name, value in obj.items() if sealed is None or name not in _CONTENT}
    body[_CREATED] = created_after
    if sealed is not None:
        body[_SEALED] = sealed
    metadata = obj["metadata"]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return StoredObject(ObjectRef.of(obj), metadata["uid"], metadata["generation"], text, source)


@dataclasses.dataclass(frozen=True, slots=True)
class DecodedRow:
    """An object, without its resourceVersion and sealed content, and what its row says beside it."""

    row: StoredObject
    object: JsonObject
    created_after: int
    sealed: str | None

    def shown(self) -> JsonObject:
        """The object with its resourceVersion."""
        return with_version(self.object, self.row.version)


def decode(row: StoredObject) -> DecodedRow:
    """Reads a row; an object that an earlier version wrote is in the form of today."""
    body = json.loads(row.body)
    created_after, sealed = int(body.pop(_CREATED, 0)), body.pop(_SEALED, None)
    return DecodedRow(row, of_today(body), created_after, sealed)


def with_version(obj: JsonObject, version: int) -> JsonObject:
    """The object with a resourceVersion."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}


async def seal(obj: JsonObject, blobs: BlobStore) -> str | None:
    """Seals the content of a Secret or ConfigMap; the blob's digest. None for the other kinds."""
    if obj["kind"] not in SEALED_KINDS:
        return None
    content = {name: obj[name] for name in _CONTENT if name in obj}
    return await blobs.put(json.dumps(content, sort_keys=True).encode())


async def unseal(decoded: DecodedRow, blobs: BlobStore) -> DecodedRow:
    """The row with its sealed content in the object."""
    if decoded.sealed is None:
        return decoded
    try:
        content = json.loads(await blobs.get(decoded.sealed))
    except NotFoundError:
        raise LostBlobError.gone(f"the content of {decoded.row.ref}", decoded.sealed) from None
    return dataclasses.replace(decoded, object={**decoded.object, **content})
