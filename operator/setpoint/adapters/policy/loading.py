"""Owns loading a policy set into regorus: parse, lint, and the one query that asks all of its packages.

Runs inside the worker alone: a hostile module may crash the parser.
"""

import dataclasses
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import regorus

from setpoint.adapters.policy.metadata import Metadata, MetadataError, read_metadata
from setpoint.domain.policy_input import own_words
from setpoint.domain.rego_ast import Module, Path, read_module
from setpoint.domain.rego_inputs import Fault
from setpoint.domain.rego_lint import ENTRY_RULES, PARAMS, QUERY_PACKAGE, Lint, PackageKinds

_PLACE = re.compile(r"^--> (.+):(\d+):\d+\s*$", re.MULTILINE)
_ERROR = re.compile(r"^error: (.*)$", re.MULTILINE)
_MAX_TEXT = 500


@dataclasses.dataclass(slots=True)
class LoadedSet:
    """A set that can be asked, or why it can't. `packages` are JSON objects for the operator, `query` is what asks."""

    engine: regorus.Engine
    problems: list[str]
    packages: list[dict[str, Any]]
    modules: list[Module]
    query: str = ""


def describe_error(error: BaseException) -> str:
    """The message of regorus, as `file:line: text` where it names a place."""
    text = str(error)
    place, said = _PLACE.search(text), _ERROR.search(text)
    message = said.group(1) if said else text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return (f"{place.group(1)}:{place.group(2)}: {message}" if place else message)[:_MAX_TEXT]


def builtin_functions() -> frozenset[str]:
    """The functions that this regorus has, by its own account."""
    answer = json.loads(regorus.Engine().eval_query_as_json("opa.runtime()"))
    return frozenset(answer["result"][0]["expressions"][0]["value"]["builtins"])


def answers_for(kind: str, word: str = "") -> str:
    """The rule that gathers what the packages say which are asked for this kind of target.

    With its word for the document, of an input that has it by `document` alone.
    """
    return f"data.{QUERY_PACKAGE}.answers_{kind}" + (f"_as_{word}" if word else "")


Inputs = Mapping[str, Collection[str]]
"""The fields of the input that each kind of target alone has, as dotted paths."""
Blocks = Mapping[str, Mapping[int, Metadata]]
"""The METADATA of each file, by the line that it belongs to."""


def load(texts: Mapping[str, str], params: Mapping[str, Any], inputs: Inputs, *, tests: bool = False) -> LoadedSet:
    """Parses, lints and compiles a set. All files are linted; those of tests are loaded where `tests` is set."""
    modules, metadata, problems = _parse_all(texts)
    engine, packages, asking = _engine(), list[dict[str, Any]](), ""
    if not problems:
        kinds = _kinds_of(modules, metadata)
        lint = Lint(modules, builtin_functions(), inputs, kinds)
        problems = [
            *(f"{file}:{line}: {text}" for file, line, text in _stray_kinds(modules, metadata)),
            *lint.problems(),
        ]
    if not problems:
        loaded = [module for module in modules if tests or not module.is_test]
        entries = _asked(modules)
        asked: dict[str, list[Path]] = {}
        for kind in inputs:
            asked[kind] = [path for path in entries if path not in kinds or kind in kinds[path].kinds]
        files = {module.file: texts[module.file] for module in loaded}
        asking = query(asked, modules, inputs)
        problems = _compile(engine, files, asking, params)
        packages = [] if problems else _packages(modules, entries, metadata, lint)
    return LoadedSet(engine, problems, packages, modules, asking)


def _kinds_of(modules: Iterable[Module], metadata: Blocks) -> dict[Path, PackageKinds]:
    """The kinds that packages say they are for."""
    blocks = [(module, metadata[module.file].get(module.line)) for module in modules if not module.is_test]
    return {
        module.package: PackageKinds(module.file, module.line, about.kinds)
        for module, about in blocks
        if about and about.kinds
    }


def _stray_kinds(modules: Iterable[Module], metadata: Blocks) -> Iterator[Fault]:
    """Kinds that stand where nothing reads them, and those of one package that differ."""
    said: dict[Path, tuple[str, ...]] = {}
    for module in modules:
        for line, about in metadata[module.file].items():
            if about.kinds and (line != module.line or module.is_test):
                yield module.file, line, "custom.kinds belongs into the METADATA above a package, and not into a test"
            elif about.kinds and said.setdefault(module.package, about.kinds) != about.kinds:
                yield module.file, line, "custom.kinds are others than those of another file of this package"


