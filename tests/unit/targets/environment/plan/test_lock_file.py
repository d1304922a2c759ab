"""Terraform's lock file: which providers it pins, and pinning more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.targets.environment.plan.lock_file import read_locked, with_locked


def block(address: str, version: str = "1.0.0") -> str:
    return f'provider "{address}" {{\n  version = "{version}"\n  hashes = [\n    "h1:abc=",\n  ]\n}}'


HEAD = '# This file is maintained automatically by "terraform init".\n# Manual edits may be lost.\n\n'
ONE = HEAD + block("registry.terraform.io/acme/one") + "\n"


def test_providers_are_read_with_their_whole_blocks() -> None:
    two = ONE + "\n" + block("registry.terraform.io/acme/two") + "\n"
    assert read_locked(two) == {
        f"registry.terraform.io/acme/{n}": block(f"registry.terraform.io/acme/{n}") for n in ("one", "two")
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(HEAD, id="comments"),
        pytest.param('# provider "a/b/c" {\n# }\n', id="commented-out"),
        pytest.param('provider "a/b/c" {\n  version = "1"\n', id="cut-off"),
        pytest.param("provider " * 10_000, id="words"),
    ],
)
def test_what_is_no_block_pins_nothing(text: str) -> None:
    assert read_locked(text) == {}


def test_lines_may_end_as_on_windows() -> None:
    assert read_locked(ONE.replace("\n", "\r\n")).keys() == {"registry.terraform.io/acme/one"}


def test_what_the_file_pins_itself_stays() -> None:
    assert with_locked(ONE, {"registry.terraform.io/acme/one": block("registry.terraform.io/acme/one", "9.9.9")}) == ONE


def test_what_it_does_not_name_is_added() -> None:
    known = {address: block(address) for address in ("b/b/b", "a/a/a")}
    assert list(read_locked(with_locked(ONE, known))) == ["registry.terraform.io/acme/one", "a/a/a", "b/b/b"]
    assert list(read_locked(with_locked("", known))) == ["a/a/a", "b/b/b"]


_addresses = st.sets(st.text("abc/", min_size=1, max_size=5), max_size=4)


@given(_addresses, _addresses)
def test_all_that_either_pins_is_pinned_and_once_is_enough(own: set[str], known: set[str]) -> None:
    text = "\n\n".join(block(address, "1") for address in sorted(own)) + "\n"
    blocks = {address: block(address, "2") for address in known}
    merged = with_locked(text, blocks)
    assert read_locked(merged) == {**blocks, **{address: block(address, "1") for address in own}}
    assert with_locked(merged, blocks) == merged
