"""Names and labels of what belongs to a target."""

import re

import pytest

from setpoint.api.meta import ObjectRef
from setpoint.pipeline.names import child_name, earlier_label, target_label

DIGEST = "sha256:" + "0123456789" * 6 + "abcd"
DIGITS = DIGEST[7:39]
LONG = "a." * 126 + "z"


def environment(name: str) -> ObjectRef:
    return ObjectRef("Environment", "default", name)


@pytest.mark.parametrize(
    ("target", "infix", "name"),
    [
        pytest.param("web", "", f"web-{DIGITS}", id="plain"),
        pytest.param("web", "snap", f"web-snap-{DIGITS}", id="with an infix"),
        pytest.param("a" * 253, "", "a" * 220 + f"-{DIGITS}", id="cut"),
        pytest.param("a" * 219 + ".b", "", "a" * 219 + f"-{DIGITS}", id="cut at a dot"),
        pytest.param("a" * 218 + "--b", "", "a" * 218 + f"-{DIGITS}", id="cut at a dash"),
    ],
)
def test_a_child_has_its_targets_name_and_32_digits(target: str, infix: str, name: str) -> None:
    assert child_name(target, infix, DIGEST) == name


@pytest.mark.parametrize("infix", ["", "snap", "reset"])
@pytest.mark.parametrize("length", range(203, 254))
def test_the_name_of_a_child_is_a_name(length: int, infix: str) -> None:
    name = child_name(LONG[: length - 1] + "z", infix, DIGEST)
    assert len(name) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", name)


@pytest.mark.parametrize(
    ("name", "kept"), [("web", True), ("a" * 51, True), ("a" * 52, False)], ids=["short", "63 in all", "64 in all"]
)
def test_the_label_is_kind_and_name_as_long_as_they_fit(name: str, kept: bool) -> None:
    label = target_label(environment(name))
    assert (label == f"environment.{name}") is kept
    assert re.fullmatch(r"[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?", label)


@pytest.mark.parametrize("name", ["web", "a" * 64], ids=["short", "long"])
def test_two_targets_have_labels_of_their_own(name: str) -> None:
    same_name = ObjectRef("Beacon", "default", name)
    assert len({target_label(one) for one in (environment(name), environment(name + "a"), same_name)}) == 3


@pytest.mark.parametrize(("name", "kept"), [("web", True), ("a" * 63, True), ("a" * 64, False)])
def test_the_earlier_label_was_the_name_alone(name: str, kept: bool) -> None:
    label = earlier_label(environment(name))
    assert label == (name if kept else "h-ffe054fe7ae0cb6dc65c3af9b61d5209f439851d")
