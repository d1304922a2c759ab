"""Values that may be shown of a target when no pass has gathered its secrets."""

from typing import Any

import pytest
from tests.fakes.cluster import InMemoryCluster

from setpoint.api.meta import ObjectRef
from setpoint.domain.scrubbing import Scrubber
from setpoint.targets.environment.sight import sight_of

REF = ObjectRef("Environment", "default", "e")
FROM = [{"secretRef": {"name": "s"}}]
SHOWN, HIDDEN = 'a.b["plain"]', 'a.b["pa55word"]'


async def sight(*, variables_from: list[Any], secret: bool, plain: str | None = None) -> Scrubber:
    cluster = InMemoryCluster()
    head = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Environment"}
    spec = {"stage": "dev", "source": {"path": "./infra"}, "variablesFrom": variables_from}
    await cluster.create({**head, "metadata": {"name": REF.name, "namespace": REF.namespace}, "spec": spec})
    if secret:
        metadata: dict[str, Any] = {"name": "s", "namespace": REF.namespace}
        metadata["annotations"] = {"setpoint.dev/plain": plain} if plain else {}
        data = {"password": "cGE1NXdvcmQ="}
        await cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    return await sight_of(cluster, lambda data: data.hex(), REF)


async def test_a_key_that_holds_todays_secret_is_hidden() -> None:
    known = await sight(variables_from=FROM, secret=True)
    assert known.address(SHOWN) == SHOWN
    assert known.address(HIDDEN).startswith('a.b["(sensitive)#')


async def test_a_key_that_holds_a_plain_value_is_shown() -> None:
    known = await sight(variables_from=FROM, secret=True, plain="password")
    assert known.address(HIDDEN) == HIDDEN


async def test_without_secrets_all_is_shown() -> None:
    known = await sight(variables_from=[], secret=False)
    assert known.address(HIDDEN) == HIDDEN


@pytest.mark.parametrize("gone", ["secret", "environment"])
async def test_where_they_cannot_be_read_no_key_is_shown(gone: str) -> None:
    if gone == "secret":
        known = await sight(variables_from=FROM, secret=False)
    else:
        known = await sight_of(InMemoryCluster(), lambda data: data.hex(), REF)
    shown = {known.address(one) for one in (SHOWN, HIDDEN)}
    assert len(shown) == 2
    assert all(one.startswith('a.b["(sensitive)#') for one in shown)
    assert known.address("a.b[0]") == "a.b[0]"
    assert {known.address(one) for one in shown} == shown, "what is hidden already stays as it is"
