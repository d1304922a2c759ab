"""Owns telling what Setpoint wrote into a status of what others did, where a decision rests on it.

The last applied configuration decides what counts as drift, what a reset goes back to and what a destroy plans with.
Whoever edits a status can't write it: its seal is keyed, as all digests of sealed things are.
"""

from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.environment import AppliedStatus, Environment
from setpoint.domain.digests import canonical
from setpoint.ports import BlobStore, TargetDriver

_PURPOSE = b"\xffapplied"
"""No text begins so: nobody can have it digested as a value of a Secret or of a variable."""


def sealed(applied: AppliedStatus, target: ObjectRef, blobs: BlobStore) -> AppliedStatus:
    """The configuration with the seal that it has as this target's."""
    # Without what is empty: a version that adds a field, empty by default, still knows the seals of those before it.
    stated = {name: value for name, value in applied.as_json().items() if value and name != "seal"}
    content = {"target": target.key, "applied": stated}
    return applied.model_copy(update={"seal": blobs.digest(_PURPOSE + canonical(content))})


def without_forgeries(environment: Environment, driver: TargetDriver) -> Environment:
    """The Environment as if nobody but Setpoint had said what is applied; that is recorded anew once it is seen."""
    status = environment.status
    stated = {"applied": status.applied, "applying": status.applying}
    forged = [name for name, applied in stated.items() if applied and not driver.wrote(environment.ref, applied)]
    if not forged:
        return environment
    return environment.model_copy(update={"status": status.model_copy(update=dict.fromkeys(forged))})
