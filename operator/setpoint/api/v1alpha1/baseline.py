"""Owns the parameters of the pack `baseline`: their names, types and defaults. The pack's modules read them.

A misspelt one would leave the default in force, and one of another type would make a rule demand nothing.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

_Count = Annotated[int, Field(ge=0)]
_Names = list[Annotated[str, Field(min_length=1)]]
_PORTS = [22, 23, 135, 445, 1433, 1521, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5601, 5900, 5984, 5985, 6379, 6443]
_PORTS += [7001, 8020, 9042, 9200, 9300, 10250, 11211, 27017]


class BaselineParameters(BaseModel):
    """The parameters that `spec.params` may set, with their defaults."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    max_destroyed: _Count = 5
    max_changed: _Count = 100
    protected_types: _Names = []
    unprotected_types: _Names = []
    protected_labels: dict[str, str] = {"protected": "true"}
    required_tags: _Names = ["owner"]
    taggable_types: _Names = []
    untagged_types: _Names = []
    sensitive_ports: list[Annotated[int, Field(ge=0, le=65_535)]] = _PORTS
    widest_ipv4: Annotated[int, Field(ge=0, le=32)] = 8
    widest_ipv6: Annotated[int, Field(ge=0, le=48)] = 16
    public_types: _Names = []
    unpinned_providers: _Names = []


def check_parameters(params: dict[str, Any]) -> None:
    """Raises ValidationError, below `params`, for what the pack has no use for."""
    try:
        BaselineParameters.model_validate(params)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [
            InitErrorDetails(
                type=PydanticCustomError("parameter", "{message}", {"message": _explain(one["type"], one["msg"])}),
                loc=("params", *one["loc"]),
                input=None,
            )
            for one in found
        ]
        raise ValidationError.from_exception_data("params", problems) from None


def _explain(kind: str, message: str) -> str:
    if kind != "extra_forbidden":
        return message
    known = ", ".join(sorted(BaselineParameters.model_fields))
    return f"the pack baseline has no such parameter; it has {known}"
