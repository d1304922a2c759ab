"""Owns what a policy may read of `input`: what the document never has is undefined, and so passes everything. Pure.

Names are followed as far as they are fixed: imports, `x := input`, rules that are nothing else, and what a function is
given. What only ever runs under `with input as …` is left alone, for the document is another one there.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from setpoint.domain.rego_ast import Module, Path, Reference, Rule

COMMON: Mapping[str, Any] = {
    "target": dict.fromkeys(("kind", "namespace", "name", "stage", "labels")),
    "change": dict.fromkeys(("cause", "summary")),
    "changes": None,
    "document": {},
    "gate": dict.fromkeys(("name", "stage")),
    "reset": dict.fromkeys(("worst", "actions")),
    "now": None,
}
"""The fields of the input that every kind of target has; None where what is below is free."""
_ROUNDS = 32
"""The longest chain of functions through which a part of the input is followed."""
Fault = tuple[str, int, str]
"""File, line and text."""


class InputShape:
    """The fields of the input: those that all kinds have, and `own`, as dotted paths; of one kind where it is named."""

    def __init__(self, own: Iterable[str], kind: str = "") -> None:
        self._of = f" for the kind {kind}" if kind else ""
        self._fields = _tree(own)
        self._hints: dict[str, str] = {}
        for name, parts in self._fields.items():
            if name not in COMMON:
                self._hints |= dict.fromkeys(parts or (), name)

    def missing(self, path: Path) -> str:
        """The reason for which there is no such path; empty where there may be."""
        known: Any = self._fields
        for depth, part in enumerate(path):
            if known is None:
                return ""
            if part not in known:
                name, has = ".".join(("input", *path[: depth + 1])), ".".join(("input", *path[:depth]))
                hint = (
                    "" if depth or part not in self._hints else f"; input.{self._hints[part]}.{part} is meant, it seems"
                )
                listed = ", ".join(sorted(known)) or "nothing of its own"
                return f"there is no {name}{self._of}, so this would pass everything; {has} has {listed}{hint}"
            known = known[part]
        return ""


def _tree(own: Iterable[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {name: dict(below) if below is not None else None for name, below in COMMON.items()}
    for path in own:
        *above, last = path.split(".")
        node = fields
        for part in above:
            node = node.setdefault(part, {})
        node.setdefault(last, None)
    return fields


class Placed(NamedTuple):
    """A rule and the module that it stands in."""

    module: Module
    rule: Rule

    @property
    def path(self) -> Path:
        """The rule's path below `data`."""
        return self.module.package + self.rule.path


Resolve = Callable[[Module, Rule, Reference], Path | None]


