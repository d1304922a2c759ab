"""Owns finding the few facts in Terraform code that must be known before Terraform runs. Pure.

A small scanner, not a parser: it skips comments, strings and heredocs and follows braces, which is all it takes to
see blocks, and to never see one where there is none. Terraform itself judges everything else.
"""

import dataclasses
import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

Files = Mapping[str, bytes]

_TOKEN = re.compile(
    r"""
      (?P<skip>[ \t\r]+|\#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<newline>\n)
    | (?P<heredoc><<-?(?P<tag>[^\W\d][\w-]*)[ \t]*\r?\n)
    | (?P<string>"(?:[^"\\\n$%]|\\.|\$(?!\{)|%(?!\{)|\$\$\{|%%\{)*"|")
    | (?P<word>[^\W\d][\w-]*)
    | (?P<open>[{\[(])
    | (?P<close>[}\])])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTE = '"'
_ENGINES = frozenset({"terraform", "tofu"})
_WORKSPACE = r"\b(?:terraform|tofu)\s*\.\s*workspace\b"
_WORKSPACE_IN_TEXT = re.compile(rf"(?<![$%])[$%]\{{[^\n]*?{_WORKSPACE}")
_MAX_DEPTH = 100
_MAX_VALUE = 4096
_TEXT_TYPES = frozenset({"", "string", "number", "bool"})
_BUILT_IN = re.compile(r"""[{,\s]"?source"?\s*[=:]\s*"terraform\.io/builtin/terraform"\s*[,}\n]""")
_LABELS = {"variable": 1, "module": 1, "provider": 1, "resource": 2, "data": 2, "ephemeral": 2}


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """One block: its type, its labels, where it is, and the blocks and attribute names within."""

    type: str
    labels: tuple[str, ...]
    at: str
    blocks: tuple["Block", ...] = ()
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)


def is_code(name: str) -> bool:
    """True where Terraform or OpenTofu reads a file of this name as code."""
    return name.endswith((".tf", ".tofu", ".tf.json", ".tofu.json"))


def files_of(files: Files, folder: str) -> Files:
    """The files of one module, by their plain names: of a folder, or of the top where empty."""
    prefix = f"{folder.rstrip('/')}/" if folder not in {"", "."} else ""
    own = {name.removeprefix(prefix): content for name, content in files.items() if name.startswith(prefix)}
    return {name: content for name, content in own.items() if "/" not in name}


def declared_variables(files: Files) -> frozenset[str]:
    """The input variables that the root module declares."""
    return frozenset(block.labels[0] for block in _blocks(files) if block.type == "variable" and block.labels)


def ephemeral_variables(files: Files) -> frozenset[str]:
    """Those whose values Terraform keeps in no plan, so that an apply needs them again."""
    return frozenset(
        block.labels[0]
        for block in _blocks(files)
        if block.type == "variable" and block.labels and block.attributes.get("ephemeral") == "true"
    )


def structured_variables(files: Files) -> frozenset[str]:
    """Those whose declared type is a list, map, set, tuple, object or any; one without a type is taken for text."""
    return frozenset(
        block.labels[0]
        for block in _blocks(files)
        if block.type == "variable" and block.labels and block.attributes.get("type", "") not in _TEXT_TYPES
    )


def variable_types(files: Files) -> dict[str, str]:
    """The declared type of each variable that has one, as it is written; what override files say comes last."""
    blocks = [block for block in _blocks(files) if block.type == "variable" and block.labels]
    blocks.sort(key=lambda block: _is_override(block.at.rpartition(":")[0]))
    return {block.labels[0]: block.attributes["type"] for block in blocks if block.attributes.get("type")}


def _is_override(name: str) -> bool:
    stem = name.partition(".")[0]
    return stem == "override" or stem.endswith("_override")


def foreign_backend(files: Files) -> str:
    """The place (`file:line`) at which the code asks for a backend or for HCP Terraform; empty where it does not."""
    return _setting(files, {"backend", "cloud"})


def state_encryption(files: Files) -> str:
    """The place (`file:line`) at which the code asks OpenTofu to encrypt state or plans; empty where it does not."""
    return _setting(files, {"encryption"})


def _setting(files: Files, types: Collection[str]) -> str:
    """The place of the first block of these types within `terraform`."""
    inner = itertools.chain.from_iterable(block.blocks for block in _blocks(files) if block.type == "terraform")
    return next((block.at for block in inner if block.type in types), "")


def installed_modules(files: Files) -> tuple[str, ...]:
    """The names of modules that Terraform must install: all calls, local ones too, go through modules.json."""
    return tuple(block.labels[0] for block in _blocks(files) if block.type == "module" and block.labels)


def module_calls(files: Files) -> Iterator[tuple[str, str]]:
    """The sources of the modules that are called, as they are written, each with its place (`file:line`)."""
    for block in _blocks(files):
        if block.type == "module" and block.attributes.get("source"):
            yield block.attributes["source"], block.at


def module_folders(manifest: bytes) -> tuple[str, ...]:
    """The folders of all installed modules but the root, by the modules.json that `terraform get` writes."""
    try:
        listed = json.loads(manifest)["Modules"]
        return tuple(sorted({one["Dir"] for one in listed if one["Dir"] not in {"", "."}}))
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()


def needs_providers(files: Files, *, calls: bool = True) -> bool:
    """True where a provider other than the built-in `terraform` is needed, so that a lock file is, too.

    What is in a module that is called is not looked at: it may need any, so that a call counts unless `calls` is off.
    """
    blocks = (block for block in _blocks(files) if calls or block.type != "module")
    return any(_needs_provider(block) for block in blocks)


def _needs_provider(block: Block) -> bool:
    first = block.labels[0] if block.labels else ""
    if block.type in {"resource", "data", "ephemeral"}:
        return bool(first) and not first.startswith("terraform_")
    if block.type == "terraform":
        required = (inner.attributes.values() for inner in block.blocks if inner.type == "required_providers")
        return not all(map(_BUILT_IN.search, itertools.chain.from_iterable(required)))
    return block.type == "module" or (block.type == "provider" and first not in {"", "terraform"})


def prevent_destroy(files: Files) -> tuple[str, ...]:
    """The resources with `prevent_destroy = true`: the JSON of a plan does not say so."""
    found = []
    for block in _blocks(files):
        lifecycles = [inner for inner in block.blocks if inner.type == "lifecycle" and block.type == "resource"]
        if any(inner.attributes.get("prevent_destroy") == "true" for inner in lifecycles):
            found.append(".".join(block.labels))
    return tuple(found)


def workspace_uses(files: Files) -> tuple[str, ...]:
    """The places (`file:line`) at which the code reads the name of the workspace."""
    found: list[str] = []
    for name in filter(is_code, sorted(files)):
        text = files[name].decode("utf-8-sig", "replace")
        if "workspace" in text:
            lines = _json_workspaces(text) if name.endswith(".json") else _Scanner(name, text).workspaces()
            found += [f"{name}:{line}" for line in lines]
    return tuple(found)


def _json_workspaces(text: str) -> Iterator[int]:
    return (number for number, line in enumerate(text.splitlines(), 1) if _WORKSPACE_IN_TEXT.search(line))


def _blocks(files: Files) -> Iterator[Block]:
    for name in sorted(files):
        if "/" in name or name.startswith("."):
            continue  # Terraform reads neither into the root module.
        text = files[name].decode("utf-8-sig", "replace")
        if name.endswith((".tf", ".tofu")):
            yield from _Scanner(name, text).blocks()
        elif name.endswith((".tf.json", ".tofu.json")):
            yield from _json_blocks(name, text)


class _Scanner:
    """Reads blocks from HCL text. Whatever is not understood is stepped over."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._at = 0
        self._line = 1

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of the file."""
        return self._body(0)[0]

    def workspaces(self) -> Iterator[int]:
        """The lines in which an expression, or one within a string, reads `terraform.workspace`."""
        words = ["", "", ""]
        while self._at < len(self._text) and (match := _TOKEN.match(self._text, self._at)):
            start, line = self._at, self._line
            if match["heredoc"]:
                self._heredoc(match)
            elif match[0] == _QUOTE:
                self._template()
            self._at = max(self._at, match.end())
            self._line += self._text.count("\n", start, self._at)
            text = self._text[start : self._at]
            if match.lastgroup == "skip":
                continue
            if match["heredoc"] or match["string"]:
                yield from (line + text.count("\n", 0, one.start()) for one in _WORKSPACE_IN_TEXT.finditer(text))
            words = [*words[1:], text]
            if words[0] in _ENGINES and words[1:] == [".", "workspace"]:
                yield line

    def _next(self) -> tuple[str, str] | None:
        while self._at < len(self._text):
            match = _TOKEN.match(self._text, self._at)
            if match is None:
                return None
            kind, text = match.lastgroup or "other", match[0]
            if match["heredoc"]:
                kind, text = "string", self._heredoc(match)
            elif text == _QUOTE:
                kind, text = "string", self._template()
            self._at = max(self._at, match.end())
            self._line += self._text.count("\n", match.start(), self._at)
            if kind != "skip":
                return kind, text
        return None

    def _heredoc(self, match: re.Match[str]) -> str:
        end = re.compile(rf"^[ \t]*{re.escape(match['tag'])}[ \t]*\r?$", re.MULTILINE).search(self._text, match.end())
        self._at = end.end() if end else len(self._text)
        return ""

    def _template(self) -> str:
        """A string with `${` in it: to the quote that ends it, past the expressions and strings within."""
        at, nesting = self._at + 1, ['"']
        while at < len(self._text) and nesting:
            two = self._text[at : at + 2]
            in_string = nesting[-1] == '"'
            at += 1
            if in_string and (two[:1] == "\\" or two in {"$$", "%%"}):
                at += 1
            elif in_string and two in {"${", "%{"}:
                nesting.append("{")
                at += 1
            elif two[:1] == '"':
                nesting.pop() if in_string else nesting.append('"')
            elif not in_string and two[:1] in "{}":
                nesting.append("{") if two[0] == "{" else nesting.pop()
        self._at = at
        return ""

    def _body(self, depth: int) -> tuple[tuple[Block, ...], dict[str, str]]:
        """Blocks and attributes up to the closing brace."""
        blocks: list[Block] = []
        attributes: dict[str, str] = {}
        header: list[tuple[str, str]] = []
        line = self._line
        while (token := self._next()) is not None:
            kind, text = token
            if kind == "close":
                break
            if kind == "newline":
                header = []
            elif text == "=" and len(header) == 1:
                attributes[header[0][1]] = self._value()
                header = []
            elif text == "{" and header and header[0][0] == "word" and depth < _MAX_DEPTH:
                blocks.append(self._block(header, line, depth))
                header = []
            elif kind == "open":
                self._skip()
            else:
                line = line if header else self._line
                header.append((kind, text))
        return tuple(blocks), attributes

    def _block(self, header: list[tuple[str, str]], line: int, depth: int) -> Block:
        blocks, attributes = self._body(depth + 1)
        labels = tuple(text.strip('"') for _, text in header[1:])
        return Block(header[0][1], labels, f"{self._name}:{line}", blocks, attributes)

    def _value(self) -> str:
        """The text of the expression, that of a single string without its quotes; reads to its end."""
        start, words, last = self._at, 0, ""
        while (token := self._peek()) is not None and token[0] not in {"newline", "close"}:
            self._next()
            if token[0] == "open":
                self._skip()
            words, last = words + 1, token[1]
        text = self._text[start : self._at].strip()
        return last.strip('"') if words == 1 and last not in {"{", "[", "("} else text[:_MAX_VALUE]

    def _peek(self) -> tuple[str, str] | None:
        at, line = self._at, self._line
        token = self._next()
        self._at, self._line = at, line
        return token

    def _skip(self) -> None:
        """Past the bracket that closes the one just read."""
        depth = 1
        while depth and (token := self._next()) is not None:
            depth += {"open": 1, "close": -1}.get(token[0], 0)


def _json_blocks(name: str, text: str) -> Iterator[Block]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    for type_, labelled in document.items() if isinstance(document, dict) else ():
        yield from _labelled(name, type_, labelled, (), _LABELS.get(type_, 0))


def _labelled(name: str, type_: str, value: Any, labels: tuple[str, ...], left: int) -> Iterator[Block]:
    """JSON syntax: an object for each label, and a list wherever one object could stand."""
    for one in _items(value):
        if not isinstance(one, dict):
            continue
        if left:
            for label, inner in one.items():
                yield from _labelled(name, type_, inner, (*labels, label), left - 1)
        else:
            inner_blocks: list[Block] = []
            for key, found in one.items():
                inner_blocks += [Block(key, (), f"{name}:1", attributes=_attributes(item)) for item in _items(found)]
            yield Block(type_, labels, f"{name}:1", tuple(inner_blocks), _attributes(one))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _attributes(value: Any) -> dict[str, str]:
    """Attributes by name; the values of those that are one word, as HCL writes it."""
    found = value.items() if isinstance(value, dict) else ()
    return {key: json.dumps(item) if isinstance(item, bool) else _short(item) for key, item in found}


def _short(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value)[:_MAX_VALUE]
    return value[:_MAX_VALUE] if isinstance(value, str) else ""
