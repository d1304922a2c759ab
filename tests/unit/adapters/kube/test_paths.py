"""The paths of kinds, and that no name leads anywhere else."""

import pytest

from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import InvalidError


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (ObjectRef("Environment", "a", "shop"), "/apis/setpoint.dev/v1alpha1/namespaces/a/environments/shop"),
        (ObjectRef("PolicySet", "", "base"), "/apis/setpoint.dev/v1alpha1/policysets/base"),
        (ObjectRef("Secret", "a", "s"), "/api/v1/namespaces/a/secrets/s"),
        (ObjectRef("Secret", "a", "../../x"), "/api/v1/namespaces/a/secrets/..%2F..%2Fx"),
        (ObjectRef("Secret", "a?b", "s#"), "/api/v1/namespaces/a%3Fb/secrets/s%23"),
    ],
)
def test_an_object_has_its_path(ref: ObjectRef, path: str) -> None:
    assert resource_of(ref.kind).item(ref) == path


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_change_the_path_is_refused(name: str) -> None:
    with pytest.raises(InvalidError):
        resource_of("Secret").item(ObjectRef("Secret", "a", name))


def test_a_collection_is_of_one_namespace_or_of_all() -> None:
    assert resource_of("Change").collection("a") == "/apis/setpoint.dev/v1alpha1/namespaces/a/changes"
    assert resource_of("Change").collection(None) == "/apis/setpoint.dev/v1alpha1/changes"
    assert resource_of("PolicySet").collection("a") == "/apis/setpoint.dev/v1alpha1/policysets"


def test_content_of_secrets_is_never_asked_for_in_lists() -> None:
    assert "PartialObjectMetadata;" in resource_of("Secret").accept("PartialObjectMetadata")
    assert resource_of("Environment").accept("PartialObjectMetadata") == "application/json"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidError):
        resource_of("Pod")
