"""The content that is approved: what moves its digest, what does not, and what the digest gives away."""

import copy
import dataclasses
import json
from typing import Any

import pytest
from tests.fakes.plans import NAMES, RECORDED, analyse_plan, change, commit, plan, recorded, update

from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.domain.digests import keyed_digest
from setpoint.domain.scrubbing import Scrubber
from setpoint.targets.environment.plan import content as plan_content
from setpoint.targets.environment.plan.analysis import differing_paths

DIGESTS = RECORDED.with_name("plan_digests.json")


def digest_of(document: dict[str, Any], *ignore: IgnoreRule) -> str | None:
    return analyse_plan(document, ignore).content_digest


OUTER = {"address", "previous_address", "deposed", "action_reason"}
BASE = update("t.a", {"x": 1, "y": {"k": "v"}, "same": [1]}, {"x": 2, "y": {"k": "w"}, "same": [1]})


def varied(**fields: Any) -> dict[str, Any]:
    outer = {key: fields.pop(key) for key in list(fields) if key in OUTER}
    return plan({**BASE, **outer, "change": {**BASE["change"], **fields}})


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(varied(address="t.b"), id="address"),
        pytest.param(varied(previous_address="t.old"), id="previous address"),
        pytest.param(varied(deposed="00000001"), id="deposed key"),
        pytest.param(varied(actions=["delete", "create"]), id="actions"),
        pytest.param(varied(action_reason="replace_because_tainted"), id="reason"),
        pytest.param(varied(replace_paths=[["x"]]), id="replace paths"),
        pytest.param(varied(importing={"id": "i-1"}), id="import"),
        pytest.param(varied(after_unknown={"x": True}), id="unknown"),
        pytest.param(varied(before={**BASE["change"]["before"], "x": 0}), id="before"),
        pytest.param(varied(after={**BASE["change"]["after"], "x": 3}), id="after"),
        pytest.param(varied(after={**BASE["change"]["after"], "x": True}), id="kind of value"),
        pytest.param(varied(after={**BASE["change"]["after"], "y": {"k": None}}), id="null in a map"),
        pytest.param(varied(after={**BASE["change"]["after"], "y": {}}), id="no key in a map"),
        pytest.param(varied(after_sensitive={"x": True}), id="mask"),
        pytest.param(plan(BASE, outputs={"o": {"actions": ["create"], "after": 1}}), id="output"),
        pytest.param(plan(BASE, update("t.b", {"x": 1}, {"x": 2})), id="another change"),
    ],
)
def test_whatever_is_approved_moves_the_digest(document: dict[str, Any]) -> None:
    assert digest_of(document) != digest_of(plan(BASE))


def test_null_in_a_map_is_not_the_same_as_no_key() -> None:
    null = varied(after={**BASE["change"]["after"], "y": {"k": None}})
    assert digest_of(null) != digest_of(varied(after={**BASE["change"]["after"], "y": {}}))


def test_an_import_of_another_id_moves_the_digest() -> None:
    imports = [plan(change("t.a", ["no-op"], {"x": 1}, {"x": 1}, importing={"id": name})) for name in ("i-1", "i-2")]
    assert digest_of(imports[0]) != digest_of(imports[1])


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({**plan(BASE), "timestamp": "2027-01-01T00:00:00Z"}, id="time"),
        pytest.param({**plan(BASE), "terraform_version": "9.9.9", "prior_state": {"x": 1}}, id="what surrounds it"),
        pytest.param(plan(BASE, drift=[update("t.z", {"x": 1}, {"x": 2})]), id="drift of another resource"),
        pytest.param(
            plan(BASE, drift=[update("t.z", {"x": "v"}, {"x": "long-secret"}, after_sensitive=True)]),
            id="a mask on drift of another resource",
        ),
        pytest.param(plan(BASE, change("t.z", ["no-op"], {"x": 1}, {"x": 1})), id="a resource that stays"),
        pytest.param(
            varied(before={**BASE["change"]["before"], "same": [2]}, after={**BASE["change"]["after"], "same": [2]}),
            id="what does not differ",
        ),
        pytest.param(
            plan(BASE, outputs={"o": {"actions": ["no-op"], "before": 1, "after": 1}}), id="an output that stays"
        ),
    ],
)
def test_noise_does_not_move_the_digest(document: dict[str, Any]) -> None:
    assert digest_of(document) == digest_of(plan(BASE))


def test_ignored_paths_do_not_move_the_digest() -> None:
    rule = IgnoreRule(address="t.*", paths=["y.k"])
    assert digest_of(varied(after={"x": 2, "y": {"k": "z"}, "same": [1]}), rule) == digest_of(plan(BASE), rule)
    assert digest_of(varied(after={"x": 3, "y": {"k": "w"}, "same": [1]}), rule) != digest_of(plan(BASE), rule)


@pytest.mark.parametrize("name", [name for name in NAMES if analyse_plan(recorded(name)).content])
def test_a_recorded_digest_is_the_same_on_every_machine(name: str) -> None:
    """Were one of these to move, all open approvals would be void: raise the content's version and say so."""
    expected = json.loads(DIGESTS.read_text())
    assert analyse_plan(recorded(name)).content_digest == expected[name]


