"""The pages' blocks can be told apart, and the harness that runs them sees what it should."""

import itertools
import re
from pathlib import Path

import pytest
from tests.docs.pages import COMMANDS, PAGES, ROOT, blocks
from tests.docs.rehearsal import Rehearsal
from tests.docs.shell import Shell
from tests.docs.transcript import Command, agree, bind, commands, translate

from setpoint.adapters.local.manifests import parse

ONE, TWO, THREE, FOUR = "1" * 32, "2" * 32, "a" * 32, "b" * 32
by_path = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@by_path
def test_block__is_a_language__and_says_why_it_is_not_run(page: Path) -> None:
    found = list(blocks(page.read_text(encoding="utf-8")))
    assert [block.line for block in found if not block.language] == []
    assert [block.line for block in found if block.language == "console" and not block.text.startswith("$ ")] == []
    assert [block.line for block in found if block.not_run and len(block.not_run) < 10] == []


@by_path
def test_block__with_what_a_test_has_not__is_not_run(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.is_run and block.language in COMMANDS:
            lacking = re.search(r"(?m)^(?:\$ )?(kubectl|docker|kind|helm|psql|curl) ", block.text)
            assert not lacking, f"line {block.line}: say why it is not run, or run something else"


@by_path
def test_block__in_yaml__is_a_manifest_without_errors(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "yaml":
            assert parse("page.yaml", block.text.encode(), lenient=True).errors == [], block.line


def test_pages__some_are_run_and_some_are_not() -> None:
    found = list(itertools.chain.from_iterable(blocks(page.read_text(encoding="utf-8")) for page in PAGES))
    assert sum(block.is_run and block.language == "console" for block in found) > 20
    assert any(block.not_run and block.language in COMMANDS for block in found)


# --- Pages ------------------------------------------------------------------------------------------------------------


PAGE = """\
1. A list

   ```yaml title="a.yaml"
   a: 1
   ```

<!-- run
true
-->

<!-- not run: needs a
     cluster -->
```sh
one
```

```sh
two
```

<!-- not run from here: no nodes -->

```console
$ three
```

<!-- run from here -->
```console
$ four
```
"""


def test_blocks__of_every_kind__are_found_where_they_are() -> None:
    found = list(blocks(PAGE))
    assert [(block.language, block.title, block.text.strip(), block.not_run) for block in found] == [
        ("yaml", "a.yaml", "a: 1", ""),
        ("sh", "", "true", ""),
        ("sh", "", "one", "needs a cluster"),
        ("sh", "", "two", ""),
        ("console", "", "$ three", "no nodes"),
        ("console", "", "$ four", ""),
    ]
    lines = PAGE.splitlines()
    assert [lines[block.line].strip() for block in found] == ["a: 1", "true", "one", "two", "$ three", "$ four"]
    assert found[0].indent == "   "


# --- Transcripts ------------------------------------------------------------------------------------------------------


def test_commands__have_their_output_and_the_code_that_a_comment_names() -> None:
    text = "$ one  # 3: it waits\nout\n\nmore\n$ two <<'END'\n> in\n> END\n$ three '#4'\n"
    found = list(commands(text))
    assert found == [Command("one  # 3: it waits", ("out", "", "more")), Command("two <<'END'\nin\nEND", ()), found[2]]
    assert [command.exit_code for command in found] == [3, 0, 0]


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        pytest.param(["NAME   AGE", f"a-{ONE}   3s"], ["NAME     AGE", f"a-{THREE}   12m4s"], True, id="masked"),
        pytest.param([f"a-{ONE}"], ["a-1234567"], False, id="digest_of_another_length"),
        pytest.param(["applied (0.0s)"], ["applied (11.3s)"], True, id="duration"),
        pytest.param(["2 resources"], ["3 resources"], False, id="number"),
        pytest.param(["a", "...", "b"], ["a", "x", "", "y", "b"], True, id="anything"),
        pytest.param(["...", "b"], ["b"], True, id="anything_of_none"),
        pytest.param(["...", "b"], ["b", "c"], False, id="more_at_the_end"),
        pytest.param(["error: no such …"], ["error: no such file"], True, id="something"),
        pytest.param(["a.b"], ["axb"], False, id="no_pattern"),
        pytest.param(["t/e  planning"], ["t/e  planning", "t/e  done", "t/e  planning"], False, id="progress_more"),
        pytest.param(["t/e  planning", "t/e  done"], ["t/e  planning", "t/e  done"] * 2, True, id="progress_again"),
        pytest.param(
            ["t/e  applying a", "t/e  applying b"], ["t/e  applying b", "t/e  applying a"], True, id="applied_at_once"
        ),
        pytest.param(["a", "b"], ["b", "a"], False, id="another_order"),
        pytest.param(
            [f"a-{ONE}  1", f"a-{TWO}  2"], [f"a-{THREE}  2", f"a-{FOUR}  1"], True, id="rows_sorted_by_digests"
        ),
    ],
)
def test_agree__what_differs_from_run_to_run__is_no_difference(
    expected: list[str], printed: list[str], same: bool
) -> None:
    assert agree(expected, printed) is same