class InputReader:
    """Finds what the rules of a set read of `input`. `resolve` gives the path below `data` that a reference means."""

    def __init__(self, modules: Iterable[Module], resolve: Resolve, entries: Set[str]) -> None:
        self._resolve = resolve
        self._placed: list[Placed] = []
        for module in modules:
            self._placed += [Placed(module, rule) for rule in module.rules]
        self._by_path: dict[Path, list[Placed]] = {}
        for placed in self._placed:
            self._by_path.setdefault(placed.path, []).append(placed)
        self._entries = entries
        self._given: dict[tuple[Path, int], set[Path]] = {}

    def problems(self, shape: InputShape) -> list[Fault]:
        """Every read of what the input of this shape has not."""
        return self._problems_of(self._read_as_they_are(), self._placed, shape)

    def problems_of(self, package: Path, shape: InputShape) -> list[Fault]:
        """The same of what the rules of one package that are asked, and all that they need, read."""
        reached = self._reached([one for one in self._placed if one.module.package == package and self._is_entry(one)])
        read = [one for one in self._placed if id(one.rule) in reached]
        return self._problems_of(read, read, shape)

    def _problems_of(self, read: Sequence[Placed], calling: Sequence[Placed], shape: InputShape) -> list[Fault]:
        self._follow_arguments(calling)
        found: set[Fault] = set()
        for placed in read:
            for reference in placed.rule.references:
                if not reference.masked and not reference.call:
                    faults = self._faults(placed, reference, shape)
                    found |= {(placed.module.file, reference.line, why) for why in faults}
        return sorted(found)

    def _faults(self, placed: Placed, reference: Reference, shape: InputShape) -> set[str]:
        """The faults of a read here, but for those of the name that it starts from."""
        root = reference.path[:1]
        faults = {why for path in self._inputs(placed, reference.path) if (why := shape.missing(path))}
        if root[0] not in placed.module.imports:
            faults -= {why for path in self._inputs(placed, root) if (why := shape.missing(path))}
        return faults

    # --- Rules that see the document of the gate -----------------------------------------------------------------

    def _read_as_they_are(self) -> list[Placed]:
        """All rules but those that are only reached under another input."""
        asked = [one for one in self._placed if self._is_asked(one)]
        direct = self._reached(asked)
        masked: list[Placed] = []
        for one in self._placed:
            for reference in one.rule.references:
                if reference.masked:
                    masked += self._targets(one, reference)
        elsewhere = self._reached(masked)
        return [one for one in self._placed if id(one.rule) in direct or id(one.rule) not in elsewhere]

    def _is_asked(self, placed: Placed) -> bool:
        return placed.rule.path[0].startswith("test_") if placed.module.is_test else self._is_entry(placed)

    def _is_entry(self, placed: Placed) -> bool:
        return not placed.module.is_test and placed.rule.path[0] in self._entries

    def _reached(self, pending: Sequence[Placed]) -> set[int]:
        """The rules that these need without a change of the input, themselves included."""
        queue, reached = list(pending), set[int]()
        while queue:
            one = queue.pop()
            if id(one.rule) not in reached:
                reached.add(id(one.rule))
                for reference in one.rule.references:
                    if not reference.masked:
                        queue += self._targets(one, reference)
        return reached

    def _targets(self, placed: Placed, reference: Reference) -> list[Placed]:
        path = self._resolve(placed.module, placed.rule, reference)
        if path is None:
            return []
        starts = (path[:end] for end in range(1, len(path) + 1))
        exact = list(itertools.chain.from_iterable(self._by_path.get(start, ()) for start in starts))
        return exact or [one for one in self._placed if one.path[: len(path)] == path]

    # --- Meanings of a name --------------------------------------------------------------------------------------

    def _inputs(self, placed: Placed, path: Path) -> set[Path]:
        """The parts of the input that a name may stand for, as paths below `input`; none where it is something else."""
        found: set[Path] = set()
        queue, seen = [(placed, path)], set[tuple[int, Path]]()
        while queue:
            where, path = queue.pop()
            if path and (id(where.rule), path) not in seen:
                seen.add((id(where.rule), path))
                here, further = self._step(where, path)
                found |= here
                queue += further
        return found

    def _step(self, placed: Placed, path: Path) -> tuple[set[Path], list[tuple[Placed, Path]]]:
        module, rule = placed
        root, rest = path[0], path[1:]
        if root == "input":
            return {rest}, []
        if root in rule.aliases:
            return set(), [(placed, alias + rest) for alias in rule.aliases[root]]
        if root in rule.parameters:
            given = self._given.get((placed.path, rule.parameters.index(root)), set())
            return {one + rest for one in given}, []
        if root in module.imports and module.imports[root].path[0] == "input":
            return {module.imports[root].path[1:] + rest}, []
        return set(), self._through_rules(placed, path)

    def _through_rules(self, placed: Placed, path: Path) -> list[tuple[Placed, Path]]:
        """The paths that the name continues as where it is a rule that only stands for something else."""
        absolute = self._resolve(placed.module, placed.rule, Reference(path, 0)) or ()
        for end in range(1, len(absolute) + 1):
            rules = self._by_path.get(absolute[:end], [])
            if rules and all(one.rule.value for one in rules):
                return [(one, one.rule.value + absolute[end:]) for one in rules]
        return []

    def _follow_arguments(self, calling: Sequence[Placed]) -> None:
        """Learns which parts of the input these rules give to functions, until nothing new is learnt."""
        self._given = {}
        calls: list[tuple[Placed, Reference]] = []
        for one in calling:
            calls += [(one, call) for call in one.rule.references if call.call and not call.masked]
        for _ in range(_ROUNDS):
            before = sum(map(len, self._given.values()))
            for placed, call in calls:
                target = self._resolve(placed.module, placed.rule, call)
                if target not in self._by_path:
                    continue
                for index, argument in enumerate(call.arguments):
                    self._given.setdefault((target, index), set()).update(self._inputs(placed, argument))
            if sum(map(len, self._given.values())) == before:
                return
