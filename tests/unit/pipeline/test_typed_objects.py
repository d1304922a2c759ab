"""Reading objects as their type: what does not fit is named and does not hide the rest."""

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example

from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.errors import InvalidError
from setpoint.domain.reading import parse
from setpoint.pipeline.objects import list_typed


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"stage": "No Stage"}, "spec.stage", id="a value"),
        pytest.param({"drift": {"mode": "Ignore"}}, "spec.drift.mode", id="a nested value"),
        pytest.param({"sauce": {}}, "spec.sauce", id="a field of another schema"),
    ],
)
async def test_one_that_does_not_fit_is_a_fault_beside_those_that_do(
    cluster: InMemoryCluster, spec: dict, field: str
) -> None:
    bad = example("Environment", name="bad", **spec)
    await cluster.plant(bad)
    await cluster.add(example("Environment", name="good"))
    objects, faults = await list_typed(cluster, Environment)
    assert [one.metadata.name for one in objects] == ["good"]
    (fault,) = faults
    assert str(fault).startswith(f"Environment bad: {field}: ")
    with pytest.raises(InvalidError) as caught:
        parse(Environment, bad)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("namespace", "names"),
    [pytest.param(None, ["a", "b"], id="all"), pytest.param("one", ["a"], id="of a namespace")],
)
async def test_the_namespace(cluster: InMemoryCluster, namespace: str | None, names: list[str]) -> None:
    await cluster.add(example("Environment", name="a", namespace="one"))
    await cluster.add(example("Environment", name="b", namespace="two"))
    objects, faults = await list_typed(cluster, Environment, namespace=namespace)
    assert ([one.metadata.name for one in objects], faults) == (names, ())