def test_bind__rows_in_another_order__go_by_what_else_is_in_them() -> None:
    bound = bind([f"a-{ONE}  1  {ONE}", f"a-{TWO}  2"], [f"a-{FOUR}  2", f"a-{THREE}  1  {THREE}"], {})
    assert bound == {ONE: THREE, TWO: FOUR}
    assert translate(f"approve a-{TWO}", bound) == f"approve a-{FOUR}"


def test_bind__rows_that_are_alike__are_told_apart_by_what_is_known() -> None:
    assert bind([f"a-{ONE}  1", f"a-{TWO}  1"], [f"a-{FOUR}  1", f"a-{THREE}  1"], {ONE: THREE})[TWO] == FOUR


def test_bind__lines_that_changed__go_by_words() -> None:
    assert bind([f"Change a-{ONE} waits"], [f"a-{THREE}: waits for you"], {}) == {ONE: THREE}


# --- Rehearsals -------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path):
    with Shell(tmp_path) as shell:
        yield shell


GOOD = f"""\
Made by a-{ONE}.

```console
$ mkdir -p /tmp/x && cd /tmp/x && pwd
/tmp/x
$ echo setpoint approve a-{THREE}; false  # 1
setpoint approve a-{ONE}
$ cat ~/none  # 1
…No such file or directory
```

```text title="said"
a-{ONE}
```

```sh
cmp said <<'END'
a-{THREE}
END
```

```console
$ cat said; echo CHANGE
a-{ONE}
a-{ONE}
```
"""


def test_rehearsal__as_the_page_says__finds_nothing(shell: Shell) -> None:
    rehearsal = Rehearsal(GOOD, shell)
    assert rehearsal.differences == []
    assert rehearsal.rewritten == GOOD


def test_rehearsal__another_output__is_shown_and_written(shell: Shell) -> None:
    page = GOOD.replace("$ cat said; echo CHANGE", "$ echo new").replace("/tmp/x\n$", "/tmp/y\n$")
    rehearsal = Rehearsal(page, shell)
    assert [difference.line for difference in rehearsal.differences] == [4, 23]
    assert "-/tmp/y\n+/tmp/x" in str(rehearsal.differences[0])
    assert not any(difference.wrong_end for difference in rehearsal.differences)
    # All digests are those of this run then, in the prose, too.
    assert rehearsal.rewritten == GOOD.replace(
        f"$ cat said; echo CHANGE\na-{ONE}\na-{ONE}\n", "$ echo new\nnew\n"
    ).replace(ONE, THREE)


@pytest.mark.parametrize(
    ("page", "says"),
    [
        pytest.param("```console\n$ false\n```\n", "ends with 1, not 0", id="command"),
        pytest.param("```console\n$ true  # 3\n```\n", "ends with 0, not 3", id="code"),
        pytest.param("```sh\nfalse\ntrue\n```\n\n```console\n$ never\n```\n", "ends with 1", id="script"),
    ],
)
def test_rehearsal__another_end__can_not_be_written_right(shell: Shell, page: str, says: str) -> None:
    (difference,) = Rehearsal(page, shell).differences
    assert difference.wrong_end
    assert says in str(difference)
