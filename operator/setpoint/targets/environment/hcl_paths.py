"""Owns finding the places that Terraform code names by relative paths: module calls and text with paths in it. Pure.

Only what stands in the code is found: `${path.module}`, `${path.root}` and `${path.cwd}` are known, and a path with
another expression in it is known as far as the folder before that.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from setpoint.ports.source import NamedPath
from setpoint.targets.environment.hcl_scan import Files, is_code, module_calls

_UNKNOWN, _MODULE, _ROOT = "\0", "\1", "\2"
_NEWLINE = "\n"
_KNOWN = {"path.module": _MODULE, "path.root": _ROOT, "path.cwd": _ROOT}
_READING = frozenset(
    {"file", "filebase64", "filebase64sha256", "filebase64sha512", "fileexists", "filemd5", "fileset", "filesha1",
     "filesha256", "filesha512", "templatefile"}
)  # fmt: skip
_PIECE = re.compile(
    r"""
      (?P<comment>\#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<heredoc><<-?(?P<tag>[^\W\d][\w-]*)[ \t]*\r?\n)
    | (?P<call>(?P<function>[^\W\d][\w-]*)[ \t]*\(\s*(?="))
    | (?P<quote>")
    | (?P<open>\{)
    | (?P<close>\})
    | (?P<other>[^\W\d][\w.-]*|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_APART = re.compile(r"[\s'\"`;,|&()<>=]+")
_VARIABLE_FILES = re.compile(r"^terraform\.tfvars(?:\.json)?$|\.auto\.tfvars(?:\.json)?$")
_ONLY_UP = re.compile(r"^[./]*$")
"""As in trimprefix(x, "../"): more often a piece of text than a folder that is meant."""
_MAX_NESTING = 100


_PLAIN = re.compile(r"[^\"\\$%]+")
_OPEN_ENDED = re.compile(r"[\0*?\[]")


def names_paths(name: str) -> bool:
    """True for files that are looked through: code, and the variables that Terraform reads by itself."""
    return is_code(name) or _VARIABLE_FILES.search(name) is not None


def called_folders(files: Files, module: str) -> Iterator[NamedPath]:
    """The folders of the local modules that a module calls; `files` are its own, by plain names."""
    for source, at in module_calls(files):
        if source.startswith(("./", "../")):
            yield NamedPath(posixpath.normpath(posixpath.join(module, source)), posixpath.join(module, at))


def named_paths(files: Files, module: str, root: str) -> Iterator[NamedPath]:
    """The paths in a module's text that may lead out of its folder; `root` is the folder in which Terraform runs."""
    calls = {source for source, _ in module_calls(files)}
    for name in sorted(files):
        if not names_paths(name):
            continue
        text = files[name].decode("utf-8-sig", "replace")
        found = _json_texts(text) if name.endswith(".json") else _Reader(text).texts()
        for written, start, reads in found:
            if written in calls:
                continue
            if not reads and _ONLY_UP.match(written):
                continue
            for path in _paths(written, module, root):
                at = f"{posixpath.join(module, name)}:{text.count(_NEWLINE, 0, start) + 1}"
                yield NamedPath(path, at, reads)


def _paths(written: str, module: str, root: str) -> Iterator[str]:
    """The paths in one text: the whole, and each word of it, as a command line has them."""
    words = (word for word in _APART.split(written) if "/" in word)
    for word in dict.fromkeys((written.strip(), *words)):
        cut = _OPEN_ENDED.search(word)
        path = posixpath.dirname(word[: cut.start()]) if cut else word
        first, *steps = path.split("/")
        marked = first in {_MODULE, _ROOT} and bool(steps)
        if not first or " " in first or not (marked or ".." in (first, *steps)):
            continue
        rest = "/".join(steps) if marked else path
        if _MODULE in rest or _ROOT in rest:
            continue
        bases = {_MODULE: (module,), _ROOT: (root,)}.get(first, (root, module))
        yield from dict.fromkeys(posixpath.normpath(posixpath.join(base, rest)) for base in bases)


def _json_texts(text: str) -> Iterator[tuple[str, int, bool]]:
    try:
        todo: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            # A string of JSON is a template, as between quotes.
            yield from ((found, 0, reads) for found, _, reads in _Reader(value).template())
        elif isinstance(value, dict | list):
            todo.extend(value.values() if isinstance(value, dict) else value)


class _Reader:
    """Reads the strings of HCL text, those within templates too. Comments hold none."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: list[tuple[str, int, bool]] = []

    def texts(self) -> list[tuple[str, int, bool]]:
        """Each string, with marks for what stands in `${}`; its line; whether a function reads what it names."""
        while self._at < len(self._text):
            self._expression(0)
        return self._found

    def template(self) -> list[tuple[str, int, bool]]:
        """The whole text as the inside of a string."""
        self._string(0, len(self._text), quoted=False, reads=False)
        return self._found

    def _expression(self, nesting: int) -> None:
        """Up to the brace that closes it, or to the end."""
        depth = 0
        reads = False
        while (piece := _PIECE.match(self._text, self._at)) is not None:
            self._at = piece.end()
            if piece["heredoc"]:
                self._heredoc(piece, nesting)
            elif piece["quote"] and nesting < _MAX_NESTING:
                self._string(nesting, len(self._text), quoted=True, reads=reads)
            elif piece["open"]:
                depth += 1
            elif piece["close"]:
                depth -= 1
                if depth < 0:
                    return
            reads = piece["function"] in _READING

    def _heredoc(self, piece: re.Match[str], nesting: int) -> None:
        end = re.compile(rf"^[ \t]*{re.escape(piece['tag'])}[ \t]*\r?$", re.MULTILINE).search(self._text, self._at)
        stop = end.start() if end else len(self._text)
        self._string(nesting, stop, quoted=False, reads=False)
        self._at = end.end() if end else stop

    def _string(self, nesting: int, stop: int, *, quoted: bool, reads: bool) -> None:
        """A string or the body of a heredoc; strings within its expressions are found first."""
        start, parts = self._at, []
        while self._at < stop:
            two, three = self._text[self._at : self._at + 2], self._text[self._at : self._at + 3]
            if plain := _PLAIN.match(self._text, self._at, stop):
                parts.append(plain[0])
                self._at = plain.end()
            elif three in {"$${", "%%{"}:
                parts.append(three[1:])
                self._at += 3
            elif two in {"${", "%{"}:
                known = self._interpolation(nesting)
                parts.append(known if two == "${" else " ")
            elif quoted and two[0] == "\\":
                parts.append(" " if two[1:] in {"n", "r", "t"} else two[1:])
                self._at += 2
            elif quoted and two[0] == '"':
                self._at += 1
                break
            else:
                parts.append(two[0])
                self._at += 1
        self._found.append(("".join(parts), start, reads))

    def _interpolation(self, nesting: int) -> str:
        start = self._at + 2
        self._at = start
        self._expression(nesting + 1)
        within = self._text[start : max(start, self._at - 1)].strip().strip("~").strip()
        return _KNOWN.get(within, _UNKNOWN)
