"""Owns going through a page as its reader would: each block in order, and a look at what comes of it."""

import dataclasses
import difflib
import itertools
import re
from collections.abc import Iterator

from tests.docs.pages import Block, blocks
from tests.docs.shell import Shell
from tests.docs.transcript import Command, agree, as_written, bind, commands, comparable, translate

_NAMED = re.compile(r"\b(?:approve |change/)([\w.-]+-[0-9a-f]{6,})\b")
PLACEHOLDER = "CHANGE"
"""Stands in commands for the Change that was named last."""


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """A block that did something else than the page says. `wrong_end`: no other text would make it right."""

    line: int
    text: str
    wrong_end: bool = False

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


class Rehearsal:
    """One pass over a page. `differences` are what it found; `rewritten` is the page as it would be right."""

    def __init__(self, page: str, shell: Shell) -> None:
        self._page = page
        self._shell = shell
        self._bound: dict[str, str] = {}
        self._change = PLACEHOLDER
        self._outputs: dict[int, list[str]] = {}
        self.differences: list[Difference] = []
        for block in blocks(page):
            if block.is_run and not shell.ended:
                self._go_through(block)

    @property
    def rewritten(self) -> str:
        """The page with what was printed, where that is something else; then all of it is of this one run."""
        if not self.differences:
            return self._page
        lines = self._page.splitlines(keepends=True)
        for block in reversed(list(blocks(self._page))):
            if block.line in self._outputs:
                end = block.line + len(block.text.splitlines())
                lines[block.line : end] = [
                    f"{block.indent}{line}".rstrip() + "\n" for line in self._outputs[block.line]
                ]
        return translate("".join(lines), self._bound)

    def _go_through(self, block: Block) -> None:
        if block.title:
            self._shell.write(block.title, translate(block.text, self._bound))
        elif block.language == "sh":
            printed, code = self._type(f"set -e\n{block.text}\nset +e")
            if code:
                self._differ(block.line, f"ends with {code}:\n" + "\n".join([block.text, *printed]), wrong_end=True)
        else:
            self._outputs[block.line] = list(
                itertools.chain.from_iterable(self._carry_out(one, block) for one in commands(block.text))
            )

    def _carry_out(self, command: Command, block: Block) -> Iterator[str]:
        printed, code = self._type(command.text)
        if code != command.exit_code:
            text = "\n".join([f"$ {command.text}\nends with {code}, not {command.exit_code}:", *printed])
            self._differ(block.line, text, wrong_end=True)
        self._bound = bind(command.expected, printed, self._bound)
        if agree(command.expected, printed):
            yield from as_written(command, command.expected)
            return
        ours, theirs = comparable(printed), comparable(command.expected)
        diff = difflib.unified_diff(theirs, ours, "the page", "printed", lineterm="", n=1)
        self._differ(block.line, "\n".join([f"$ {command.text}", *diff]))
        yield from as_written(command, printed)

    def _type(self, text: str) -> tuple[list[str], int]:
        """Runs commands of the page, with the names of today."""
        today = re.sub(rf"\b{PLACEHOLDER}\b", self._change, translate(text, self._bound))
        printed, code = self._shell.run(today)
        for change in _NAMED.findall("\n".join(printed)):
            self._change = change
        return printed, code

    def _differ(self, line: int, text: str, *, wrong_end: bool = False) -> None:
        self.differences.append(Difference(line + 1, text, wrong_end))
