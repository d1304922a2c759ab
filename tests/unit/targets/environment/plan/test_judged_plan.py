"""Policies judge the plan's real values; what they say of it is shown without secrets, and with its structure whole."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.plans import NAMES, analyse_plan, change, plan, recorded, update
from tests.soak import examples

from setpoint.domain.policies import PolicyResult, Violation
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.targets.environment.plan.judged_plan import JudgedPlan, judged_plan

KEYS = {
    "format_version",
    "terraform_version",
    "complete",
    "errored",
    "resource_changes",
    "resource_drift",
    "output_changes",
    "providers",
}
TOKENS = ("token-value-one", "token-value-two", "hunter2-hunter2")
SECRET = "pa55-of-all"


def judge(document: Any, secrets: Scrubber = NO_SECRETS) -> JudgedPlan:
    return judged_plan(document, analyse_plan(document, (), secrets).hidden, secrets)


def shown(document: Any, text: str, secrets: Scrubber = NO_SECRETS, **more: Any) -> str:
    """A message as it is shown."""
    (violation,) = judge(document, secrets).disclosure.show(PolicyResult((Violation("r", text),)), **more).violations
    return violation.message


# --- What policies see --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_policies_see_the_real_values_of_what_would_change(name: str) -> None:
    document = recorded(name)
    judged = judge(document, Scrubber(TOKENS))
    assert set(judged.document) == KEYS
    acting = [
        item
        for item in document["resource_changes"]
        if item["change"]["actions"] != ["no-op"] or "previous_address" in item or "importing" in item["change"]
    ]
    seen = judged.document["resource_changes"]
    for key in ("address", "type", "name", "provider_name", "index"):
        assert [item.get(key) for item in seen] == [item.get(key) for item in acting]
    for key in ("before", "after", "after_unknown", "actions"):
        assert [item["change"][key] for item in seen] == [item["change"][key] for item in acting]
    assert not [token for token in TOKENS if token in repr(judged)]


def test_masked_values_are_seen_and_what_nobody_decides_on_is_not() -> None:
    document = recorded("secrets")
    judged = judge(document)
    assert judged.document["resource_changes"][1]["change"]["after"]["input"]["user"] == "db"
    assert "token-value-one" in json.dumps(judged.document)
    assert not judged.document.keys() & {"prior_state", "planned_values", "variables", "configuration"}


def test_drift_is_seen_apart_from_changes() -> None:
    document = recorded("drift_unnoticed")
    judged = judge(document)
    addresses = [item["address"] for item in document["resource_drift"]]
    assert judged.document["resource_drift"] == []
    assert [item["address"] for item in judged.of_drift()["resource_drift"]] == addresses
    assert judged.of_drift()["resource_changes"] == []
    assert judged.of_drift().keys() == judged.without_drift().keys() == judged.of_nothing().keys() == KEYS
    assert not judged.of_nothing()["resource_drift"]


def test_without_drift_all_is_as_it_was_recorded() -> None:
    gone = change("t.b", ["delete"], {"x": 1})
    judged = judge(plan(drift=[update("t.a", {"x": "old"}, {"x": "new"}), gone]))
    (item,) = judged.without_drift()["resource_drift"]
    assert item["change"] == {**judged.drift[0]["change"], "after": {"x": "old"}}


def test_providers_are_named_with_their_constraints_alone() -> None:
    found = judge(recorded("drift_restored")).document["providers"]
    name = "registry.terraform.io/acme/fakecloud"
    assert found == [{"name": "fakecloud", "full_name": name, "version_constraint": "~> 0.1"}]


def test_an_import_says_what_is_imported() -> None:
    changes = judge(recorded("rearranged")).document["resource_changes"]
    assert [item["change"].get("importing") for item in changes[:3]] == [
        {"id": "b-adopted1"},
        {"id": "b-adopted2"},
        None,
    ]


# --- What is shown ------------------------------------------------------------------------------------------------

MASKED = plan(
    update("t.a", {"x": "old-text"}, {"x": "new-text", "pin": 4711, "n": [80.0]}, after_sensitive=True),
    drift=[change("t.d", ["update"], {"y": {}}, {"y": {"secret-key": "drifted"}}, after_sensitive={"y": True})],
    outputs={
        "o": {"actions": ["create"], "before": None, "after": "of-output", "before_sensitive": False}
        | {"after_sensitive": True}
    },
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("is new-text!", "is (sensitive)!", id="after"),
        pytest.param("was old-text", "was (sensitive)", id="before, by the mask of after"),
        pytest.param("is drifted", "is (sensitive)", id="of drift"),
        pytest.param("has secret-key", "has (sensitive)", id="a key under a mask"),
        pytest.param("puts of-output", "puts (sensitive)", id="of an output"),
        pytest.param("pin 4711, not 47110 and no x4711", "pin (sensitive), not 47110 and no x4711", id="short"),
        pytest.param("port 80", "port (sensitive)", id="a whole number"),
        pytest.param(base64.b64encode(b"u:new-text").decode(), "dT(sensitive)==", id="encoded"),
        pytest.param("x" * 1020 + "new-text", "x" * 1020 + "(sen", id="at the end of what is shown"),
    ],
)
def test_what_a_mask_covers_is_not_shown(text: str, expected: str) -> None:
    assert shown(MASKED, text) == expected


def test_a_masked_text_is_not_shown_where_its_mask_was_lost() -> None:
    document = plan(update("t.b", {}, {"note": "it is abcdefgh!"}))
    document["prior_state"] = {"values": {"outputs": {"o": {"sensitive": True, "value": "abcdefgh"}}}}
    assert shown(document, "it is abcdefgh!") == "it is (sensitive)!"


@pytest.mark.parametrize("field", ["rule", "message", "resource", "remediation"])
def test_every_text_of_a_violation_is_scrubbed(field: str) -> None:
    violation = Violation(**{"rule": "r", "message": "m", field: f"it is {SECRET}"})
    result = PolicyResult((violation,), f"failed on {SECRET}")
    seen = judge(plan(update("t.a", {}, {"x": SECRET})), Scrubber([SECRET])).disclosure.show(result)
    assert getattr(seen.violations[0], field) == "it is (sensitive)"
    assert seen.error == "failed on (sensitive)"


def test_what_is_secret_for_other_reasons_is_taken_out_too() -> None:
    token = Scrubber(["token-of-the-provider", "aws_instance"])
    document = plan(update("aws_instance.a", {}, {"x": 1}))
    found = shown(document, "aws_instance has token-of-the-provider", redact=token.scrub)
    assert found == "aws_instance has (sensitive)"


# --- Structure ----------------------------------------------------------------------------------------------------

STRUCTURE = plan(
    update(
        'module.data["a.b"].postgresql_role.admin',
        {"superuser": False, "tags": {"nested-key": 1}},
        {"superuser": True},
    )
    | {"provider_name": "registry.terraform.io/cyrilgdn/postgresql"},
    outputs={"connection": {"actions": ["no-op"]}},
)


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        pytest.param("postgres", "postgresql_role is bad", "postgresql_role is bad", id="in a type"),
        pytest.param("postgresql_role", "a postgresql_role.", "a postgresql_role.", id="the type"),
        pytest.param("role.admin", "postgresql_role.admin is", "postgresql_role.admin is", id="across an address"),
        pytest.param("superuser", "superuser is true", "superuser is true", id="an attribute"),
        pytest.param("connection", "connection is open", "connection is open", id="an output"),
        pytest.param("cyrilgdn", "cyrilgdn/postgresql is", "cyrilgdn/postgresql is", id="a provider"),
        pytest.param("postgres", "user postgres", "user (sensitive)", id="a value"),
        pytest.param("postgres", "xpostgresql_role", "x(sensitive)ql_role", id="a longer word"),
        pytest.param("nested-key", "nested-key", "(sensitive)", id="a key further down"),
        pytest.param("admin superuser", "admin superuser", "(sensitive)", id="words that no address joins"),
        pytest.param("admin.superuser", "admin.superuser", "(sensitive)", id="in another order"),
    ],
)
def test_words_of_the_structure_are_no_secrets(secret: str, text: str, expected: str) -> None:
    assert shown(STRUCTURE, text, Scrubber([secret])) == expected


def test_an_address_is_shown_as_everywhere_else() -> None:
    secrets = Scrubber([SECRET, "aws_server"], label=lambda _: "sha256:" + "0" * 52 + "b8f1c2d3e4a5")
    address = f'aws_server.main["{SECRET}"]'
    document = plan(update(address, {"x": 1}, {"x": 2}))
    result = PolicyResult((Violation("r", f"of {address}", address), Violation("r", "m", f"{address}.x")))
    one, two = judge(document, secrets).disclosure.show(result).violations
    assert one.resource == 'aws_server.main["(sensitive)#b8f1c2d3e4a5"]'
    assert one.resource == analyse_plan(document, (), secrets).actions[0].address
    assert one.message == 'of aws_server.main["(sensitive)"]'
    assert two.resource == 'aws_server.main["(sensitive)"].x'


def test_the_words_of_a_policy_are_not_its_plans() -> None:
    result = PolicyResult((Violation("acme.postgres", "m"), Violation("x.postgres", "m")))
    disclosure = judge(plan(), Scrubber(["postgres"])).disclosure
    found = disclosure.show(result, ["package acme.postgres\n"]).violations
    assert [one.rule for one in found] == ["acme.postgres", "x.(sensitive)"]


TEXTS = st.text(alphabet='ab"\\/.-_ 1é\n', min_size=1, max_size=12)


@settings(max_examples=examples(60))
@given(hidden=TEXTS, known=TEXTS.filter(lambda text: len(text.strip()) >= 6), around=st.tuples(TEXTS, TEXTS))
def test_no_secret_comes_out_of_a_message(hidden: str, known: str, around: tuple[str, str]) -> None:
    document = plan(update("t.res", {}, {"attribute": hidden, "other": known}, after_sensitive={"attribute": True}))
    said = f"{around[0]} {hidden} {known} {around[1]} {json.dumps(hidden)}"
    found = shown(document, said, Scrubber([known]))
    # A text beside a secret that was longer did not stand apart.
    assert not Scrubber([known, hidden], words=[hidden]).finds(found.replace("(sensitive)", "X"))
