"""Plans made to mislead: values that look alike, secrets in odd places, documents that are none; and speed."""

import contextlib
import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.plans import NAMES, analyse_plan, change, large_plan, plan, recorded
from tests.soak import examples

from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.domain.errors import InvalidError
from setpoint.targets.environment.plan.analysis import PlanAnalysis
from setpoint.targets.environment.plan.judged_plan import judged_plan


def one_update(before: Any, after: Any, **fields: Any) -> PlanAnalysis:
    return analyse_plan(plan(change("a_b.c", ["update"], before, after, **fields)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"x": 1}, {"x": True}, id="one-and-true"),
        pytest.param({"x": [1]}, {"x": [True]}, id="one-and-true-in-a-list"),
        pytest.param({"x": {"a.b": 1}}, {"x": {"a": {"b": 1}}}, id="dotted-key"),
        pytest.param({"x": {"a[0]": 1}}, {"x": {"a": [1]}}, id="indexed-key"),
        pytest.param({"x": {"0": 1}}, {"x": [1]}, id="key-and-index"),
        pytest.param({"x": {"": 1}}, {"x": 1}, id="empty-key"),
        pytest.param({"x": []}, {"x": {}}, id="empty-list-and-map"),
        pytest.param({"x": ""}, {}, id="empty-and-absent"),
        pytest.param({"x": "1"}, {"x": 1}, id="text-and-number"),
        pytest.param({"x": 2**53}, {"x": 2**53 + 1}, id="beyond-doubles"),
    ],
)
def test_values_that_look_alike_have_digests_of_their_own(one: Any, other: Any) -> None:
    digests = {one_update({"y": 0}, {**value, "y": 1}).content_digest for value in (one, other)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("before", "after", "unknown"),
    [
        pytest.param({"x": 1}, None, True, id="all-unknown"),
        pytest.param(None, {"x": 1}, {}, id="no-before"),
        pytest.param({"x": 1}, None, {}, id="no-after"),
        pytest.param([1], [2], False, id="lists-at-the-top"),
        pytest.param(None, None, True, id="nothing-known"),
    ],
)
def test_odd_sides_are_still_a_change(before: Any, after: Any, unknown: Any) -> None:
    analysis = one_update(before, after, after_unknown=unknown)
    assert analysis.content is not None
    assert len(analysis.actions) == len(analysis.findings) == 1


@pytest.mark.parametrize("actions", [["create"], ["delete"], ["delete", "create"], ["forget"]], ids="-".join)
@pytest.mark.parametrize("paths", [[], ["x"]], ids=["whole", "path"])
def test_what_is_made_or_destroyed_can_not_be_ignored(actions: list[str], paths: list[str]) -> None:
    before = None if actions == ["create"] else {"x": 1}
    after = {"x": 2} if "create" in actions else None
    document = plan(change("a_b.c", actions, before, after))
    analysis = analyse_plan(document, [IgnoreRule(address="a_b.c", paths=paths)])
    assert analysis.content is not None
    assert not any(finding.ignored for finding in analysis.findings)


@pytest.mark.parametrize(
    ("made", "classes"),
    [
        pytest.param({"name": "n", "size": 5, "tier": "std"}, ["actionable"], id="as-it-was"),
        pytest.param({"name": "n", "size": 9, "tier": "std"}, ["actionable", "pending"], id="otherwise"),
        pytest.param({"name": "n", "size": 5, "tier": "big"}, ["actionable"], id="the-provider-fills-in-otherwise"),
        pytest.param({"name": "n", "tier": "std"}, ["actionable"], id="size-known-after-the-apply"),
    ],
)
def test_what_was_deleted_outside_and_edited_is_not_only_drift(made: dict[str, Any], classes: list[str]) -> None:
    before = {"name": "n", "size": 5, "tier": "std", "id": "i"}
    unknown = {"id": True} if "size" in made else {"id": True, "size": True}
    expressions = {"name": {"constant_value": "n"}, "size": {"constant_value": 5}}
    document = plan(
        change("a_b.c", ["create"], None, made, after_unknown=unknown),
        drift=[change("a_b.c", ["delete"], before, None)],
        configuration={"resources": [{"address": "a_b.c", "expressions": expressions}]},
    )
    assert [finding.drift_class.value for finding in analyse_plan(document).findings] == classes


# --- Secrets ------------------------------------------------------------------------------------------------------


