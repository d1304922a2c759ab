"""No secret stands in what is shown: neither what a mask covers, wherever else it stands, nor a known one."""

import base64
import json
import urllib.parse
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.plans import analyse_plan, change, plan, plans, update
from tests.soak import dear_examples

from setpoint.domain.scrubbing import Scrubber

some = settings(max_examples=dear_examples(40))

_MARK = "hidden-{:06}"
_KNOWN = 'p4ss/word "quoted"'


def shown_text(document: Any, secrets: Scrubber | None = None) -> str:
    """All that is stored and shown of a plan, as one text."""
    analysis = analyse_plan(document, (), *([secrets] if secrets else []))
    if analysis.shown is None:
        return ""
    assert analysis.shown.digest == analysis.content_digest
    return "\n".join(json.loads(analysis.shown.as_bytes())["lines"])


class Planter:
    """Puts a mark into each scalar that a mask covers, and remembers them."""

    def __init__(self) -> None:
        self.marks: list[str] = []

    def plant(self, value: Any, mask: Any, unknown: Any) -> Any:
        if unknown is True:
            return None
        if isinstance(value, dict):
            return {key: self.plant(item, below(mask, key), below(unknown, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.plant(item, below(mask, index), below(unknown, index)) for index, item in enumerate(value)]
        if mask is not True:
            return value
        self.marks.append(_MARK.format(len(self.marks)))
        return self.marks[-1]


def below(mask: Any, step: Any) -> Any:
    """The mask of a part."""
    if isinstance(mask, bool):
        return mask
    try:
        return mask[step]
    except (LookupError, TypeError):
        return False


@some
@given(document=plans(), copies=st.lists(st.integers(0, 30), max_size=4))
def test_what_a_mask_covers_is_shown_nowhere(document: Any, copies: list[int]) -> None:
    """Masks get lost: what one covers may stand elsewhere, as text, within a text, or as a key."""
    planter = Planter()
    for one in (*(item["change"] for item in document["resource_changes"]), *document["output_changes"].values()):
        for side in ("before", "after"):
            one[side] = planter.plant(
                one[side], one.get(f"{side}_sensitive"), one.get("after_unknown") if side == "after" else False
            )
    for number in copies:
        if planter.marks and document["resource_changes"]:
            mark = planter.marks[number % len(planter.marks)]
            entry = document["resource_changes"][number % len(document["resource_changes"])]["change"]
            for side in ("before", "after"):
                if isinstance(entry[side], dict):
                    entry[side] |= {"copy": f"{side} {mark}!", "by": {mark: side}, "in": [mark]}
    text = shown_text(document)
    assert "hidden-" not in text


WRITINGS = {
    "plain": _KNOWN,
    "in a text": f"user:{_KNOWN}@host",
    "base64": base64.b64encode(f"u:{_KNOWN}".encode()).decode(),
    "percent": urllib.parse.quote(_KNOWN, safe=""),
    "hex": _KNOWN.encode().hex(),
    "JSON": json.dumps({"p": _KNOWN}),
}
PLACES: dict[str, Any] = {
    "a value": lambda text: update("t.a", {"x": 1}, {"x": text}),
    "an old value": lambda text: update("t.a", {"x": text}, {"x": 1}),
    "a key": lambda text: update("t.a", {"x": {}}, {"x": {text: 1}}),
    "an element": lambda text: change("t.a", ["create"], after={"x": [1, [text]]}),
    "what goes": lambda text: change("t.a", ["delete"], {"x": text}),
    "an address": lambda text: update(f"t.a[{json.dumps(text)}]", {"x": 1}, {"x": 2}),
    "an earlier address": lambda text: change(
        "t.a", ["no-op"], {"x": 1}, {"x": 1}, previous_address=f"t.b[{json.dumps(text)}]"
    ),
    "an import": lambda text: change("t.a", ["no-op"], {"x": 1}, {"x": 1}, importing={"id": text}),
    "what forces a replacement": lambda text: change(
        "t.a", ["delete", "create"], {"x": {text: 1}}, {"x": {text: 2}}, replace_paths=[["x", text]]
    ),
}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("place", PLACES)
def test_a_known_secret_is_shown_in_no_place_and_no_writing(place: str, writing: str) -> None:
    document = plan(PLACES[place](WRITINGS[writing]), update("t.z", {"x": 1}, {"x": 2}))
    text = shown_text(document, Scrubber([_KNOWN], label=lambda key: f"sha256:{len(key):064}"))
    assert '"t.z"' in text
    found = {name for name, one in WRITINGS.items() if one in text or json.dumps(one)[1:-1] in text}
    assert found == set()


@pytest.mark.parametrize("place", PLACES)
def test_another_secret_in_its_place_is_another_digest(place: str) -> None:
    digests = {
        analyse_plan(plan(PLACES[place](secret)), (), Scrubber([secret])).content_digest
        for secret in ("first-secret", "other-secret")
    }
    assert len(digests) == 2


def test_masks_of_what_stays_as_it_is_count_too() -> None:
    """Of a resource and a data source in the state, of an output, of a variable."""
    texts = {name: f"{name}-secret" for name in ("resource", "data", "output", "variable", "module")}
    inner = {"values": {"x": {"y": texts["resource"]}}, "sensitive_values": {"x": {"y": True}}}
    module = {"resources": [{"values": {"x": texts["module"]}, "sensitive_values": {"x": True}}]}
    data = {"mode": "data", "values": {"x": texts["data"]}, "sensitive_values": {"x": True}}
    root = {"resources": [inner, data], "child_modules": [{"child_modules": [module]}]}
    document = plan(update("t.a", {"x": "old", "z": 1}, {"x": texts, "z": 2})) | {
        "prior_state": {
            "values": {"outputs": {"o": {"sensitive": True, "value": [texts["output"]]}}, "root_module": root}
        },
        "variables": {"v": {"value": {"k": texts["variable"]}}},
    }
    document["configuration"]["root_module"]["variables"] = {"v": {"sensitive": True}}
    text = shown_text(document)
    assert '"z"' in text
    assert [name for name, secret in texts.items() if secret in text] == []


def test_a_secret_of_digits_is_no_number_that_is_shown() -> None:
    text = shown_text(plan(update("t.a", {"x": 1, "y": 1}, {"x": 20272207, "y": 2})), Scrubber(["20272207"]))
    assert "20272207" not in text
    assert '"sensitive"' in text
