"""The plan as policies and people see it: nothing secret, nothing that repeats values without masks."""

import json
from typing import Any

import pytest
from tests.fakes.plans import NAMES, change, plan, recorded, update

from setpoint.domain.errors import InvalidError
from setpoint.domain.redaction import redact_plan

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


@pytest.mark.parametrize("name", NAMES)
def test_recorded_plans_lose_their_secrets_and_keep_what_policies_decide_on(name: str) -> None:
    document = recorded(name)
    redacted = redact_plan(document)
    assert set(redacted) == KEYS
    assert not [token for token in TOKENS if token in json.dumps(redacted)]
    acting = [
        item["address"]
        for item in document["resource_changes"]
        if item["change"]["actions"] != ["no-op"] or "previous_address" in item or "importing" in item["change"]
    ]
    assert [item["address"] for item in redacted["resource_changes"]] == acting


def test_what_is_not_secret_stays() -> None:
    change = redact_plan(recorded("secrets"))["resource_changes"][1]["change"]
    assert change["after"]["input"] == {"user": "db", "keys": ["(sensitive)", "public"], "all": "(sensitive)"}
    assert change["after_unknown"]["output"] is True


def test_a_mask_of_one_side_covers_the_other() -> None:
    one_side = {"before_sensitive": {}, "after_sensitive": {"x": True}}
    redacted = redact_plan(plan(update("t.a", {"x": "old"}, {"x": "new"}, **one_side)))
    assert redacted["resource_changes"][0]["change"]["before"] == {"x": "(sensitive)"}


def test_a_masked_text_goes_wherever_a_value_holds_it() -> None:
    document = plan(
        update("t.a", {}, {"x": "abcdefgh"}, after_sensitive={"x": True}),
        update("t.b", {}, {"note": "it is abcdefgh!", "map": {"abcdefgh-key": 1}, "abcdefgh": 1}),
    )
    after = redact_plan(document)["resource_changes"][1]["change"]["after"]
    assert after == {"note": "it is (sensitive)!", "map": {"(sensitive)-key": 1}, "abcdefgh": 1}


def test_a_known_secret_goes_everywhere() -> None:
    document = plan(
        change(
            't.a["known-secret"]',
            ["create"],
            after={"known-secret": 1, "x": ["a known-secret b"]},
            index="known-secret",
        ),
        outputs={"o": {"actions": ["create"], "after": "known-secret"}},
    )
    document["terraform_version"] = "known-secret"
    redacted = redact_plan(document, ("known-secret", "short"))
    assert "known-secret" not in json.dumps(redacted)
    assert redacted["resource_changes"][0]["address"] == 't.a["(sensitive)"]'


def test_short_secrets_would_be_found_everywhere_and_stay() -> None:
    document = plan(change("t.a", ["create"], after={"x": "12345"}))
    assert redact_plan(document, ("12345",))["resource_changes"][0]["change"]["after"] == {"x": "12345"}


@pytest.mark.parametrize(
    ("unknown", "mask", "expected"),
    [
        pytest.param({"x": True}, {"x": True}, {"x": True}, id="all of it"),
        pytest.param({"x": {"secret-key": True}}, {"x": True}, {"x": True}, id="part of it"),
        pytest.param({"x": {"secret-key": False}}, {"x": True}, {"x": False}, id="none of it"),
        pytest.param({"x": [True, {"y": True}]}, {}, {"x": [True, {"y": True}]}, id="not masked"),
        pytest.param({"x": True}, True, True, id="the whole resource"),
    ],
)
def test_unknowns_keep_their_meaning_and_hide_keys(unknown: Any, mask: Any, expected: Any) -> None:
    document = plan(change("t.a", ["create"], after={"x": {}}, after_unknown=unknown, after_sensitive=mask))
    assert redact_plan(document)["resource_changes"][0]["change"]["after_unknown"] == expected


def test_providers_are_named_with_their_constraints_alone() -> None:
    found = redact_plan(recorded("drift_restored"))["providers"]
    name = "registry.terraform.io/acme/fakecloud"
    assert found == [{"name": "fakecloud", "full_name": name, "version_constraint": "~> 0.1"}]


def test_an_import_says_what_is_imported() -> None:
    changes = redact_plan(recorded("rearranged"))["resource_changes"]
    assert [item["change"].get("importing") for item in changes[:3]] == [
        {"id": "b-adopted1"},
        {"id": "b-adopted2"},
        None,
    ]


def test_a_misfit_is_refused_by_path() -> None:
    with pytest.raises(InvalidError, match=r"^resource_changes\[0\].change: not a map$"):
        redact_plan({"resource_changes": [{"address": "t.a"}]})
