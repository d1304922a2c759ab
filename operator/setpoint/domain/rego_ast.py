"""Owns reading the syntax tree of one Rego module: its rules, and what each of them calls and refers to. Pure.

The tree is the JSON that regorus writes. Only names and lines are taken from it.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal

Path = tuple[str, ...]
RuleForm = Literal["set", "function", "value", "default"]


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """A name with fixed parts, as in `data.lib.plan` or `lib.plan(…)`. `cut`: a computed part follows."""

    path: Path
    line: int
    call: bool = False
    cut: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One rule body or default. `path` is the fixed part of its head, `local` the variables that it declares."""

    path: Path
    form: RuleForm
    line: int
    references: tuple[Reference, ...]
    local: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Module:
    """One file. `imports` maps an alias to what it stands for."""

    file: str
    package: Path
    line: int
    imports: Mapping[str, Reference]
    rules: tuple[Rule, ...]

    @property
    def is_test(self) -> bool:
        """True for files of tests, which no evaluation loads."""
        return self.file.endswith("_test.rego")


def read_module(file: str, tree: Mapping[str, Any], text: str) -> Module:
    """The module that a tree describes. Raises KeyError or TypeError for a tree of another shape."""
    source = text.encode()
    package = _reference(tree["package"]["refr"])
    imports = {}
    for entry in tree["imports"]:
        target = _reference(entry["refr"])
        alias = _spanned(entry["as"], source) if entry.get("as") else target.path[-1]
        imports[alias] = dataclasses.replace(target, line=entry["span"]["line"])
    rules = tuple(_rule(node, source) for node in tree["rules"])
    return Module(file, package.path, tree["package"]["span"]["line"], imports, rules)


def _rule(node: Mapping[str, Any], source: bytes) -> Rule:
    if "Default" in node:
        default = node["Default"]
        form: RuleForm = "function" if default["args"] else "default"
        return Rule(_reference(default["refr"]).path, form, default["span"]["line"], (), frozenset())
    spec = node["Spec"]
    ((kind, head),) = spec["head"].items()
    form = "set" if kind == "Set" else "function" if kind == "Func" else "value"
    whole = [{key: value for key, value in head.items() if key != "refr"}, spec["bodies"], _indices(head["refr"])]
    local = frozenset(_declared(whole, source)) | frozenset(_variables(head.get("args", [])))
    return Rule(_reference(head["refr"]).path, form, spec["span"]["line"], tuple(_references(whole)), local)


def _references(node: Any) -> Iterator[Reference]:
    """Every name that is used below a node."""
    stack = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, list):
            stack += here
        elif isinstance(here, dict):
            if "Call" in here:
                yield dataclasses.replace(_reference(here["Call"]["fcn"]), call=True)
                stack.append(here["Call"]["params"])
            elif _is_reference(here):
                found = _reference(here)
                if found.path:
                    yield found
                stack += _indices(here)
            else:
                stack += here.values()


def _is_reference(node: Mapping[str, Any]) -> bool:
    return "Var" in node or "RefDot" in node or "RefBrack" in node


def _steps(node: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """The innermost node of a reference, and the steps that lead out of it."""
    steps = []
    while "RefDot" in node or "RefBrack" in node:
        step = node["RefDot"] if "RefDot" in node else node["RefBrack"]
        steps.append(step)
        node = step["refr"]
    return node, steps[::-1]


def _reference(node: Mapping[str, Any]) -> Reference:
    """The fixed start of a reference; an empty path where it starts from something computed."""
    root, steps = _steps(node)
    if "Var" not in root:
        return Reference((), 0)
    path, line = [root["Var"]["value"]], root["Var"]["span"]["line"]
    for step in steps:
        name = step["field"][1] if "field" in step else _constant(step["index"])
        if name is None:
            return Reference(tuple(path), line, cut=True)
        path.append(name)
    return Reference(tuple(path), line)


def _constant(index: Mapping[str, Any]) -> str | None:
    node = index.get("String") or index.get("RawString")
    return None if node is None else str(node["value"])


def _indices(node: Mapping[str, Any]) -> list[Any]:
    """What is computed within a reference: its indices, and its start where that is no name."""
    root, steps = _steps(node)
    return [step["index"] for step in steps if "index" in step] + ([] if "Var" in root else [root])


def _declared(node: Any, source: bytes) -> Iterator[str]:
    """Variables that shadow a rule of the same name: by `some`, `every` and `:=`."""
    stack = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, list):
            stack += here
        elif isinstance(here, dict):
            stack += here.values()
            yield from _declared_by(here, source)


def _declared_by(node: Mapping[str, Any], source: bytes) -> Iterator[str]:
    if isinstance(some := node.get("SomeVars"), dict):
        yield from (_spanned(span, source) for span in some["vars"])
    if isinstance(some := node.get("SomeIn"), dict):
        yield from _variables([some["key"], some["value"]])
    if isinstance(every := node.get("Every"), dict):
        yield from (_spanned(span, source) for span in (every["key"], every["value"]) if span)
    if isinstance(assign := node.get("AssignExpr"), dict) and assign["op"] == "ColEq":
        yield from _variables([assign["lhs"]])


def _variables(nodes: Any) -> Iterator[str]:
    return (found.path[0] for found in _references(nodes) if len(found.path) == 1 and not found.call)


def _spanned(span: Mapping[str, int], source: bytes) -> str:
    return source[span["start"] : span["end"]].decode(errors="replace")