def _asked(modules: Iterable[Module]) -> list[Path]:
    """The packages that are asked."""
    found: set[Path] = set()
    for module in modules:
        if not module.is_test and any(rule.path[0] in ENTRY_RULES for rule in module.rules):
            found.add(module.package)
    return sorted(found)


def _engine() -> regorus.Engine:
    engine = regorus.Engine()
    engine.set_rego_v0(False)
    return engine


def _parse_all(texts: Mapping[str, str]) -> tuple[list[Module], dict[str, dict[int, Metadata]], list[str]]:
    modules, metadata, problems = [], {}, []
    for file, text in sorted(texts.items()):
        try:
            modules.append(_parse(file, text))
            metadata[file] = read_metadata(text)
        except MetadataError as error:
            problems.append(f"{file}:{error.line}: {error}")
        except (RuntimeError, RecursionError, KeyError, TypeError) as error:
            problems.append(_at(file, describe_error(error)))
    return modules, metadata, problems


def _at(file: str, text: str) -> str:
    return text if text.startswith(f"{file}:") else f"{file}:1: {text}"


def _parse(file: str, text: str) -> Module:
    """One module at a time: a syntax tree is much larger than its text."""
    engine = _engine()
    engine.add_policy(file, text)
    return read_module(file, json.loads(engine.get_ast_as_json())[0]["ast"], text)


def _compile(engine: regorus.Engine, texts: Mapping[str, str], asking: str, params: Mapping[str, Any]) -> list[str]:
    """Adds all to the engine. A query makes regorus check what it checks, unsafe variables among others."""
    try:
        for file, text in texts.items():
            engine.add_policy(file, text)
        engine.add_policy("setpoint_query.rego", asking)
        engine.add_data_json(json.dumps({PARAMS: params}))
        engine.set_input_json("{}")
        engine.eval_query_as_json("1")
    except RuntimeError as error:
        return [describe_error(error)]
    return []


def query(asked: Mapping[str, Sequence[Path]], modules: Iterable[Module], inputs: Inputs) -> str:
    """The module that gathers, for each kind, every set that is asked, as [package, rule, answers].

    One undefined part undoes all. A kind's own word for the document is given to it here: large, it is read once.
    """
    entries: dict[Path, set[str]] = {}
    for module in modules:
        names = {rule.path[0] for rule in module.rules if rule.path[0] in ENTRY_RULES}
        entries.setdefault(module.package, set()).update(set() if module.is_test else names)
    rules = [_answers(kind, packages, entries) for kind, packages in sorted(asked.items())]
    for kind in sorted(asked):
        rules += [
            f"answers_{kind}_as_{word} := found if {{\n"
            f"\tfound := answers_{kind} with input.{word} as input.document\n}}\n"
            for word in own_words(inputs[kind])
        ]
    return "\n".join([f"package {QUERY_PACKAGE}\n", *rules])


def _answers(kind: str, packages: Iterable[Path], entries: Mapping[Path, Collection[str]]) -> str:
    parts: list[str] = []
    for package in packages:
        name = json.dumps(".".join(package))
        parts += [f"[{name}, {json.dumps(rule)}, {reference(package, rule)}]" for rule in sorted(entries[package])]
    # A line each: regorus takes none of more than 1,024 columns.
    listed = ",\n\t".join(parts)
    return f"answers_{kind} := [\n\t{listed}\n]\n"


def reference(package: Sequence[str], rule: str) -> str:
    """A rule by its full path, whatever characters the package has."""
    return "data" + "".join(f"[{json.dumps(part)}]" for part in (*package, rule))


def _packages(modules: Sequence[Module], asked: Iterable[Path], metadata: Blocks, lint: Lint) -> list[dict[str, Any]]:
    """Per package that is asked: its METADATA, that of each rule which stands alone, the kinds that it can't judge."""
    packages: dict[Path, dict[str, Any]] = {
        path: {"package": ".".join(path), "rules": {}, "unfit": lint.unfit(path)} for path in asked
    }
    for module in modules:
        if module.is_test or module.package not in packages:
            continue
        blocks, entry = metadata[module.file], packages[module.package]
        if module.line in blocks:
            entry["about"] = dataclasses.asdict(blocks[module.line])
        for rule in (rule for rule in module.rules if rule.path[0] in ENTRY_RULES):
            about = blocks.get(rule.line)
            entry["rules"].setdefault(rule.path[0], []).append(about and dataclasses.asdict(about))
    for entry in packages.values():
        entry["rules"] = {name: found[0] if len(found) == 1 else None for name, found in entry["rules"].items()}
    return list(packages.values())
