"""Owns objects that a store holds in the form of an earlier version: each is read in the form of today. Pure.

Before 0.1 a Change and a Snapshot had the fields that only their target's kind has beside those of any target. All that
names them by digest stays valid: a digest is of the same fields in both forms.
"""

from collections.abc import Mapping

from pydantic import ValidationError

from setpoint.api.about_target import AboutTarget
from setpoint.api.meta import JsonObject
from setpoint.api.target import TARGET_KINDS, member_name, target_type
from setpoint.api.v1alpha1.change import ChangeSpec
from setpoint.api.v1alpha1.snapshot import SnapshotSpec
from setpoint.domain.reading import text_at

_ABOUT_TARGETS: Mapping[str, type[AboutTarget]] = {"Change": ChangeSpec, "Snapshot": SnapshotSpec}


def of_today(obj: JsonObject) -> JsonObject:
    """The object in the form of today; as it is where it has that, or none that was ever written."""
    spec_type = _ABOUT_TARGETS.get(text_at(obj, "kind"))
    kind = text_at(obj, "spec", "targetRef", "kind")
    if spec_type is None or kind not in TARGET_KINDS or member_name(kind) in obj["spec"]:
        return obj
    common, own = spec_type.apart(obj["spec"])
    try:
        member = spec_type.member_type(target_type(kind)).model_validate(own)
    except ValidationError:
        return obj
    implied = {name: value for name, value in member.implied.items() if value is not None}
    return {**obj, "spec": {**common, **implied, member_name(kind): member.as_json()}}