@st.composite
def masked(draw: Any) -> tuple[Any, Any, list[str]]:
    """A value with secrets in it, as values and as keys, the mask that says so, and the secrets."""
    secrets: list[str] = []

    def secret() -> str:
        secrets.append(f"Secret{len(secrets)}x{draw(st.integers(10**6, 10**7))}")
        return secrets[-1]

    def build(depth: int) -> tuple[Any, Any]:
        kind = draw(st.sampled_from(["plain", "secret", "secret-map", "list", "map"] if depth else ["plain", "secret"]))
        if kind == "plain":
            return draw(st.sampled_from([1, "shown", None, True])), False
        if kind == "secret":
            return secret(), True
        if kind == "secret-map":
            return {secret(): [secret(), {secret(): secret()}]}, True
        inner = [build(depth - 1) for _ in range(draw(st.integers(1, 3)))]
        if kind == "list":
            return [value for value, _ in inner], [mask for _, mask in inner]
        return {f"k{i}": value for i, (value, _) in enumerate(inner)}, {f"k{i}": m for i, (_, m) in enumerate(inner)}

    built = {name: build(3) for name in ("a", "b", "c")}
    return {n: value for n, (value, _) in built.items()}, {n: mask for n, (_, mask) in built.items()}, secrets


@given(masked(), masked(), st.booleans())
@settings(max_examples=examples(40))
def test_no_secret_is_shown(one: Any, two: Any, unknown: bool) -> None:
    (before, before_mask, hidden), (after, after_mask, more) = one, two
    masks = {"before_sensitive": before_mask, "after_sensitive": after_mask}
    item = change("a_b.c", ["update"], before, after, **masks, after_unknown={"a": True} if unknown else {})
    output = {"actions": ["update"], "before": hidden, "after": more, "before_sensitive": True, "after_sensitive": True}
    document = plan(item, drift=[copy.deepcopy(item)], outputs={"o": output})
    analysis = analyse_plan(document)
    shown = [repr(judged_plan(document, analysis.hidden)), repr(analysis)]
    for secret in (*hidden, *more):
        assert not any(secret in text for text in shown), secret


# --- What is no plan ----------------------------------------------------------------------------------------------

SCALAR = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def deep(depth: int) -> Any:
    value: Any = "bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


ODD = VALUE | st.sampled_from(["\ud800", {"\ud800": "\ud800"}, [{}], "read"]) | st.sampled_from([150, 900]).map(deep)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


@given(st.sampled_from(NAMES), st.integers(0), ODD)
@settings(max_examples=examples(150))
def test_a_document_with_something_odd_in_it_is_analysed_or_refused(name: str, at: int, odd: Any) -> None:
    document: Any = recorded(name)
    found = places(document)
    *above, last = found[at % len(found)] or (None,)
    holder = document
    for key in above:
        holder = holder[key]
    holder[last] = odd
    survive(document)


@given(ODD)
def test_any_json_is_analysed_or_refused(document: Any) -> None:
    survive(document)
    survive({"resource_changes": [{"address": "a.b", "change": document}]})
    survive(plan(change("a.b", ["update"], {"x": document}, {"x": 1})))
    survive(plan(outputs={"o": {"actions": ["update"], "before": document, "after": 1}}))


def test_text_that_is_no_unicode_is_refused_wherever_it_is() -> None:
    half = "\ud800"
    for document in (
        plan(change("a.b", ["update"], {"x": half}, {"x": 1})),
        plan(change("a.b", ["update"], {"x": {half: 1}}, {"x": 1})),
        plan(change(f"a.{half}", ["update"], {"x": 1}, {"x": 2})),
        plan(drift=[change("a.b", ["update"], {"x": half}, {"x": 1})]),
        plan(outputs={half: {"actions": ["update"], "before": 0, "after": 1}}),
    ):
        with pytest.raises(InvalidError, match="Unicode"):
            analyse_plan(document)


def survive(document: Any) -> None:
    with contextlib.suppress(InvalidError):
        judged_plan(document, analyse_plan(document).hidden)


# --- Speed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secrets", [False, True], ids=["plain", "with-a-secret-each"])
def test_a_plan_of_500_changes_is_analysed_fast(secrets: bool) -> None:
    document = large_plan(500, secrets=secrets)
    began = time.process_time()
    analysis = analyse_plan(document, [IgnoreRule(address="module.*", paths=["tags.tag-1"])])
    seconds = time.process_time() - began
    assert len(analysis.actions) == 500
    assert seconds < 2, f"{seconds:.3f} s of CPU; a tenth of that on a machine at rest"
