"""Owns what Setpoint reads in a Terraform state file. Pure.

States are large and hold secrets: nothing here keeps or quotes values of attributes, ids apart, and resources are
decoded one at a time, so that a thread that parses 64 MB lets others run in between.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from setpoint.domain.errors import InvalidError

FORMAT = 4
"""The state format of Terraform 0.12 and newer, and of OpenTofu."""
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceInstance:
    """One managed resource instance. `deposed` is the key of an object that awaits its destruction, else empty.

    `id` is empty where its type has none. It may be sensitive: compare it, show it to nobody.
    """

    address: str
    deposed: str = ""
    type: str = ""
    id: str = dataclasses.field(default="", repr=False)
    tainted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class StateFacts:
    """The facts that a state file tells about itself; `instances` are the managed ones, in the file's order."""

    lineage: str
    serial: int
    terraform_version: str
    instances: tuple[ResourceInstance, ...]


def parse(data: bytes) -> StateFacts:
    """Reads a state file. Raises InvalidError for anything that Terraform's format 4 is not."""
    try:
        fields, instances = _scan(data.decode("utf-8"))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, IndexError):
        # `from None`: the decoder's error holds the whole document.
        msg = "this is not a Terraform state: it is not the JSON that Terraform writes"
        raise InvalidError(msg) from None
    if fields.get("version") != FORMAT:
        msg = f"this is not a Terraform state of format {FORMAT}"
        raise InvalidError(msg, field="version")
    return StateFacts(
        lineage=_text(fields, "lineage"),
        serial=_serial(fields),
        terraform_version=_text(fields, "terraform_version"),
        instances=instances,
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        msg = "a Terraform state has a text of at most 255 characters here"
        raise InvalidError(msg, field=name)
    return value


def _serial(fields: Mapping[str, Any]) -> int:
    value = fields.get("serial")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        msg = "a Terraform state has a number from 0 here"
        raise InvalidError(msg, field="serial")
    return value


def _scan(text: str) -> tuple[dict[str, Any], tuple[ResourceInstance, ...]]:
    """The fields of the document but `resources`, and what the resources come to."""
    fields: dict[str, Any] = {}
    instances: list[ResourceInstance] = []
    at = _expect(text, 0, "{")
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        at = _expect(text, at, ":")
        if name in fields or not isinstance(name, str):
            raise ValueError(name)
        if name == "resources" and text[at] == "[":
            fields[name] = None
            at = _resources(text, at, instances)
        else:
            fields[name], at = _DECODER.raw_decode(text, at)
        at = _next(text, at, "}")
    if _skip(text, at + 1) != len(text):
        raise ValueError
    return fields, tuple(instances)


def _resources(text: str, at: int, instances: list[ResourceInstance]) -> int:
    at = _expect(text, at, "[")
    while text[at] != "]":
        resource, at = _DECODER.raw_decode(text, at)
        instances.extend(_instances(resource))
        at = _next(text, at, "]")
    return at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at] != mark:
        raise ValueError(mark)
    return _skip(text, at + 1)


def _next(text: str, at: int, end: str) -> int:
    """Past a comma to the next item, or at the mark that ends them."""
    at = _skip(text, at)
    if text[at] == end:
        return at
    at = _expect(text, at, ",")
    if text[at] == end:
        raise ValueError(end)
    return at


def _instances(resource: Mapping[str, Any]) -> Iterator[ResourceInstance]:
    if resource["mode"] != "managed":
        return
    module = resource.get("module", "")
    base = f"{module}." * bool(module) + f"{resource['type']}.{resource['name']}"
    for instance in resource.get("instances") or ():
        attributes = instance.get("attributes") or instance.get("attributes_flat") or {}
        id_ = attributes.get("id")
        yield ResourceInstance(
            address=base + _index(instance.get("index_key")),
            deposed=instance.get("deposed") or "",
            type=resource["type"],
            id=id_ if isinstance(id_, str) else "",
            tainted=instance.get("status") == "tainted",
        )


def _index(key: Any) -> str:
    """`[0]` or `["key"]`, quoted the way Terraform quotes it."""
    if key is None:
        return ""
    if isinstance(key, str):
        quoted = json.dumps(key, ensure_ascii=False)
        return f"[{quoted.replace('${', '$${').replace('%{', '%%{')}]"
    return f"[{key}]"


def with_lineage(data: bytes, *, lineage: str, serial: int) -> bytes:
    """An `errored.tfstate` that Terraform wrote before its first save, given the history that it lacks.

    Such a state has an empty lineage. One that has a lineage, or is no JSON object, comes back unchanged.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(document, dict) or document.get("lineage") != "":
        return data
    return json.dumps({**document, "lineage": lineage, "serial": serial}).encode()
