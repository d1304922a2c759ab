"""Owns reading the syntax tree of one Rego module: its rules, and what each of them calls and refers to. Pure.

The tree is the JSON that regorus writes. Only names and lines are taken from it.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

Path = tuple[str, ...]
RuleForm = Literal["set", "function", "value", "default"]


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """A name with fixed parts, as in `data.lib.plan` or `lib.plan(…)`. `cut`: a computed part follows.

    `arguments` are those of a call that are names themselves, and empty paths for others. `masked`: evaluated with
    another input. `optional`: the last parts are looked up by object.get, and may be missing.
    """

    path: Path
    line: int
    call: bool = False
    cut: bool = False
    arguments: tuple[Path, ...] = ()
    masked: bool = False
    optional: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One rule body or default. `path` is the fixed part of its head, `local` the variables that it declares.

    `aliases` maps those that stand for a name alone to what they may stand for; so does `value`, for a rule without a
    body. `parameters` are those of a function, in order, empty where one is a pattern.
    """

    path: Path
    form: RuleForm
    line: int
    references: tuple[Reference, ...]
    local: frozenset[str]
    aliases: Mapping[str, tuple[Path, ...]] = dataclasses.field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    value: Path = ()


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
    arguments = head.get("args", [])
    declared = list(_declared(whole, source))
    return Rule(
        _reference(head["refr"]).path,
        form,
        spec["span"]["line"],
        tuple(_references(whole)),
        frozenset(declared) | frozenset(_variables(arguments)),
        aliases=_aliases(whole, declared),
        parameters=tuple(_name(argument) for argument in arguments),
        value=_value(head) if not spec["bodies"] else (),
    )


def _value(head: Mapping[str, Any]) -> Path:
    """The name that a rule without a body stands for; empty where it is no name."""
    value = (head.get("assign") or {}).get("value")
    return _whole_name(value) if value else ()


def _name(node: Mapping[str, Any]) -> str:
    return str(node["Var"]["value"]) if "Var" in node else ""


def _whole_name(node: Mapping[str, Any]) -> Path:
    """The fixed path of a node that is a name and nothing else; else empty."""
    if not _is_reference(node):
        return ()
    found = _reference(node)
    return () if found.cut else found.path


def _aliases(node: Any, declared: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """The variables that only ever stand for names, with those names."""
    found: dict[str, list[Path]] = {}
    for here in _nodes(node):
        assign = here.get("AssignExpr")
        if isinstance(assign, dict) and "Var" in assign["lhs"] and (path := _whole_name(assign["rhs"])):
            found.setdefault(_name(assign["lhs"]), []).append(path)
    # One that is declared elsewhere in the rule, too, is something else there.
    return {name: tuple(paths) for name, paths in found.items() if declared.count(name) <= len(paths)}


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every map at and below a node."""
    stack = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, list):
            stack += here
        elif isinstance(here, dict):
            yield here
            stack += here.values()


def _references(node: Any) -> Iterator[Reference]:
    """Every name that is used below a node."""
    stack = [(node, False)]
    while stack:
        here, masked = stack.pop()
        if isinstance(here, list):
            stack += ((item, masked) for item in here)
        elif isinstance(here, dict):
            found, below = _read(here, masked=masked)
            yield from (dataclasses.replace(one, masked=masked) for one in found)
            stack += below


def _read(node: Mapping[str, Any], *, masked: bool) -> tuple[list[Reference], list[tuple[Any, bool]]]:
    """The names that a node itself is, and what is below it, with whether that sees another input."""
    if "Call" in node:
        call, parameters = _reference(node["Call"]["fcn"]), node["Call"]["params"]
        arguments = tuple(_whole_name(parameter) for parameter in parameters)
        looked_up = _looked_up(parameters) if call.path == ("object", "get") else []
        return [dataclasses.replace(call, call=True, arguments=arguments), *looked_up], [(parameters, masked)]
    if _is_reference(node):
        found = _reference(node)
        return [found] if found.path else [], [(item, masked) for item in _indices(node)]
    if "with_mods" in node:
        replaced = [one for one in node["with_mods"] if _reference(one["refr"]).path[:1] == ("input",)]
        given = [one["as"] if one in replaced else one for one in node["with_mods"]]
        return [], [(node["literal"], masked or bool(replaced)), (given, masked)]
    return [], [(value, masked) for value in node.values()]


def _looked_up(parameters: Sequence[Mapping[str, Any]]) -> list[Reference]:
    """The name that object.get reads, where it is fixed."""
    base, key = _whole_name(parameters[0]), parameters[1]
    parts = [_constant(part) for part in key["Array"]["items"]] if "Array" in key else [_constant(key)]
    fixed = tuple(part for part in parts if part is not None)
    if not base or len(fixed) != len(parts):
        return []
    return [Reference((*base, *fixed), _reference(parameters[0]).line, optional=True)]


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
    """The computed parts of a reference: its indices, and its start where that is no name."""
    root, steps = _steps(node)
    return [step["index"] for step in steps if "index" in step] + ([] if "Var" in root else [root])


def _declared(node: Any, source: bytes) -> Iterator[str]:
    """Variables that shadow a rule of the same name: by `some`, `every` and `:=`."""
    for here in _nodes(node):
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