def test_a_content_survives_being_stored() -> None:
    analysis = analyse_plan(recorded("secrets"))
    assert analysis.content is not None
    stored = json.loads(json.dumps(analysis.content))
    assert plan_content.show(stored, commit).digest == analysis.content_digest
    assert differing_paths(stored, analysis.content) == ()


# --- Secrets --------------------------------------------------------------------------------------------------------


def sensitive(value: str) -> dict[str, Any]:
    return plan(update("t.a", {"x": 1, "pin": "0"}, {"x": 2, "pin": value}, after_sensitive={"pin": True}))


def test_the_content_keeps_secrets_apart() -> None:
    analysis = analyse_plan(sensitive("1234"))
    assert analysis.content is not None
    entry = analysis.content["changes"][0]
    assert entry["after"] == {"x": 2}
    assert entry["sensitive"] == {"pin": {"before": {"pin": "0"}, "after": {"pin": "1234"}, "unknown": []}}


def test_a_secret_moves_the_digest_through_the_commitment_alone() -> None:
    one, other = (analyse_plan(sensitive(pin)).shown for pin in ("1234", "1235"))
    assert one is not None
    assert other is not None
    assert one.lines == other.lines
    assert one.digest != other.digest
    assert dataclasses.replace(one, sealed=other.sealed) == other


def test_without_the_homes_key_a_short_secret_can_not_be_guessed_from_what_is_shown() -> None:
    """All that is public of one home's digest fits no guess made under another key."""
    shown = analyse_plan(sensitive("1234")).shown
    content = analyse_plan(sensitive("1234")).content
    assert content is not None
    assert plan_content.show(content, commit) == shown
    assert plan_content.show(content, lambda data: keyed_digest(b"x" * 32, data)).digest != shown.digest  # type: ignore[union-attr]


def test_equal_secrets_in_different_changes_do_not_look_alike() -> None:
    documents = [
        sensitive("1234"),
        plan(update("t.b", {"x": 1, "pin": "0"}, {"x": 2, "pin": "1234"}, after_sensitive={"pin": True})),
    ]
    sealed = {analyse_plan(document).shown.sealed for document in documents}  # type: ignore[union-attr]
    assert len(sealed) == 2


def test_where_nothing_is_secret_the_digest_is_the_same_in_every_home() -> None:
    shown = analyse_plan(plan(BASE)).shown
    assert shown is not None
    assert shown.sealed is None


def test_a_masked_text_is_a_secret_where_the_mask_is_lost_and_so_is_a_known_one() -> None:
    analysis = analyse_plan(recorded("secrets"), secrets=Scrubber(["token-value-one"]))
    assert analysis.content is not None
    shown = [{**entry, "sensitive": sorted(entry["sensitive"])} for entry in analysis.content["changes"]]
    text = json.dumps([shown, [finding.paths for finding in analysis.findings], analysis.summary.as_json()])
    assert "token-value" not in text


# --- Two contents ----------------------------------------------------------------------------------------------------


def paths_between(one: dict[str, Any], other: dict[str, Any]) -> tuple[str, ...]:
    contents = [analyse_plan(document).content for document in (one, other)]
    assert contents[0] is not None
    assert contents[1] is not None
    return differing_paths(contents[0], contents[1])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(plan(BASE), (), id="the same"),
        pytest.param(varied(after={"x": 3, "y": {"k": "w"}, "same": [1]}), ("t.a: x",), id="a value"),
        pytest.param(varied(after={"x": True, "y": {"k": "w"}, "same": [1]}), ("t.a: x",), id="a kind of value"),
        pytest.param(varied(after={"x": 2, "y": {}, "same": [1]}), ("t.a: y", "t.a: y.k"), id="a key"),
        pytest.param(varied(after_unknown={"y": {"k": True}}), ("t.a: y.k",), id="unknown"),
        pytest.param(varied(actions=["delete", "create"]), ("t.a",), id="actions"),
        pytest.param(plan(BASE, change("t.b", ["create"], after={})), ("t.b",), id="another change"),
        pytest.param(
            plan(BASE, outputs={"o": {"actions": ["create"], "after": 1}}), ("output.o",), id="another output"
        ),
    ],
)
def test_where_two_contents_differ(other: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert paths_between(plan(BASE), other) == expected
    assert paths_between(other, plan(BASE)) == expected


def test_a_secret_difference_is_named_as_far_as_its_mask() -> None:
    def document(key: str) -> dict[str, Any]:
        return plan(update("t.a", {}, {"all": {key: 1}, "x": 1}, after_sensitive={"all": True}))

    assert paths_between(document("secret-one"), document("secret-two")) == ("t.a: all",)


def test_a_deposed_object_is_compared_with_itself() -> None:
    gone = change("t.a", ["delete"], {"x": 0}, deposed="01234567")
    other = copy.deepcopy(gone)
    other["change"]["before"]["x"] = 9
    assert paths_between(plan(BASE, gone), plan(BASE, other)) == ("t.a: x",)
