"""Owns reading a page: its fenced blocks in order, and what the comments above them say of running them. Runs nothing.

A block of the language `console` holds commands and what they print; `sh` holds commands alone. Any other block with a
title, as in ```yaml title="first.yaml", is a file that its reader writes. `<!-- not run: REASON -->` is about the next
block, `<!-- not run from here: REASON -->` about those up to `<!-- run from here -->`. `<!-- run` begins commands that
no reader sees; they end with `-->`.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
)
COMMANDS = frozenset({"console", "sh"})
_COMMENT = re.compile(r"<!--\s*(not run from here|not run|run from here|run)(:?)(.*?)-->", re.DOTALL)
_TITLE = re.compile(r'\btitle="([^"]+)"')


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """One block. `line` is that of its first line of text, counted from 0; `not_run` says why, where it is not."""

    language: str
    title: str
    text: str
    line: int
    indent: str = ""
    not_run: str = ""

    @property
    def is_run(self) -> bool:
        """True for commands and for files."""
        return not self.not_run and bool(self.title or self.language in COMMANDS)


def blocks(page: str) -> Iterator[Block]:
    """All fenced blocks of a page, and the commands in its comments, in order."""
    lines = page.splitlines()
    from_here = next_one = ""
    for token in MarkdownIt("commonmark").parse(page):
        if token.map is None or token.type not in {"fence", "html_block"}:
            continue
        if token.type == "fence":
            title = _TITLE.search(token.info)
            fence = lines[token.map[0]]
            yield Block(
                language=token.info.partition(" ")[0],
                title=title[1] if title else "",
                text=token.content,
                line=token.map[0] + 1,
                indent=fence[: len(fence) - len(fence.lstrip())],
                not_run=next_one or from_here,
            )
            next_one = ""
            continue
        for what, _, text in _COMMENT.findall(token.content):
            if what == "run":
                yield Block("sh", "", text.strip("\n") + "\n", token.map[0] + 1)
            elif what == "not run":
                next_one = " ".join(text.split())
            else:
                from_here = " ".join(text.split())
