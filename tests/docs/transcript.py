"""Owns comparing what commands print with what a page says they print, and binding the page's names to today's.

Times, ages, versions and digests differ from run to run. A page's own digests, in the names of Changes and snapshots
above all, stand for those of this run: a later command that uses one gets the one of this run.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

ANYTHING = "..."
"""A line that stands for any lines, none included."""
SOMETHING = "…"
"""A character that stands for any text within a line."""
TOKEN = re.compile(r"(?<=[-:])[0-9a-f]{6,64}\b|\b[0-9a-f]{32,64}\b")
_EXIT_CODE = re.compile(r"\s#\s*(\d+)\b[^'\"]*$")
_PROGRESS = re.compile(r"^[a-z]+/\S+  \S")
_CHANCE = re.compile(r"^[a-z]+/\S+  applying |^\S*-x{6,}  ")
_MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "<time>"),
    (TOKEN, lambda match: "x" * len(match[0])),
    (re.compile(r"\b(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?s\b|\b\d+[mhd]\b"), "<age>"),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "<version>"),
    (re.compile(r"\bpid \d+"), "pid <number>"),
    (re.compile(r"(?<=\S) {2,}"), "  "),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """One command of a `console` block, what the page says that it prints, and how it is to end."""

    text: str
    expected: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """As a comment at its end begins: `setpoint up . --once  # 3: it waits`; else 0."""
        said = _EXIT_CODE.search(self.text)
        return int(said[1]) if said else 0


def commands(block: str) -> Iterator[Command]:
    """The commands of a `console` block: each begins with `$ `, goes on with `> `, and is followed by its output."""
    text, expected = "", []
    for line in block.splitlines():
        if line.startswith("$ "):
            if text:
                yield Command(text, tuple(expected))
            text, expected = line[2:], []
        elif line.startswith("> ") and not expected:
            text += "\n" + line[2:]
        else:
            expected.append(line)
    if text:
        yield Command(text, tuple(expected))


def as_written(command: Command, output: Iterable[str]) -> list[str]:
    """The lines of a block that show this command and that it printed this."""
    first, *more = command.text.split("\n")
    return [f"$ {first}", *(f"> {line}" for line in more), *output]


def agree(expected: Iterable[str], printed: Iterable[str]) -> bool:
    """True where a command printed what the page says."""
    pattern = "".join(
        "(?:.*\n)*?" if line == ANYTHING else re.escape(line).replace(SOMETHING, ".*") + "\n"
        for line in comparable(expected)
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in comparable(printed))) is not None


def comparable(lines: Iterable[str]) -> list[str]:
    """The lines without what differs from run to run, the order of rows and of what goes on at once included."""
    masked = [masked_line(line) for line in lines]
    # Progress is told once: how often a target is looked at is a matter of time.
    first = {line: number for number, line in reversed(list(enumerate(masked)))}
    kept = [line for number, line in enumerate(masked) if not _PROGRESS.match(line) or first[line] == number]
    return list(
        itertools.chain.from_iterable(
            _in_order(list(group)) for _, group in itertools.groupby(kept, key=_order_is_chance)
        )
    )


def masked_line(line: str) -> str:
    """One line without times, ages, versions, digests and the widths of columns."""
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return line.rstrip()


def _order_is_chance(line: str) -> bool:
    """True for what is applied at the same time, and for rows of a table that is sorted by names with digests."""
    return bool(_CHANCE.match(line))


def _in_order(lines: list[str]) -> list[str]:
    return sorted(lines) if _order_is_chance(lines[0]) else lines


def bind(expected: Sequence[str], printed: Sequence[str], bound: Mapping[str, str]) -> dict[str, str]:
    """Pairs the digests of this run with those of the page that they stand for, as far as this output says.

    Those in alike lines belong together; where a line has changed, those in alike words do.
    """
    found = dict(bound)
    for places in (_by_line, _by_word):
        ours, theirs = places(printed), places(expected)
        for place in theirs:
            new = [token for token in theirs[place] if token not in found]
            fresh = [token for token in ours.get(place, ()) if token not in found.values()]
            found.update(zip(new, fresh, strict=False))
    return found


def _by_line(lines: Iterable[str]) -> dict[str, list[str]]:
    """The digests by their number in a line and what else stands in it, in order, each once."""
    return _by_place((masked_line(line), line) for line in lines)


def _by_word(lines: Iterable[str]) -> dict[str, list[str]]:
    """The digests by their number in a word and what else stands in it, in order, each once."""
    return _by_place((TOKEN.sub("#", word).strip(":;,.()"), word) for word in " ".join(lines).split())


def _by_place(texts: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    places: dict[str, dict[str, None]] = {}
    for alike, text in texts:
        for number, token in enumerate(TOKEN.findall(text)):
            places.setdefault(f"{number} {alike}", {})[token] = None
    return {place: list(tokens) for place, tokens in places.items()}


def translate(text: str, bound: Mapping[str, str]) -> str:
    """The text with the digests of this run."""
    return TOKEN.sub(lambda match: bound.get(match[0], match[0]), text)
