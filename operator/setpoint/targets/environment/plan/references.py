"""Owns what refers to what in a plan's configuration: from an attribute or output to the resources behind it. Pure.

Only explains: what does not look like a configuration refers to nothing, and a change without explanation counts as
pending, which is the careful class.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_INDEX = re.compile(r"\[(?:\d+|\"(?:[^\"\\]|\\.)*\"|[^\]\"]*)\]")
_MAX_MODULES = 10_000

Source = tuple[str, str]
"""A managed resource without instance keys, and one of its attributes; empty where all of it is meant."""
LOCAL: Source = ("local", "")
"""A local value: a plan does not hold what it stands for."""


def bare(address: str) -> str:
    """An address without instance keys, as in the configuration: `module.a["x"].t.n[0]` is `module.a.t.n`."""
    return _INDEX.sub("", address)


@dataclasses.dataclass(frozen=True, slots=True)
class References:
    """The references within a configuration; names are absolute, without instance keys.

    `attributes` has each configured attribute of each managed resource; `edges` the module variables, module outputs
    and data sources, which only pass values on; `outputs` the outputs of the root; `relevant` the sources that
    Terraform itself found to contribute to the plan (`relevant_attributes`). `waits` has all that a resource or data
    source waits for, `depends_on` of its own and of its modules included; `members` what a module as a whole holds.
    """

    attributes: Mapping[str, Mapping[str, frozenset[str]]]
    edges: Mapping[str, frozenset[str]]
    outputs: Mapping[str, frozenset[str]]
    relevant: frozenset[Source]
    waits: Mapping[str, frozenset[str]]
    members: Mapping[str, frozenset[str]]

    def sources(self, names: Iterable[str]) -> frozenset[Source]:
        """The resources that the names lead to, through modules; those behind a data source, and itself."""
        found: set[Source] = set()
        seen: set[str] = set()
        open_ = list(names)
        while open_:
            name = open_.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.edges:
                open_ += self.edges[name]
                found |= {(name, "")} if is_data(name) else set()
            else:
                found |= _source(name)
        return frozenset(found)

    def dependents(self) -> Mapping[str, frozenset[str]]:
        """All that waits for each resource, data source, module and module variable, at once; and for local values."""
        found: dict[str, set[str]] = {}
        for graph in (self.waits, self.edges, self.members):
            for node, names in graph.items():
                for name in names:
                    for one in self._nodes(name):
                        found.setdefault(one, set()).add(node)
        return {node: frozenset(waiting) for node, waiting in found.items()}

    def _nodes(self, name: str) -> Iterable[str]:
        """The node that a name is, as in the keys of these maps; none where it leads nowhere."""
        if name in self.edges or name in self.members or is_data(name):
            return (name,)
        return (address for address, _ in _source(name))


def is_data(name: str) -> bool:
    """True for the name of a data source, in whatever module."""
    return _in_module(name)[1][0] == "data"


def read_references(document: Mapping[str, Any]) -> References:
    """Reads a plan's configuration."""
    attributes: dict[str, Mapping[str, frozenset[str]]] = {}
    edges: dict[str, frozenset[str]] = {}
    waits: dict[str, frozenset[str]] = {}
    members: dict[str, frozenset[str]] = {}
    root = _map(_map(document.get("configuration")).get("root_module"))
    for prefix, module, above in _modules(root):
        for name, resource in _resources(module):
            expressions = _expressions(resource, prefix)
            waits[prefix + name] = above.union(_all_of(resource, prefix), *expressions.values())
            if resource.get("mode") == "data":
                edges[prefix + name] = frozenset().union(*expressions.values())
            else:
                attributes[prefix + name] = expressions
        edges |= _calls(module, prefix)
        members[prefix.rstrip(".")] = _members(module, prefix)
    outputs = _map(root.get("outputs"))
    return References(
        attributes=attributes,
        edges=edges,
        outputs={str(name): _refer(_map(output).get("expression"), "") for name, output in outputs.items()},
        relevant=frozenset(_relevant(document.get("relevant_attributes"))),
        waits=waits,
        members=members,
    )


