"""Owns what is known of types of resources: what is lost where one is destroyed, and what expires data. Pure.

The table is data (`resource_types.yaml`); who judges by it adds the words of an Environment. The words in a type's name
are for what neither holds.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from setpoint.api.target import ResourceClass
from setpoint.domain.errors import InvalidError
from setpoint.domain.globs import matches

Sense = Literal["shorter", "fewer", "disabled", "enabled", "changed"]

_DATA = """
    archive backup bigquery bigtable bucket cache cluster cosmosdb database datastore db disk docdb documentdb droplet
    dynamodb ebs efs elasticache elasticsearch filestore filesystem firestore fsx instance keyspaces kinesis kms log
    machine mongo mongodb mssql mysql namespace neptune opensearch persistent postgresql queue rds redis redshift
    registry repository s3 secret secretsmanager server snapshot spanner sql sqs stateful statefulset storage
    stream topic vault vm volume
"""
_SETTINGS = """
    acl alias assignment association attachment binding configuration endpoint grant lifecycle member membership
    notification permission policies policy role rule rules settings versioning
"""
_DATA_WORDS = frozenset(_DATA.split())
"""Words in types whose destruction takes data along that no configuration brings back. Errs towards saying so."""
_SETTINGS_WORDS = frozenset(_SETTINGS.split())
_SETTINGS_ENDS = ("_option_group", "_parameter_group", "_security_group", "_subnet_group")
"""Last words of types that belong to one that holds data, and only hold its settings."""
_IDENTITY_WORDS = frozenset({"cert", "certificate", "credential", "credentials", "key", "password", "token"})
"""Last words of types that are handed out, and come back as another."""
_INDEX = re.compile(r'\["(?:[^"\\]|\\.)*"\]|\[[^\]"]*\]')


def resource_type(address: str) -> str:
    """The type in a resource address: `aws_db_instance` of `module.db["a.b"].aws_db_instance.main[0]`."""
    parts = _INDEX.sub("", address).split(".")
    while len(parts) > 2 and parts[0] == "module":
        parts = parts[2:]
    if parts[0] == "data":
        parts = parts[1:]
    return parts[0] if parts else ""


@dataclasses.dataclass(frozen=True, slots=True)
class Expiry:
    """The attributes by which a type expires data; `owner` names what holds it, where that is another resource."""

    owner: str
    senses: Mapping[str, Sense]


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
    """The class of a type; `by` is the entry of the Environment that says so, empty where none does."""

    resource_class: ResourceClass
    by: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceTypes:
    """The table, and what an Environment says beside it: of types and patterns."""

    classes: Mapping[str, ResourceClass]
    expiries: Mapping[str, Expiry]
    words: Mapping[str, ResourceClass] = dataclasses.field(default_factory=dict)

    def judge(self, type_: str) -> Judgement:
        """The Environment's word, else the table's, else what the name says.

        Of several patterns that match, the one with the most characters that are no `*` is meant; of those that have as
        many, the one that says Data or Identity.
        """
        own = [self._rank(pattern, type_) for pattern in self.words if matches(pattern, type_)]
        if own:
            pattern = max(own)[-1]
            return Judgement(self.words[pattern], f"{pattern}: {self.words[pattern]}")
        return Judgement(self.classes.get(type_) or class_by_words(type_))

    def _rank(self, pattern: str, type_: str) -> tuple[bool, int, bool, str]:
        """How close a pattern is: a type that is named before any pattern; of the same, the same one each time."""
        return pattern == type_, len(pattern.replace("*", "")), self.words[pattern] != "Settings", pattern

    def knows_of(self, type_: str) -> bool:
        """True where a resource of the type may hold data that expires, or expire it."""
        return type_ in self.expiries or self.judge(type_).resource_class == "Data"


def class_by_words(type_: str) -> ResourceClass:
    """The class by the words in a type's name, without the first: that is its provider's."""
    words = type_.split("_")[1:]
    singular = {word.removesuffix("s") for word in words}
    if not words or words[-1] in _SETTINGS_WORDS or type_.endswith(_SETTINGS_ENDS):
        return "Settings"
    if "_file_system" in type_ or not _DATA_WORDS.isdisjoint({*words, *singular}):
        return "Data"
    return "Identity" if words[-1] in _IDENTITY_WORDS else "Settings"


def read_table(document: Any) -> ResourceTypes:
    """The table as written. Raises InvalidError, naming the type, where one stands there twice or makes no sense."""
    classes: dict[str, ResourceClass] = {}
    expiries: dict[str, Expiry] = {}
    for type_, kind in _classes(document):
        if type_ in classes:
            msg = "stands in the table twice"
            raise InvalidError(msg, field=type_)
        classes[type_] = kind
    expiring = itertools.chain.from_iterable(part.get("expires", {}).items() for part in document)
    for type_, attributes in expiring:
        senses = {path: sense for path, sense in attributes.items() if path != "of"}
        if type_ not in classes or not senses or not set(senses.values()) <= set(get_args(Sense)):
            msg = "has no class, or expires nothing in a sense that is known"
            raise InvalidError(msg, field=type_)
        expiries[type_] = Expiry(attributes.get("of", ""), senses)
    return ResourceTypes(classes, expiries)


def _classes(document: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ResourceClass]]:
    for part in document:
        for kind in get_args(ResourceClass):
            for type_ in part.get(kind, ()):
                yield type_, kind
