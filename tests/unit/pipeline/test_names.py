"""Names and labels of what belongs to a target."""

import re

import pytest

from setpoint.pipeline.names import child_name, target_label

DIGEST = "sha256:" + "0123456789" * 6 + "abcd"
DIGITS = DIGEST[7:39]
LONG = "a." * 126 + "z"


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
    ("name", "kept"), [("web", True), ("a" * 63, True), ("a" * 64, False)], ids=["short", "63", "64"]
)
def test_the_label_is_the_name_as_long_as_it_fits(name: str, kept: bool) -> None:
    label = target_label(name)
    assert (label == name) is kept
    assert re.fullmatch(r"[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?", label)


def test_long_names_that_begin_alike_have_labels_of_their_own() -> None:
    assert target_label("a" * 64) != target_label("a" * 65)
