"""Owns what a policy worker does with a request: load, forget, evaluate, test. Runs inside the worker alone."""

import json
from typing import Any

from setpoint.adapters.policy.loading import LoadedSet, answers_for, describe_error, load, reference
from setpoint.domain.rego_ast import Module

Answer = tuple[dict[str, Any], bytes]


class Server:
    """The loaded sets of one worker, by digest. Which are kept is the operator's choice."""

    def __init__(self) -> None:
        self._sets: dict[str, LoadedSet] = {}

    def answer(self, header: dict[str, Any], body: bytes) -> Answer:
        """The answer to one request. What regorus raises is an answer; what it panics on ends the worker."""
        try:
            match header["do"]:
                case "load":
                    return self._load(header, body)
                case "evaluate":
                    return self._evaluate(header["digest"], answers_for(header["kind"], header["word"]), body)
                case "test":
                    return self._test(body)
        except (RuntimeError, ValueError, MemoryError, RecursionError) as error:
            return {"error": "out of memory" if isinstance(error, MemoryError) else describe_error(error)}, b""
        return {"error": "no such request"}, b""

    def _load(self, header: dict[str, Any], body: bytes) -> Answer:
        for digest in header["forget"]:
            self._sets.pop(digest, None)
        content = json.loads(body)
        loaded = self._sets[header["digest"]] = load(content["modules"], content["params"], content["inputs"])
        return {"problems": loaded.problems[:100], "packages": loaded.packages}, b""

    def _evaluate(self, digest: str, rule: str, body: bytes) -> Answer:
        engine = self._sets[digest].engine
        try:
            engine.set_input_json(body.decode())
            return {}, engine.eval_rule_as_json(rule).encode()
        finally:
            engine.set_input_json("null")  # gives the plan's memory back

    def _test(self, body: bytes) -> Answer:
        content = json.loads(body)
        loaded = load(content["modules"], content["params"], content["inputs"], tests=True)
        if loaded.problems:
            return {"error": loaded.problems[0]}, b""
        tests = []
        for module in loaded.modules:
            if not module.is_test:
                continue
            names = {rule.path[0] for rule in module.rules if rule.path[0].startswith("test_")}
            tests += [self._run_test(loaded, module, name) for name in sorted(names)]
        return {"tests": tests}, b""

    def _run_test(self, loaded: LoadedSet, module: Module, name: str) -> dict[str, Any]:
        outcome = {"package": ".".join(module.package), "name": name}
        try:
            answer = json.loads(loaded.engine.eval_query_as_json(reference(module.package, name)))
        except RuntimeError as error:
            return outcome | {"passed": False, "message": describe_error(error)}
        results = answer.get("result") or [{"expressions": [{"value": None}]}]
        passed = results[0]["expressions"][0]["value"] is True
        return outcome | {"passed": passed, "message": "" if passed else f"{module.file}: it is not true"}
