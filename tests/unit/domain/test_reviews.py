"""Changes that people look at elsewhere: what is noted of them, and what follows where others carried one out."""

from typing import Any

import pytest
from tests.fakes.examples import example

from setpoint.api.v1alpha1.change import ActionSummary, Change, ReviewStatus
from setpoint.api.v1alpha1.snapshot import Snapshot
from setpoint.domain import reviews
from setpoint.domain.findings import DriftClass, Finding
from setpoint.domain.goals import Goal, GoalKind
from setpoint.domain.model import CarriedOut, Observation, Review
from setpoint.domain.reading import parse

URL = "https://example.org/1"
SEEN = Observation("1", "sha256:here", (), None)
SNAPSHOT = parse(Snapshot, example("Snapshot"))

HERE = "sha256:here"


def status(**fields: Any) -> ReviewStatus:
    return ReviewStatus.model_validate({"url": URL, "shown": True, **fields})


@pytest.mark.parametrize(
    ("review", "up"),
    [
        pytest.param(None, False, id="never shown"),
        pytest.param(status(), True, id="shown"),
        pytest.param(status(url=""), False, id="begun, and perhaps shown"),
        pytest.param(status(shown=False), False, id="withdrawn"),
    ],
)
def test_what_is_known_to_be_shown(review: ReviewStatus | None, up: bool) -> None:
    assert reviews.is_up(review) is up


@pytest.mark.parametrize(
    ("known", "seen", "expected"),
    [
        pytest.param(None, Review(URL), status(), id="shown"),
        pytest.param(status(url=""), Review(URL), status(), id="shown at last"),
        pytest.param(status(), Review(), status(url="", shown=False), id="nothing is shown"),
        pytest.param(status(), Review(URL, "bob", "no"), status(declinedBy="bob", why="no"), id="declined"),
        pytest.param(
            status(), Review(URL, "bob"), status(declinedBy="bob", why=f"declined at {URL}"), id="without a word"
        ),
        pytest.param(status(), Review(URL, "", "no"), status(declinedBy="somebody", why="no"), id="without a name"),
        pytest.param(
            status(declinedBy="bob", why="no"),
            Review(URL, "eve", "neither"),
            status(declinedBy="bob", why="no"),
            id="the first stays",
        ),
        pytest.param(
            status(declinedBy="bob", why="no"), Review(URL), status(declinedBy="bob", why="no"), id="not taken back"
        ),
        pytest.param(
            status(),
            Review(URL, "b" * 2000, "w" * 2000),
            status(declinedBy="b" * 1023 + "…", why="w" * 1023 + "…"),
            id="long texts",
        ),
    ],
)
def test_what_is_noted(known: ReviewStatus | None, seen: Review, expected: ReviewStatus) -> None:
    assert reviews.noted(known, seen) == expected


def test_what_ended_is_no_longer_shown_and_keeps_its_place() -> None:
    assert reviews.ended(status(declinedBy="bob", why="no")) == status(declinedBy="bob", why="no", shown=False)
    assert reviews.ended(None) is None


@pytest.mark.parametrize(
    ("found", "ungated", "told"),
    [
        (CarriedOut("s", "bob", URL), False, f"carried out by bob ({URL})"),
        (CarriedOut("s", "bob", URL), True, f"carried out by bob ({URL}); its gates had not passed"),
        (CarriedOut("s", "", ""), False, "carried out by somebody"),
    ],
)
def test_who_carried_it_out_in_words(found: CarriedOut, ungated: bool, told: str) -> None:
    assert reviews.told_carried_out(found, ungated=ungated) == told


@pytest.mark.parametrize(
    ("cause", "goal", "configuration", "in_force"),
    [
        pytest.param("SpecChanged", Goal(GoalKind.SPEC), HERE, True, id="the same configuration"),
        pytest.param("Drift", Goal(GoalKind.SPEC), HERE, True, id="drift"),
        pytest.param("SpecChanged", Goal(GoalKind.SPEC), "sha256:x", False, id="another one"),
        pytest.param("SpecChanged", Goal(GoalKind.SPEC), None, False, id="an unknown one"),
        pytest.param("Destroy", Goal(GoalKind.SPEC), HERE, False, id="a deletion that was taken back"),
        pytest.param("SpecChanged", Goal(GoalKind.DESTROY), HERE, False, id="deleted meanwhile"),
        pytest.param("Destroy", Goal(GoalKind.DESTROY), HERE, True, id="a destruction"),
        pytest.param("Reset", Goal(GoalKind.SNAPSHOT, snapshot=SNAPSHOT), HERE, True, id="a reset"),
        pytest.param("Reset", Goal(GoalKind.SPEC), HERE, False, id="a reset that is over"),
        pytest.param("SpecChanged", Goal(GoalKind.HOLD), HERE, False, id="held meanwhile"),
    ],
)
def test_whether_what_was_carried_out_is_in_force(
    cause: str, goal: Goal, configuration: str | None, in_force: bool
) -> None:
    spec = parse(Change, example("Change", cause=cause)).spec.model_copy(update={"configuration": configuration})
    assert reviews.is_in_force(spec, goal, SEEN) is in_force


def finding(address: str, **fields: Any) -> Finding:
    return Finding(address, fields.pop("drift_class", DriftClass.ACTIONABLE), "update", **fields)


@pytest.mark.parametrize(
    ("found", "reason", "message", "paths"),
    [
        pytest.param([], "Verified", "", (), id="nothing differs"),
        pytest.param([finding("a")], "NotConverging", "still differs after it was carried out: a", ("a",), id="within"),
        pytest.param([finding("z")], "DriftDetected", "differs anew: z", ("z",), id="beside"),
        pytest.param(
            [finding("a"), finding("z")],
            "NotConverging",
            "still differs after it was carried out: a",
            ("a",),
            id="within and beside",
        ),
        pytest.param(
            [finding("a", deposed="k")], "DriftDetected", "differs anew: a (deposed k)", ("a (deposed k)",), id="left"
        ),
        pytest.param([finding("a", ignored=True)], "Verified", "", (), id="ignored"),
        pytest.param([finding("a", mendable=False)], "Verified", "", (), id="beyond mending"),
        pytest.param([finding("a", drift_class=DriftClass.INFORMATIONAL)], "Verified", "", (), id="informational"),
        pytest.param(
            [finding(f"z{number}") for number in range(7)],
            "DriftDetected",
            "differs anew: z0, z1, z2, z3, z4 and 2 more",
            tuple(f"z{number}" for number in range(7)),
            id="many",
        ),
    ],
)
def test_what_was_carried_out_is_judged_by_what_differs(
    found: list[Finding], reason: str, message: str, paths: tuple[str, ...]
) -> None:
    verification = reviews.judge_carried_out([ActionSummary(address="a", action="update")], found)
    assert (verification.reason, verification.message, verification.paths) == (reason, message, paths)
    assert verification.ok is (reason == "Verified")
