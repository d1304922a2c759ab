"""Owns what a policy set must be before it is asked anything. Pure.

Rego turns several mistakes into silence: a missing import within `not` is true, a call to an unknown function is
undefined until it is reached, a rule of a misspelt name is never asked. The lint refuses them, with everything that
would make a decision depend on more than its input.
"""

import graphlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from setpoint.domain.rego_ast import Module, Path, Reference, Rule, RuleForm
from setpoint.domain.rego_inputs import Fault, InputReader, InputShape

ENTRY_RULES = ("deny", "violation", "warn")
"""The rules of a package that are asked; each is a set (`contains`)."""
_LIKE_ENTRY = re.compile(r"den(y|ie)|violat|warn")
QUERY_PACKAGE = "setpoint_query"
"""The root under which the worker asks."""
PARAMS = "params"
"""The root of data that a set's parameters are under."""
_FORBIDDEN = frozenset({"http.send", "net.lookup_ip_addr", "opa.runtime", "rand.intn", "rego.parse_module",
                        "time.now_ns", "uuid.rfc4122"})  # fmt: skip
_FORBIDDEN_FAMILIES = ("io.jwt.", "providers.", "rego.")
_EXTRA = frozenset({"print"})


class PackageKinds(NamedTuple):
    """The kinds of target that a package says it is for, and the place of that."""

    file: str
    line: int
    kinds: tuple[str, ...]


