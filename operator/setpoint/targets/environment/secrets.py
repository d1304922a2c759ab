"""Owns reading the Secrets that a spec refers to, and writing the one that receives outputs. Keeps nothing."""

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from setpoint.api.conditions import Reason
from setpoint.api.meta import PLAIN_ANNOTATION, JsonObject, ObjectRef
from setpoint.api.v1alpha1.environment import Environment, SecretReference
from setpoint.domain.errors import NotFoundError, StalledError
from setpoint.domain.scrubbing import Scrubber
from setpoint.domain.secret_values import plain_keys
from setpoint.domain.visible import visible
from setpoint.ports import ClusterClient, Notice
from setpoint.targets.environment.state_ports import StateStore

_MANAGED = {"app.kubernetes.io/managed-by": "setpoint"}
_MAX_NAMED = 5
_MAX_KEY = 253


@dataclasses.dataclass(frozen=True, slots=True)
class SecretKeys:
    """The keys of Secrets as text; `plain` are those that their Secrets name as no secrets."""

    values: Mapping[str, str] = dataclasses.field(repr=False)
    plain: frozenset[str] = frozenset()


class SecretReader:
    """Reads Secrets of one namespace. Errors name the spec's field and never a value."""

    def __init__(self, cluster: ClusterClient, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._notices: list[Notice] = []

    def take_notices(self) -> tuple[Notice, ...]:
        """Notices since this was last asked: of annotations that name no keys."""
        taken, self._notices = tuple(dict.fromkeys(self._notices)), []
        return taken

    async def read(self, name: str, *, field: str) -> dict[str, str]:
        """The keys of a Secret as text. Raises StalledError (SecretNotFound)."""
        return _text_of(await self._get(name, field), field, name)

    async def read_all(self, references: Sequence[SecretReference], *, field: str) -> SecretKeys:
        """The keys of several Secrets together; later ones win, plain or not."""
        merged: dict[str, str] = {}
        plain: frozenset[str] = frozenset()
        for index, reference in enumerate(references):
            name, place = reference.secret_ref.name, f"{field}[{index}].secretRef"
            secret = await self._get(name, place)
            keys = _text_of(secret, place, name)
            named, wrong = plain_keys(_annotations(secret).get(PLAIN_ANNOTATION), keys)
            if wrong:
                self._notices.append(_misnamed(place, name, wrong, keys))
            merged |= keys
            plain = (plain - keys.keys()) | named
        return SecretKeys(merged, plain)

    async def _get(self, name: str, field: str) -> JsonObject:
        try:
            return await self._cluster.get(ObjectRef("Secret", self._namespace, name))
        except NotFoundError:
            message = f"{field}: there is no Secret {self._namespace}/{name}"
            raise StalledError(Reason.SECRET_NOT_FOUND, message) from None


def _annotations(secret: JsonObject) -> Mapping[str, Any]:
    found = secret["metadata"].get("annotations")
    return found if isinstance(found, Mapping) else {}


def _misnamed(field: str, secret: str, wrong: Sequence[str], keys: Mapping[str, str]) -> Notice:
    """Somebody may have written a value in place of a name."""
    known = Scrubber(keys.values())
    shown = [visible(known.scrub(name))[:_MAX_KEY] or "nothing" for name in wrong[:_MAX_NAMED]]
    more = f" and {len(wrong) - _MAX_NAMED} more" if len(wrong) > _MAX_NAMED else ""
    text = (
        f"{field}: the annotation {PLAIN_ANNOTATION} of Secret {secret} names {', '.join(shown)}{more}, and must name "
        "keys of it, with commas between them; what it does not name stays hidden"
    )
    return Notice(Reason.PLAIN_KEY_UNKNOWN, text)


def _text_of(secret: JsonObject, field: str, name: str) -> dict[str, str]:
    decoded = {key: _decode(value, field, name, key) for key, value in (secret.get("data") or {}).items()}
    return decoded | dict(secret.get("stringData") or {})


def _decode(value: Any, field: str, name: str, key: str) -> str:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, ValueError):
        message = f"{field}: key {key} of Secret {name} is not base64 of UTF-8 text"
        raise StalledError(Reason.SECRET_NOT_FOUND, message) from None


async def publish_outputs(cluster: ClusterClient, states: StateStore, environment: Environment) -> bool:
    """Writes the outputs in an Environment's state to spec.outputsTo, where it has one; True where it was written."""
    target = environment.spec.outputs_to
    if target is None:
        return False
    try:
        outputs = json.loads(await states.read(environment.ref.key)).get("outputs") or {}
    except NotFoundError:
        return False
    ref = ObjectRef("Secret", environment.metadata.namespace, target.secret_ref.name)
    return await write_outputs(cluster, ref, {name: output["value"] for name, output in outputs.items()})


async def write_outputs(cluster: ClusterClient, ref: ObjectRef, outputs: Mapping[str, Any]) -> bool:
    """Makes the Secret hold exactly these outputs: strings as they are, others as JSON. True where it was written.

    Raises StalledError where a Secret of that name is somebody else's.
    """
    data = {key: base64.b64encode(_text(value).encode()).decode() for key, value in sorted(outputs.items())}
    try:
        current = await cluster.get(ref)
    except NotFoundError:
        await cluster.create(_output_secret(ref, data))
        return True
    if not _MANAGED.items() <= (current["metadata"].get("labels") or {}).items():
        message = f"spec.outputsTo.secretRef: Secret {ref.namespace}/{ref.name} exists and was not made by Setpoint"
        raise StalledError(Reason.INVALID_SPEC, message)
    if current.get("data") == data:
        return False
    await cluster.update({**current, "data": data})
    return True


def _output_secret(ref: ObjectRef, data: Mapping[str, str]) -> JsonObject:
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": dict(_MANAGED)}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": dict(data)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
