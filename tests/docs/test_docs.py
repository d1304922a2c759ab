"""The pages that people write: links lead somewhere, commands exist, names are those of the API, no machine's paths."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from setpoint.api.conditions import ConditionType, Reason
from setpoint.cli.main import cli

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if GENERATED not in page.parents]

NAMES = {*ConditionType, *Reason}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)(`{3,})[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
CAMEL = r"`([A-Z][A-Za-z]*)`"
CODE = re.compile(r"`[^`\n]*`")
# "the condition `Held`", "reasons `A`, `B` and `C`", "the reason is then `A`"; and "`Held` condition"
LISTED = rf"{CAMEL}(?:(?:, | and | or |, or ){CAMEL})*"
AFTER = re.compile(rf"\b(?:[Cc]ondition|[Rr]eason)s?(?: is(?: then)?)?,?:? ({LISTED})")
BEFORE = re.compile(rf"{CAMEL} (?:condition|reason)\b")
CONDITION_VALUE = re.compile(r"`([A-Z][A-Za-z]*)=(?:True|False|Unknown)`")
MACHINE = re.compile(r"(?<![\w.])/(?:root|work|home|Users)/|\.cache/setpoint/mirror|\bC:\\")

by_path = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
written_by_path = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix())


def prose(page: Path) -> str:
    """The page without fenced blocks, its lines joined: a sentence may be wrapped anywhere."""
    return re.sub(r"\s+", " ", FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, by the rule of git forges."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path, root: Path = ROOT) -> Iterator[str]:
    """Relative links that leave the repository, or lead to no file or heading. Links within code are none."""
    text = CODE.sub("x", FENCE.sub("", page.read_text(encoding="utf-8")))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(root) or not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of every line in a fenced block that runs `setpoint`, without what a shell does around it.

    A synopsis is none: it holds `[OPTIONS]`.
    """
    for block in FENCE.findall(text):
        for line in block[2].splitlines():
            found = re.match(r"\s*(?:\$ )?(setpoint(?: .*)?)$", line)
            if found and "[OPTIONS]" not in line:
                lexer = shlex.shlex(found[1], posix=True, punctuation_chars="|&;<>()")
                lexer.whitespace_split = True
                words = list(lexer)
                yield next((words[:at] for at, word in enumerate(words) if set(word) <= set("|&;<>()")), words)


def problem_of(words: list[str]) -> str:
    """Why click would not take these words; empty where it would. Runs nothing."""
    context, rest = click.Context(cli, info_name="setpoint", **cli.context_settings), words[1:]
    command: click.Command = cli
    try:
        while True:
            parser = command.make_parser(context)
            _, rest, _ = parser.parse_args(args=list(rest))
            if not isinstance(command, click.Group) or not rest:
                return ""
            name, found, rest = command.resolve_command(context, rest)
            assert found is not None
            assert name is not None
            command, context = found, click.Context(found, parent=context, info_name=name, **found.context_settings)
    except click.UsageError as error:
        return error.format_message()


@by_path
def test_relative_links__lead_to_a_file_and_a_heading(page: Path) -> None:
    assert list(broken_links(page)) == []


@by_path
def test_commands__are_known_with_their_options(page: Path) -> None:
    lines = list(command_lines(page.read_text(encoding="utf-8")))
    assert {" ".join(words): problem for words in lines if (problem := problem_of(words))} == {}


@written_by_path
def test_conditions_and_reasons__are_those_of_the_api(page: Path) -> None:
    text = prose(page)
    named = list(itertools.chain.from_iterable(re.findall(CAMEL, found[1]) for found in AFTER.finditer(text)))
    named += BEFORE.findall(text) + CONDITION_VALUE.findall(text)
    assert [name for name in named if name not in NAMES] == []


@by_path
def test_paths__are_of_no_machine(page: Path) -> None:
    assert MACHINE.findall(page.read_text(encoding="utf-8")) == []


def test_map__links_every_written_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text("utf-8"))}
    decisions = ROOT / "docs" / "decisions" / "README.md"
    linked |= {(decisions.parent / link).resolve() for link in LINK.findall(decisions.read_text("utf-8"))}
    assert {page for page in WRITTEN if ROOT / "docs" in page.parents} - linked - {index} == set()


# --- The checks themselves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("setpoint up home --once", "", id="good"),
        pytest.param("setpoint --home x audit log --limit 3 | head", "", id="global_option_group_and_pipe"),
        pytest.param("setpoint approve CHANGE && setpoint up", "", id="two_commands"),
        pytest.param("setpoint frobnicate", "No such command", id="unknown_verb"),
        pytest.param("setpoint audit frobnicate", "No such command", id="unknown_verb_of_a_group"),
        pytest.param("setpoint up --twice", "No such option", id="unknown_option"),
        pytest.param("$ setpoint get env -o json", "", id="with_a_prompt"),
    ],
)
def test_problem_of__a_command_line__says_what_click_would(line: str, problem: str) -> None:
    (words,) = command_lines(f"```\n{line}\n```\n")
    assert problem_of(words).startswith(problem)
    assert bool(problem_of(words)) == bool(problem)


def test_broken_links__missing_file_and_heading__are_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One `two`\n[x](#one-two) [y](b.md) [z](#three) [w](https://example.org/) [v](../a.md)\n")
    assert list(broken_links(page, tmp_path)) == ["b.md", "#three", "../a.md"]


@pytest.mark.parametrize(
    "text",
    [
        "the condition `Nonsense`",
        "with the reason `Held` or `Nonsense`",
        "the reason is then `Nonsense`",
        "its `Nonsense` condition",
    ],
    ids=["condition", "list", "is_then", "before"],
)
def test_names__next_to_condition_or_reason__are_found(text: str) -> None:
    found = list(
        itertools.chain.from_iterable(re.findall(CAMEL, match[1]) for match in AFTER.finditer(text))
    ) + BEFORE.findall(text)
    assert "Nonsense" in found
