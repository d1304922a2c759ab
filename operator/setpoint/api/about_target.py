"""Owns the form of what is said about one target: a common part, and one member, which the target's kind alone has.

In JSON the member is named for the kind: `{targetRef: {kind: Environment, …}, …, environment: {…}}`.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from setpoint.api.model import ApiModel, cel
from setpoint.api.target import TARGET_KINDS, Member, Target, TargetReference, member_name, target_type

_Member = TypeVar("_Member", bound=Member)


class AboutTarget(ApiModel):
    """The spec of an object about a target. One without a member was cut: see `is_cut`."""

    model_config = ConfigDict(extra="allow")

    target_ref: TargetReference = Field(description="The target that it is about.")

    @classmethod
    def member_type(cls, kind: type[Target]) -> type[Member]:
        """The type of a kind's member."""
        raise NotImplementedError

    @classmethod
    def member_types(cls) -> Mapping[str, type[Member]]:
        """The members of the union by the kind of target that has each."""
        return {kind: cls.member_type(target_type(kind)) for kind in TARGET_KINDS}

    @classmethod
    def is_cut(cls, spec: Any) -> bool:
        """True for one, as JSON, of which an API server kept the common part alone.

        An earlier version stored it in a form that the schema of today does not know: that is cut as it is read.
        """
        return _kind_of(spec) is not None and not cls.apart(spec)[1]

    @classmethod
    def apart(cls, spec: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The common part of a spec, as JSON, and the rest."""
        common = {*cls.model_fields, *(info.alias for info in cls.model_fields.values())}
        rest = {name: value for name, value in spec.items() if name not in common}
        return {name: value for name, value in spec.items() if name in common}, rest

    @property
    def member(self) -> Member | None:
        """The part that its target's kind alone has; None where it was cut: nothing can be made of the object then."""
        found: Member | None = (self.model_extra or {}).get(member_name(self.target_ref.kind))
        return found

    def member_as(self, kind: type[_Member]) -> _Member | None:
        """The member, where it is of this type."""
        return self.member if isinstance(self.member, kind) else None

    @model_validator(mode="before")
    @classmethod
    def _read_member(cls, given: Any) -> Any:
        """The member as its type, with what follows from it."""
        kind = _kind_of(given)
        if kind is None:
            return given  # target_ref says what is wrong
        common, rest = cls.apart(given)
        name = member_name(kind)
        member = rest.pop(name, None)
        if rest:
            raise _unknown(rest)
        if member is None:
            return common
        read = _read_as(cls.member_type(target_type(kind)), member, name)
        return {**common, **read.implied, name: read}


def member_schema_rules() -> dict[str, Any]:
    """The rules of a schema by which exactly the member of the target's kind is there."""
    rules = []
    for kind in TARGET_KINDS:
        name = member_name(kind)
        rules.append(
            (
                f"has(self.{name}) == (self.targetRef.kind == '{kind}')",
                f"{name} goes with a target of the kind {kind}, and with no other",
            )
        )
    return cel(*rules)


def _kind_of(given: Any) -> str | None:
    """The kind that a target reference names, where it is one."""
    found = given.get("targetRef", given.get("target_ref")) if isinstance(given, dict) else None
    kind = found.get("kind") if isinstance(found, dict) else getattr(found, "kind", None)
    return kind if isinstance(kind, str) and kind in TARGET_KINDS else None


def _read_as(kind: type[_Member], value: Any, name: str) -> _Member:
    """The member; what is wrong with it is said of its own place. Raises ValidationError."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        details = [
            InitErrorDetails(type=one["type"], loc=(name, *one["loc"]), input=one["input"], ctx=one.get("ctx", {}))
            for one in error.errors()
        ]
        raise ValidationError.from_exception_data(error.title, details) from None


def _unknown(rest: Mapping[str, Any]) -> ValidationError:
    details = [InitErrorDetails(type="extra_forbidden", loc=(name,), input=value) for name, value in rest.items()]
    return ValidationError.from_exception_data("spec", details)
