"""Owns what a policy may read of `input`: what the document never has is undefined, and so passes everything. Pure.

Names are followed as far as they are fixed: imports, `x := input`, rules that are nothing else, and what a function is
given. What only ever runs under `with input as …` is left alone, for the document is another one there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from setpoint.domain.rego_ast import Module, Path, Reference, Rule

_PLAN = (
    "complete",
    "errored",
    "format_version",
    "output_changes",
    "providers",
    "resource_changes",
    "resource_drift",
    "terraform_version",
)
POLICY_INPUT: Mapping[str, Any] = {
    "plan": dict.fromkeys(_PLAN),
    "target": dict.fromkeys(("kind", "namespace", "name", "stage", "labels")),
    "change": dict.fromkeys(("cause", "summary")),
    "gate": dict.fromkeys(("name", "stage")),
    "reset": dict.fromkeys(("worst", "actions")),
    "now": None,
}
"""The fields of the document that a gate gives to its policies; None where what is below is free."""
_ROUNDS = 32
"""The longest chain of functions through which a part of the input is followed."""


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
        self._placed = [Placed(module, rule) for module in modules for rule in module.rules]
        self._by_path: dict[Path, list[Placed]] = {}
        for placed in self._placed:
            self._by_path.setdefault(placed.path, []).append(placed)
        self._entries = entries
        self._given: dict[tuple[Path, int], set[Path]] = {}

    def problems(self) -> Iterator[tuple[str, int, str]]:
        """(file, line, text) of every read of what the document has not."""
        self._follow_arguments()
        for placed in self._read_as_they_are():
            for reference in placed.rule.references:
                if not reference.masked and not reference.call:
                    yield from ((placed.module.file, reference.line, why) for why in self._faults(placed, reference))

    def _faults(self, placed: Placed, reference: Reference) -> set[str]:
        """The faults of a read here, but for those of the name that it starts from."""
        root = reference.path[:1]
        faults = {why for path in self._inputs(placed, reference.path) if (why := _missing(path))}
        if root[0] not in placed.module.imports:
            faults -= {why for path in self._inputs(placed, root) if (why := _missing(path))}
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
        name = placed.rule.path[0]
        return name.startswith("test_") if placed.module.is_test else name in self._entries

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
        exact = [one for end in range(1, len(path) + 1) for one in self._by_path.get(path[:end], ())]
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

    def _follow_arguments(self) -> None:
        """Learns which parts of the input functions are given, until nothing new is learnt."""
        calls = [(one, call) for one in self._placed for call in one.rule.references if call.call and not call.masked]
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


def _missing(path: Path) -> str:
    """The reason for which the document has no such path; empty where it may have it."""
    known: Any = POLICY_INPUT
    for depth, part in enumerate(path):
        if known is None:
            return ""
        if part not in known:
            name, has = ".".join(("input", *path[: depth + 1])), ".".join(("input", *path[:depth]))
            hint = f"; input.plan.{part} is meant, it seems" if depth == 0 and part in _PLAN else ""
            return f"there is no {name}, so this would pass everything; {has} has {', '.join(sorted(known))}{hint}"
        known = known[part]
    return ""