class Lint:
    """Checks the modules of one set together.

    `builtins` are the functions that the evaluator has. `inputs` maps each kind of target to what of the input it alone
    has, as dotted paths; `kinds` maps a package to the kinds that it says it is for, with file and line of that.
    """

    def __init__(
        self,
        modules: Sequence[Module],
        builtins: frozenset[str],
        inputs: Mapping[str, Iterable[str]],
        kinds: Mapping[Path, PackageKinds] | None = None,
    ) -> None:
        self._modules = modules
        self._builtins = builtins | _EXTRA
        self._kinds = kinds or {}
        self._shapes = {kind: InputShape(own, kind) for kind, own in inputs.items()}
        self._any_shape = InputShape(set(itertools.chain.from_iterable(inputs.values())))
        self._rules = _forms_of(modules)
        self._shipped = _forms_of(module for module in modules if not module.is_test)
        self._heads: set[tuple[Path, str]] = set()
        for module in modules:
            self._heads |= {(module.package, rule.path[0]) for rule in module.rules}
        self._reader = InputReader(modules, self._absolute, frozenset(ENTRY_RULES))

    def problems(self) -> tuple[str, ...]:
        """All problems, `file:line: text` each, in the order of files and lines."""
        found = [
            *itertools.chain.from_iterable(map(self._check_module, self._modules)),
            *self._check_packages(),
            *self._check_names(),
            *self._check_cycles(),
            *self._reader.problems(self._any_shape),
            *self._check_kinds(),
        ]
        return tuple(f"{file}:{line}: {text}" for file, line, text in sorted(set(found)))

    def unfit(self, package: Path) -> dict[str, str]:
        """The kinds that a package is asked for and can't judge, with the first read of what their input has not."""
        if package in self._kinds or len(self._shapes) < 2:
            return {}
        found = {kind: self._reader.problems_of(package, shape) for kind, shape in self._shapes.items()}
        return {kind: "{}:{}: {}".format(*faults[0]) for kind, faults in found.items() if faults}

    def _check_kinds(self) -> Iterator[Fault]:
        """A package that is for a kind which is none would never be asked."""
        for package, said in self._kinds.items():
            for kind in said.kinds:
                if kind in self._shapes:
                    yield from self._reader.problems_of(package, self._shapes[kind])
                else:
                    known = ", ".join(sorted(self._shapes))
                    yield said.file, said.line, f"custom.kinds: there is no kind of target {kind}; there is {known}"

    # --- One module ------------------------------------------------------------------------------------------

    def _check_module(self, module: Module) -> Iterator[tuple[str, int, str]]:
        if module.package[0] in {PARAMS, QUERY_PACKAGE}:
            yield module.file, module.line, f"package {module.package[0]} is reserved"
        for alias, target in module.imports.items():
            if target.path[0] == "data" and (why := self._unresolved(target, target.path[1:], module)):
                yield module.file, target.line, f"import as {alias}: {why}"
        for rule in module.rules:
            if rule.path[0] in ENTRY_RULES and not module.is_test and (rule.form != "set" or len(rule.path) > 1):
                yield module.file, rule.line, f"{rule.path[0]} must be a set: {rule.path[0]} contains … if {{ … }}"
            for reference in rule.references:
                if reference.optional:
                    continue
                if why := self._check_reference(module, rule, reference):
                    yield module.file, reference.line, why

    def _check_reference(self, module: Module, rule: Rule, reference: Reference) -> str:
        path = self._absolute(module, rule, reference)
        if path is None:
            return self._check_builtin(".".join(reference.path)) if reference.call else ""
        return self._unresolved(reference, path, module)

    def _absolute(self, module: Module, rule: Rule, reference: Reference) -> Path | None:
        """The path below `data` that a name stands for; None for input, variables and built-in functions."""
        if not reference.path:
            return None
        root, *rest = reference.path
        if root == "data":
            return tuple(rest)
        if root in module.imports:
            target = module.imports[root].path
            return (*target[1:], *rest) if target[0] == "data" else None
        shadowed = root in rule.local and not reference.call
        return (*module.package, *reference.path) if (module.package, root) in self._heads and not shadowed else None

    def _check_builtin(self, name: str) -> str:
        if name in _FORBIDDEN or name.startswith(_FORBIDDEN_FAMILIES):
            return f"{name} is forbidden: a decision depends on its input alone"
        return "" if name in self._builtins else f"there is no function {name}"

    def _unresolved(self, reference: Reference, path: Path, module: Module) -> str:
        """Why a path below `data` names nothing; empty where it names something."""
        name = ".".join(("data", *path))
        if path[:1] == (PARAMS,):
            return ""
        known = self._visible(module)
        if reference.call:
            return "" if "function" in known.get(path, ()) else f"there is no function {name}"
        if any(known.get(path[:end], set()) - {"function"} for end in range(1, len(path) + 1)):
            return ""
        if "function" in known.get(path, ()):
            return "" if module.is_test else f"{name} is a function; call it"
        return self._unresolved_package(reference, path, known)

    def _unresolved_package(self, reference: Reference, path: Path, known: Iterable[Path]) -> str:
        name = ".".join(("data", *path))
        if reference.cut or not path:
            return f"{name} is followed by a computed part; name the rule that is meant"
        is_package = any(rule[: len(path)] == path for rule in known)
        return "" if is_package else f"there is no {name} in this set"

    def _visible(self, module: Module) -> Mapping[Path, set[RuleForm]]:
        """The rules that a module may refer to: what a test defines is for tests."""
        return self._rules if module.is_test else self._shipped

    # --- All modules -----------------------------------------------------------------------------------------

    def _check_packages(self) -> Iterator[tuple[str, int, str]]:
        """A package that is neither asked nor used is a mistake; so is a set in which none is asked."""
        asking = {module.package for module in self._modules if _asks(module)}
        used = set(itertools.chain.from_iterable(map(self._uses, self._modules)))
        for module in self._modules:
            name = ".".join(module.package)
            if not module.is_test and module.package not in asking | used:
                yield module.file, module.line, f"package {name} has no deny, violation or warn, and no other uses it"
        if not asking:
            yield "policies", 0, "no package has a rule deny, violation or warn"

    def _check_names(self) -> Iterator[tuple[str, int, str]]:
        """Rules of conftest's other names, such as deny_public: here nothing asks for one that no asked rule needs."""
        asked = self._asked()
        for module in self._modules:
            for rule in () if module.is_test else module.rules:
                name = rule.path[0]
                if _LIKE_ENTRY.match(name) and module.package + rule.path not in asked:
                    yield (
                        module.file,
                        rule.line,
                        f"{name} is never asked: name it deny, violation or warn, or use it there",
                    )

    def _asked(self) -> set[Path]:
        """The rules that are asked, and all that they need."""
        placed: list[tuple[Module, Rule]] = []
        for module in self._modules:
            placed += [(module, rule) for rule in module.rules if not module.is_test]
        pending = {module.package + rule.path for module, rule in placed if rule.path[0] in ENTRY_RULES}
        asked: set[Path] = set()
        while pending:
            asked |= pending
            found: set[Path] = set()
            for module, rule in placed:
                if module.package + rule.path in pending:
                    for reference in rule.references:
                        found |= self._targets(self._absolute(module, rule, reference))
            pending = found - asked
        return asked

    def _uses(self, module: Module) -> Iterator[Path]:
        """The packages of other modules that a module, tests apart, refers to."""
        if module.is_test:
            return
        paths = [target.path[1:] for target in module.imports.values()]
        for rule in module.rules:
            paths += filter(None, (self._absolute(module, rule, reference) for reference in rule.references))
        for other in self._modules:
            if other.package != module.package and any(_touches(path, other.package) for path in paths):
                yield other.package

    def _check_cycles(self) -> Iterator[tuple[str, int, str]]:
        """Rules that need themselves: an endless recursion of functions would crash the evaluator."""
        graph: dict[Path, set[Path]] = {path: set() for path in self._rules}
        lines: dict[Path, tuple[str, int]] = {}
        for module in self._modules:
            for rule in module.rules:
                here = module.package + rule.path
                lines.setdefault(here, (module.file, rule.line))
                for reference in rule.references:
                    graph[here] |= self._targets(self._absolute(module, rule, reference))
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            cycle: list[Path] = error.args[1]
            yield *lines[cycle[0]], f"recursion: {' needs '.join('.'.join(path) for path in reversed(cycle))}"

    def _targets(self, path: Path | None) -> set[Path]:
        """The rules that a path below `data` may evaluate."""
        if path is None:
            return set()
        enclosing = {path[:end] for end in range(1, len(path) + 1) if path[:end] in self._rules}
        return enclosing or {rule for rule in self._rules if rule[: len(path)] == path}


def _forms_of(modules: Iterable[Module]) -> dict[Path, set[RuleForm]]:
    """The forms in which each rule is defined, by its whole path."""
    forms: dict[Path, set[RuleForm]] = {}
    for module in modules:
        for rule in module.rules:
            forms.setdefault(module.package + rule.path, set()).add(rule.form)
    return forms


def _asks(module: Module) -> bool:
    return not module.is_test and any(rule.path[0] in ENTRY_RULES for rule in module.rules)


def _touches(path: Path, package: Path) -> bool:
    shorter = min(len(path), len(package))
    return bool(path) and path[:shorter] == package[:shorter]
