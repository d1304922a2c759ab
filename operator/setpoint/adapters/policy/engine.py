"""Owns the port PolicyEngine on regorus: a small pool of worker processes that stay warm between decisions.

No Rego and no regorus runs in this process. A worker that crashes, hangs or eats memory is killed and its answer is
an error; the next call starts another one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pydantic_core import to_json

from setpoint.adapters.policy.answers import PackageDefaults, read_answers
from setpoint.adapters.policy.process import WorkerError, WorkerProcess
from setpoint.domain.policies import PolicyCheck, PolicyModules, PolicyResult, PolicyTest
from setpoint.domain.policy_input import own_words
from setpoint.domain.reading import text_at

_LOAD_SECONDS = 15.0
_TEST_SECONDS = 60.0
_MEMORY_MIB = 512
_MAX_SETS = 16
_MAX_WORKERS = 2


class _LoadedSet:
    """A set in a worker as the operator knows it."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.problems = tuple(str(problem) for problem in answer.get("problems", ()))
        self.packages = {entry["package"]: PackageDefaults(entry) for entry in answer.get("packages", ())}

    def problem(self, kind: str) -> str:
        """Why it can't be asked about this kind of target; empty where it can."""
        if self.problems:
            return f"the policies do not load: {self.problems[0]}"
        unfit = [(name, said.index.unfit[kind]) for name, said in self.packages.items() if kind in said.index.unfit]
        return "package {} can't judge this: {}".format(*unfit[0]) if unfit else ""


class RegorusEngine:
    """Evaluates Rego v1 with regorus, apart from this process. Close it with `aclose`.

    `inputs` maps each kind of target to what of the input it alone has, as dotted paths: `plan.resource_changes`.
    """

    def __init__(self, inputs: Mapping[str, Collection[str]], *, load_seconds: float = _LOAD_SECONDS) -> None:
        self._inputs = {kind: sorted(own) for kind, own in inputs.items()}
        self._load_seconds = load_seconds
        self._slots = asyncio.Semaphore(_MAX_WORKERS)
        self._idle: list[WorkerProcess] = []
        self._busy = 0
        self._closed = False

    async def check(self, modules: PolicyModules) -> PolicyCheck:
        """Loads and lints. Never raises: what can't be checked is a problem."""
        try:
            async with self._worker(_MEMORY_MIB, modules.digest) as worker:
                loaded = await self._load(worker, modules)
        except (WorkerError, TypeError, ValueError) as error:
            return PolicyCheck((f"policies: {error}",))
        return PolicyCheck(loaded.problems, tuple(defaults.index for defaults in loaded.packages.values()))

    async def evaluate(
        self,
        modules: PolicyModules,
        document: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109 a limit on another process, which is killed at it
        memory_mib: int,
    ) -> PolicyResult:
        """Asks the packages that are for the target's kind, within `timeout` seconds. Never raises."""
        kind = text_at(document, "target", "kind")
        if kind not in self._inputs:
            return PolicyResult(error=f"there is no kind of target {kind!r}, so the policies were not asked")
        word = self._word_for_document(kind, document)
        try:
            text = to_json({name: value for name, value in document.items() if name != word})
        except (TypeError, ValueError):
            # An error about a value may quote it.
            return PolicyResult(error="the plan can't be written as JSON, so the policies were not asked")
        try:
            async with self._worker(memory_mib, modules.digest) as worker:
                loaded = await self._load(worker, modules)
                if problem := loaded.problem(kind):
                    return PolicyResult(error=problem)
                asked = {"digest": modules.digest, "kind": kind, "word": word}
                answer, body = await worker.request("evaluate", timeout, text, **asked)
        except (WorkerError, TypeError, ValueError) as error:
            return PolicyResult(error=str(error))
        if "error" in answer:
            return PolicyResult(error=f"the policies failed: {answer['error']}")
        return read_answers(body, loaded.packages)

    def _word_for_document(self, kind: str, document: Mapping[str, Any]) -> str:
        """The word by which the input has its document once more: it passes once then. Empty where there is none."""
        found = document.get("document")
        words = (word for word in own_words(self._inputs[kind]) if found is not None and document.get(word) is found)
        return next(words, "")

    async def run_tests(self, modules: PolicyModules) -> tuple[PolicyTest, ...]:
        """Runs every `test_` rule of the files `*_test.rego`. Raises ValueError where the set can't be tested."""
        try:
            async with self._worker(_MEMORY_MIB, modules.digest) as worker:
                answer, _ = await worker.request("test", _TEST_SECONDS, self._content(modules))
        except WorkerError as error:
            raise ValueError(str(error)) from error
        if "error" in answer:
            raise ValueError(answer["error"])
        return tuple(PolicyTest(**test) for test in answer["tests"])

    async def aclose(self) -> None:
        """Ends all workers, and refuses further work."""
        self._closed = True
        for _ in range(_MAX_WORKERS):
            await self._slots.acquire()
        while self._idle:
            await self._idle.pop().close()
        for _ in range(_MAX_WORKERS):
            self._slots.release()

    async def _load(self, worker: WorkerProcess, modules: PolicyModules) -> _LoadedSet:
        known: _LoadedSet | None = worker.loaded.pop(modules.digest, None)
        if known is None:
            known = await self._load_anew(worker, modules)
        worker.loaded[modules.digest] = known
        return known

    async def _load_anew(self, worker: WorkerProcess, modules: PolicyModules) -> _LoadedSet:
        forget = list(worker.loaded)[: max(0, len(worker.loaded) - _MAX_SETS + 1)]
        for digest in forget:
            del worker.loaded[digest]
        content = self._content(modules)
        answer, _ = await worker.request("load", self._load_seconds, content, digest=modules.digest, forget=forget)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return _LoadedSet(answer)

    def _content(self, modules: PolicyModules) -> bytes:
        content = {"modules": dict(modules.modules), "params": dict(modules.params), "inputs": self._inputs}
        return json.dumps(content).encode()

    @asynccontextmanager
    async def _worker(self, memory_mib: int, digest: str) -> AsyncIterator[WorkerProcess]:
        """A worker with that much memory, of which there are at most two; one that has the set, if possible."""
        async with self._slots:
            if self._closed:
                msg = "the policy engine is closed"
                raise WorkerError(msg)
            self._busy += 1
            try:
                worker = await self._take(memory_mib, digest)
                yield worker
                if worker.alive:
                    self._idle.append(worker)
            finally:
                self._busy -= 1

    async def _take(self, memory_mib: int, digest: str) -> WorkerProcess:
        self._idle = [worker for worker in self._idle if worker.alive]
        fitting = [worker for worker in self._idle if worker.memory_mib == memory_mib]
        if fitting:
            chosen = max(fitting, key=lambda worker: digest in worker.loaded)
            self._idle.remove(chosen)
            return chosen
        if len(self._idle) + self._busy > _MAX_WORKERS:
            await self._idle.pop(0).close()
        return await WorkerProcess.start(memory_mib)
