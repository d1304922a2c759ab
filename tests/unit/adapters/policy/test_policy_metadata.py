"""METADATA comments: what is read, and what is refused."""

import pytest

from setpoint.adapters.policy.metadata import Metadata, MetadataError, read_metadata

MODULE = """\
# A licence line.
# METADATA
# title: No deletes
# description: >-
#   Two lines
#   of text.
# custom:
#   severity: high
#   remediation: Keep it.
package a

# METADATA
# title: A rule
deny contains "x" if {
\tinput.x  # METADATA is no block here
}
"""


def test_blocks_belong_to_the_code_below() -> None:
    assert read_metadata(MODULE) == {
        10: Metadata("No deletes", "Two lines of text.", "high", "Keep it."),
        14: Metadata("A rule"),
    }


def test_no_block() -> None:
    assert read_metadata("package a\n") == {}


@pytest.mark.parametrize(
    ("block", "why"),
    [
        pytest.param("# a: [", "no YAML", id="broken"),
        pytest.param("# - a", "no mapping", id="list"),
        pytest.param("# custom: 3", "no mapping", id="custom-is-a-number"),
        pytest.param("# title: 3", "title", id="title-is-a-number"),
        pytest.param(f"# title: {'x' * 2000}", "title", id="long-title"),
        pytest.param("# custom: {severity: urgent}", "critical, high, medium, low", id="severity"),
        pytest.param("# a: &a [1]\n# b: *a", "anchor", id="anchor"),
        pytest.param("# a: !!python/object/apply:os.getcwd []", "tag", id="tag"),
        pytest.param(f"# a: {'x' * 20_000}", "larger", id="large"),
        pytest.param(f"# a: {'[' * 2000}", "no YAML", id="deep"),
    ],
)
def test_bad_blocks(block: str, why: str) -> None:
    with pytest.raises(MetadataError, match=why) as caught:
        read_metadata(f"\n# METADATA\n{block}\npackage a\n")
    assert caught.value.line == 2
