"""The work that a person on a cluster can't do from there: each refusal says why, and what to do instead."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from tests.fakes.cluster import InMemoryCluster

from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase
from setpoint.targets.environment.import_state import VERB
from setpoint.wiring.cluster_home import ClusterHome, DistantTrail, OperatorOnlyError

SHOP = ObjectRef("Environment", "blog", "shop")


def home() -> ClusterHome:
    trail = DistantTrail()
    # Nothing that is asked for here reaches the server.
    return ClusterHome(InMemoryCluster(), trail, cast("Any", None), "ada", cast("Any", None))


@pytest.mark.parametrize(
    ("ask", "why", "instead"),
    [
        pytest.param(
            lambda it: it.plan(SHOP, None),
            "the operator plans, with credentials that only it has",
            "'setpoint reconcile environment/shop -n blog --context NAME'",
            id="plan",
        ),
        pytest.param(
            lambda it: it.perform(VERB, SHOP, data=b"{}"),
            "states are in the operator's store",
            "write 'import' blocks into the source of environment/shop",
            id="import-state",
        ),
        pytest.param(
            lambda it: it.verify_audit(),
            "the audit trail is in the operator's store",
            "'setpoint describe KIND/NAME --context NAME'",
            id="audit_verify",
        ),
        pytest.param(
            lambda it: it.audit.rows(after=0, limit=1),
            "the audit trail is in the operator's store",
            "the API server's audit log",
            id="audit_log",
        ),
        pytest.param(
            lambda it: it.audit.open_intents(),
            "the audit trail is in the operator's store",
            "the API server's audit log",
            id="open_intents",
        ),
    ],
)
async def test_what_is_the_operators_alone__refuses_and_says_what_to_do(
    ask: Callable[[ClusterHome], Awaitable[object]], why: str, instead: str
) -> None:
    with pytest.raises(OperatorOnlyError) as refusal:
        await ask(home())
    assert refusal.value.message.startswith("not on a cluster: ")
    assert why in refusal.value.message
    assert instead in refusal.value.message


def test_a_folder_of_manifests__there_is_none() -> None:
    with pytest.raises(OperatorOnlyError, match="setpoint get"):
        _ = home().root


async def test_the_trail__leaves_it_to_the_operator_to_record() -> None:
    it = home()
    assert await it.audit.append(AuditEntry("approve", Phase.FACT, "ada", SHOP)) == ()
    assert (it.proves_users, it.user(), await it.sync()) == (True, "ada", ())