def _modules(root: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], frozenset[str]]]:
    """The root and all called modules, each with the prefix of its addresses, and what all of it waits for.

    Never deeper than memory allows.
    """
    open_ = [("", root, frozenset[str]())]
    for _ in range(_MAX_MODULES):
        if not open_:
            return
        prefix, module, above = open_.pop()
        yield prefix, module, above
        for name, call in _map(module.get("module_calls")).items():
            waits = above | _all_of(_map(call), prefix)
            open_.append((f"{prefix}module.{name}.", _map(_map(call).get("module")), waits))


def _all_of(block: Mapping[str, Any], prefix: str) -> frozenset[str]:
    """The names that a block as a whole waits for: what it is repeated over, and what `depends_on` names."""
    named = {"references": _list(block.get("depends_on"))}
    return _refer([block.get("for_each_expression"), block.get("count_expression"), named], prefix)


def _members(module: Mapping[str, Any], prefix: str) -> frozenset[str]:
    """The resources of a module, and the modules that it calls."""
    calls = {f"{prefix}module.{name}" for name in _map(module.get("module_calls"))}
    return frozenset(calls.union(prefix + name for name, _ in _resources(module)))


def _resources(module: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in _list(module.get("resources")):
        resource = _map(item)
        yield bare(str(resource.get("address", ""))), resource


def _expressions(block: Mapping[str, Any], prefix: str) -> dict[str, frozenset[str]]:
    """The references of each attribute; `each` and `count` stand for what they iterate over."""
    repeat = _refer([block.get("for_each_expression"), block.get("count_expression")], prefix)
    found = {}
    for name, expression in _map(block.get("expressions")).items():
        listed = _refer(expression, prefix)
        repeated = any(one.removeprefix(prefix).partition(".")[0] in {"each", "count"} for one in listed)
        found[str(name)] = listed | repeat if repeated else listed
    return found


def _calls(module: Mapping[str, Any], prefix: str) -> dict[str, frozenset[str]]:
    """The sources of a module's variables, of its outputs, and of the module as a whole, which is all its outputs."""
    edges = {}
    for name, item in _map(module.get("module_calls")).items():
        call, inner = _map(item), f"{prefix}module.{name}."
        for variable, names in _expressions(call, prefix).items():
            edges[f"{inner}var.{variable}"] = names
        outputs = _map(_map(call.get("module")).get("outputs"))
        given = {f"{inner}{output}": _refer(_map(found).get("expression"), inner) for output, found in outputs.items()}
        edges |= {**given, inner.rstrip("."): frozenset(given)}
    return edges


def _refer(expression: Any, prefix: str) -> frozenset[str]:
    """The names that an expression refers to, however deep in its blocks."""
    found: set[str] = set()
    open_ = [expression]
    while open_:
        part = open_.pop()
        if isinstance(part, Mapping):
            found |= _most_precise([bare(str(one)) for one in _list(part.get("references"))])
            open_ += [inner for key, inner in part.items() if key not in {"references", "constant_value"}]
        elif isinstance(part, list):
            open_ += part
    return frozenset(prefix + _node(name) for name in found)


def _most_precise(names: list[str]) -> set[str]:
    """Terraform lists `a.b.c` and `a.b` for one reference to `a.b.c`."""
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


def _node(name: str) -> str:
    """As far as the name of a node goes: `data.t.n`, `module.m.output`, `var.x`, and `t.n.attribute`."""
    parts = name.split(".")
    return ".".join(parts[: {"var": 2, "local": 1, "each": 1, "count": 1}.get(parts[0], 3)])


def _source(name: str) -> set[Source]:
    """The source that a name is, unless it is a variable of the root or leads nowhere."""
    modules, rest = _in_module(name)
    if rest[0] == "local":
        return {LOCAL}
    if len(rest) < 2 or rest[0] in {"var", "path", "terraform", "data", "self", "module", "ephemeral"}:
        return set()
    return {(".".join([*modules, *rest[:2]]), rest[2] if len(rest) > 2 else "")}


def _in_module(name: str) -> tuple[list[str], list[str]]:
    """The modules of a name, and the name in the innermost one, in parts."""
    modules, rest = [], name.split(".")
    while rest[0] == "module" and len(rest) > 2:
        modules += rest[:2]
        rest = rest[2:]
    return modules, rest


def _relevant(listed: Any) -> Iterator[Source]:
    for item in _list(listed):
        path, address = _list(_map(item).get("attribute")), bare(str(_map(item).get("resource", "")))
        yield address, "" if is_data(address) or not path else str(path[0])


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
