import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.adapters.source.inline import inline_tree
from setpoint.adapters.source.limits import Bounds, Limits
from setpoint.domain.errors import StalledError
from setpoint.targets.environment.code import CODE

SMALL = Limits(files=4, total_bytes=100, file_bytes=60, depth=2)


def test_gives_the_files_of_the_manifest() -> None:
    tree = inline_tree({"main.tf": "a", "modules/x/main.tf": "é"}, Bounds(Limits(), CODE))
    assert tree.read("modules/x/main.tf") == "é".encode()
    assert list(tree.files) == ["main.tf", "modules/x/main.tf"]


def test_a_state_is_left_out_and_shown() -> None:
    tree = inline_tree({"main.tf": "a", "terraform.tfstate": "{}", ".terraform/x/y": "z"}, Bounds(Limits(), CODE))
    assert (list(tree.files), tree.marks) == (["main.tf"], {"terraform.tfstate"})


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({"../main.tf": ""}, "spec.source.inline: ../main.tf is no plain path", id="dotdot"),
        pytest.param({"a/../main.tf": ""}, "no plain path", id="dotdot-inside"),
        pytest.param({"/etc/main.tf": ""}, "no plain path", id="absolute"),
        pytest.param({"a//b": ""}, "no plain path", id="empty-part"),
        pytest.param({"": ""}, "no plain path", id="empty"),
        pytest.param({"a\\b": ""}, "characters", id="backslash"),
        pytest.param({"a\x1b[2J": ""}, "characters", id="escape-sequence"),
        pytest.param({"\ud800": ""}, "not UTF-8", id="surrogate-name"),
        pytest.param({"a": "\ud800"}, "not UTF-8", id="surrogate-content"),
        pytest.param({"n" * 256: ""}, "longer than 255", id="long-name"),
        pytest.param({"a": "", "a/b": ""}, "file as a folder", id="file-as-folder"),
        pytest.param({"a/b": "", "a": ""}, "folder as a file", id="folder-as-file"),
        pytest.param({"a/b/c/d": ""}, "deeper than 2", id="deep"),
        pytest.param({"a": "x" * 61}, "larger than 60", id="large"),
        pytest.param({"a": "x" * 51, "b": "x" * 51}, "larger than 100", id="large-in-all"),
        pytest.param({str(number): "" for number in range(5)}, "more than 4", id="many"),
        pytest.param({}, "holds no files", id="nothing"),
    ],
)
def test_refuses(files: dict[str, str], says: str) -> None:
    with pytest.raises(StalledError, match=says):
        inline_tree(files, Bounds(SMALL, CODE))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}\.tf", fullmatch=True), st.text("ab\n"), min_size=1, max_size=6))
def test_the_digest_depends_on_the_files_and_not_on_their_order(files: dict[str, str]) -> None:
    tree = inline_tree(files, Bounds(Limits(), CODE))
    assert inline_tree(dict(reversed(files.items())), Bounds(Limits(), CODE)) == tree
    name = next(iter(files))
    assert inline_tree({**files, name: files[name] + "."}, Bounds(Limits(), CODE)).digest != tree.digest
