"""Owns telling what Setpoint wrote into a status of what others did, where a decision rests on it.

The last applied configuration decides what counts as drift, what a reset goes back to and what a destroy plans with.
Whoever edits a status can't write it: its seal is keyed, as all digests of sealed things are.
"""

from collections.abc import Callable

from setpoint.api.meta import ObjectRef
from setpoint.api.target import AppliedStatus, Target
from setpoint.domain.digests import canonical

_PURPOSE = b"\xffapplied"
"""No text begins so: nobody can have it digested as a value of a Secret or of a variable."""


class Seals:
    """Makes and checks seals. `digest` is keyed by this home."""

    def __init__(self, digest: Callable[[bytes], str]) -> None:
        self._digest = digest

    def seal(self, applied: AppliedStatus, target: ObjectRef) -> AppliedStatus:
        """The configuration with the seal that it has as this target's."""
        # Without what is empty: a version that adds a field, empty by default, still knows the seals of those before.
        stated = {name: value for name, value in applied.as_json().items() if value and name != "seal"}
        content = {"target": target.key, "applied": stated}
        return applied.model_copy(update={"seal": self._digest(_PURPOSE + canonical(content))})

    def verify_seal(self, applied: AppliedStatus, target: ObjectRef) -> bool:
        """True where Setpoint itself said that this is what is, or is being, applied to the target."""
        return self.seal(applied, target) == applied

    def drop_unsealed(self, target: Target) -> Target:
        """The target as if nobody but Setpoint had said what is applied; that is recorded anew once it is seen."""
        status = target.status
        stated = {"applied": status.applied, "applying": status.applying}
        forged = [name for name, one in stated.items() if one and not self.verify_seal(one, target.ref)]
        if not forged:
            return target
        return target.model_copy(update={"status": status.model_copy(update=dict.fromkeys(forged))})
