"""Owns loading a policy set into regorus: parse, lint, and the one query that asks all of its packages.

Runs inside the worker alone: a hostile module may crash the parser.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import regorus

from setpoint.adapters.policy.metadata import Metadata, MetadataError, read_metadata
from setpoint.domain.rego_ast import Module, read_module
from setpoint.domain.rego_lint import ENTRY_RULES, PARAMS, QUERY_PACKAGE, Lint

ANSWERS = f"data.{QUERY_PACKAGE}.answers"
_PLACE = re.compile(r"^--> (.+):(\d+):\d+\s*$", re.MULTILINE)
_ERROR = re.compile(r"^error: (.*)$", re.MULTILINE)
_MAX_TEXT = 500


@dataclasses.dataclass(slots=True)
class LoadedSet:
    """A set that can be asked, or why it can't. `packages` are JSON objects for the operator."""

    engine: regorus.Engine
    problems: list[str]
    packages: list[dict[str, Any]]
    modules: list[Module]


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


def load(texts: Mapping[str, str], params: Mapping[str, Any], *, tests: bool = False) -> LoadedSet:
    """Parses, lints and compiles a set. All files are linted; those of tests are loaded where `tests` is set."""
    modules, metadata, problems = _parse_all(texts)
    engine = _engine()
    if not problems:
        problems = list(Lint(modules, builtin_functions()).problems())
    if not problems:
        loaded = [module for module in modules if tests or not module.is_test]
        problems = _compile(engine, {module.file: texts[module.file] for module in loaded}, loaded, params)
    return LoadedSet(engine, problems, [] if problems else _packages(modules, metadata), modules)


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


def _compile(
    engine: regorus.Engine, texts: Mapping[str, str], modules: Sequence[Module], params: Mapping[str, Any]
) -> list[str]:
    """Adds all to the engine. A query makes regorus check what it checks, unsafe variables among others."""
    try:
        for file, text in texts.items():
            engine.add_policy(file, text)
        engine.add_policy("setpoint_query.rego", query(modules))
        engine.add_data_json(json.dumps({PARAMS: params}))
        engine.set_input_json("{}")
        engine.eval_query_as_json("1")
    except RuntimeError as error:
        return [describe_error(error)]
    return []


def query(modules: Iterable[Module]) -> str:
    """The module that gathers every set that is asked, as [package, kind, answers]. One undefined part undoes all."""
    asked = sorted(
        {(m.package, r.path[0]) for m in modules for r in m.rules if not m.is_test and r.path[0] in ENTRY_RULES}
    )
    parts = [
        f"[{json.dumps('.'.join(package))}, {json.dumps(kind)}, {reference(package, kind)}]" for package, kind in asked
    ]
    # A line each: regorus takes none of more than 1,024 columns.
    listed = ",\n\t".join(parts)
    return f"package {QUERY_PACKAGE}\n\nanswers := [\n\t{listed}\n]\n"


def reference(package: Sequence[str], rule: str) -> str:
    """A rule by its full path, whatever characters the package has."""
    return "data" + "".join(f"[{json.dumps(part)}]" for part in (*package, rule))


def _packages(modules: Iterable[Module], metadata: Mapping[str, Mapping[int, Metadata]]) -> list[dict[str, Any]]:
    """Per package that is asked: its METADATA, and that of each kind which has exactly one rule."""
    packages: dict[tuple[str, ...], dict[str, Any]] = {}
    for module in (module for module in modules if not module.is_test):
        blocks = metadata[module.file]
        entry = packages.setdefault(module.package, {"package": ".".join(module.package), "kinds": {}})
        if module.line in blocks:
            entry["about"] = dataclasses.asdict(blocks[module.line])
        for rule in (rule for rule in module.rules if rule.path[0] in ENTRY_RULES):
            about = blocks.get(rule.line)
            entry["kinds"].setdefault(rule.path[0], []).append(about and dataclasses.asdict(about))
    for entry in packages.values():
        entry["kinds"] = {kind: found[0] if len(found) == 1 else None for kind, found in entry["kinds"].items()}
    return [packages[name] for name in sorted(packages) if packages[name]["kinds"]]
