"""The seal of what is applied: who wrote it, with which fields, and of which version."""

import pytest

from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.environment import EnvironmentApplied, name_configuration
from setpoint.domain.digests import canonical, digest_bytes
from setpoint.pipeline.seals import Seals

REF = ObjectRef("Environment", "default", "web")
BUNDLE, VARIABLES = "sha256:" + "b" * 64, "sha256:" + "c" * 64
APPLIED = EnvironmentApplied(bundle=BUNDLE, archive=BUNDLE, variables=VARIABLES, at="2026-01-01T00:00:00Z")
NAMED = APPLIED.model_copy(update={"configuration": name_configuration(BUNDLE, VARIABLES)})
SEALS = Seals(digest_bytes)


def test_a_record_from_before_its_configuration_was_stored_keeps_its_seal() -> None:
    """As the version of before made it: over the fields that it knew."""
    stated = {"bundle": BUNDLE, "archive": BUNDLE, "variables": VARIABLES, "at": APPLIED.at}
    seal = digest_bytes(b"\xffapplied" + canonical({"target": REF.key, "applied": stated}))
    assert SEALS.seal(APPLIED, REF).seal == seal
    assert APPLIED.configuration_name == NAMED.configuration_name == NAMED.configuration


@pytest.mark.parametrize("field", ["configuration", "bundle", "variables", "revision", "change", "stage"])
def test_each_field_is_sealed(field: str) -> None:
    sealed = SEALS.seal(NAMED, REF)
    assert SEALS.verify_seal(sealed, REF)
    assert not SEALS.verify_seal(sealed.model_copy(update={field: "sha256:" + "d" * 64}), REF)


def test_it_is_one_targets() -> None:
    sealed = SEALS.seal(NAMED, REF)
    for other in (ObjectRef("Beacon", "default", "web"), ObjectRef("Environment", "default", "web-2")):
        assert not SEALS.verify_seal(sealed, other)


def test_a_configuration_that_somebody_took_away_is_missed() -> None:
    assert not SEALS.verify_seal(SEALS.seal(NAMED, REF).model_copy(update={"configuration": None}), REF)
